"""The changes of an instance's row by a verdict, the same in every database."""

from datetime import datetime, timedelta

from runtara_domain.launching.crashes import jittered
from runtara_domain.model.instances import Ending
from runtara_domain.model.launch_ends import Cause, LaunchEnd, OutputStatus, ProcessOutput
from runtara_domain.model.launches import Closing, Judge
from runtara_domain.model.verdicts import Follow, LaunchedInstance, Verdict
from runtara_domain.record import record
from runtara_domain.status import SignalType, State, settle


@record(kw_only=True)
class Settlement:
    """
    The changes of the row. after: the new state; None if it stays.

    ending: for a final state. blocked_reason: for a blocked instance. sleep_until, checkpoint_id:
    for a sleep. acknowledges: the pending signal is acknowledged. crashes, backoff, launch_after:
    of an instance that stays open. is_run_over: its newest run has ended. is_run_lost: whether the
    run has ended is unknown.
    """

    after: State | None = None
    ending: Ending | None = None
    blocked_reason: str | None = None
    sleep_until: datetime | None = None
    checkpoint_id: str | None = None
    acknowledges: bool = False
    crashes: int = 0
    backoff: timedelta | None = None
    launch_after: datetime | None = None
    is_run_over: bool = True
    is_run_lost: bool = False


@record(kw_only=True)
class Figures:
    """The resources that all launches of an instance used, and the end of its newest stderr."""

    memory_peak_bytes: int | None = None
    cpu_usage_usec: int | None = None
    stderr: str | None = None

    def plus(self, end: LaunchEnd) -> "Figures":
        """Add a launch: the larger peak, the sum of CPU time, the newer stderr."""
        return Figures(
            memory_peak_bytes=_larger(self.memory_peak_bytes, end.memory_peak_bytes),
            cpu_usage_usec=_sum(self.cpu_usage_usec, end.cpu_usage_usec),
            stderr=end.stderr or self.stderr,
        )


@record
class FoundInstance:
    """An instance before its launch is closed; its figures don't include this launch."""

    instance: LaunchedInstance
    pending: SignalType | None
    figures: Figures


@record
class Decision:
    """
    A verdict with its changes of the row.

    figures: of the instance, including this launch. explanation: the error of an instance that
    ended without one; None if there is nothing to explain.
    """

    verdict: Verdict
    settlement: Settlement
    figures: Figures
    explanation: str | None = None


def decide(closing: Closing, found: FoundInstance, judge: Judge, at: datetime) -> Decision:
    """Judge a launch that has ended, and return the changes of the instance's row."""
    verdict = judge(closing.end, found.instance)
    figures = found.figures.plus(closing.end)
    settlement = _settlement(verdict, closing, found, figures, at)
    return Decision(verdict, settlement, figures, _explanation(closing.end, found.instance))


def _explanation(end: LaunchEnd, instance: LaunchedInstance) -> str | None:
    """Return the reason of an instance that acknowledged the cancel of a stop or timeout."""
    if instance.state is not State.CANCELLED or instance.is_taken:
        return None
    timeout = end.reason if end.cause is Cause.TIMED_OUT else ""
    return instance.stop_reason or timeout or None


def _settlement(
    verdict: Verdict, closing: Closing, found: FoundInstance, figures: Figures, at: datetime
) -> Settlement:
    end, state = closing.end, found.instance.state
    match verdict.follow:
        case Follow.NOTHING:
            # The count starts again after an orderly suspension. If the launch was superseded, the
            # newest run belongs to another process.
            is_over = end.cause is not Cause.SUPERSEDED
            crashes = 0 if state in _SUSPENDED else verdict.crashes
            return Settlement(crashes=crashes, is_run_over=is_over)
        case Follow.RELAUNCH | Follow.CRASH:
            return _again(verdict, end, state, closing.chance, at)
        case Follow.BLOCK:
            return Settlement(after=State.PAUSED, blocked_reason=verdict.error or end.describe())
        case Follow.FAIL:
            return _ended(State.FAILED, figures, error=verdict.error)
        case Follow.CANCEL:
            return _ended(State.CANCELLED, figures, error=verdict.error or None)
        case Follow.APPLY_OUTPUT:
            assert verdict.output is not None, "an output is applied that there is"
            return _apply(verdict.output, verdict.error, state, found.pending, figures, at)


_SUSPENDED = frozenset({State.ASLEEP, State.PAUSED})


def _again(
    verdict: Verdict, end: LaunchEnd, state: State, chance: float, at: datetime
) -> Settlement:
    delay = verdict.delay or timedelta(0)
    is_lost = end.cause is Cause.ENVIRONMENT_LOST and state is State.RUNNING
    return Settlement(
        crashes=verdict.crashes,
        backoff=verdict.delay,
        launch_after=at + jittered(delay, chance),
        is_run_over=not is_lost,
        is_run_lost=is_lost,
    )


def _apply(
    output: ProcessOutput,
    error: str | None,
    state: State,
    pending: SignalType | None,
    figures: Figures,
    at: datetime,
) -> Settlement:
    match output.status:
        case OutputStatus.COMPLETED:
            return _ended(State.COMPLETED, figures, output=output.result)
        case OutputStatus.FAILED:
            return _ended(State.FAILED, figures, error=error)
        case OutputStatus.CANCELLED:
            return _ended(State.CANCELLED, figures, error=output.error)
        case OutputStatus.SLEEPING:
            assert output.wake_after is not None, "sleeping says for how long"
            return Settlement(
                after=State.ASLEEP,
                sleep_until=at + output.wake_after,
                checkpoint_id=output.checkpoint_id,
            )
        case OutputStatus.SUSPENDED:
            after = settle(state, pending) or State.PAUSED
            acknowledges = pending in (SignalType.CANCEL, SignalType.PAUSE)
            if after is State.CANCELLED:
                return _ended(after, figures, acknowledges=acknowledges)
            return Settlement(after=State.PAUSED, acknowledges=acknowledges)


def _ended(
    state: State,
    figures: Figures,
    *,
    output: bytes | None = None,
    error: str | None = None,
    acknowledges: bool = False,
) -> Settlement:
    ending = Ending(
        state,
        output,
        error,
        figures.stderr,
        figures.memory_peak_bytes,
        figures.cpu_usage_usec,
    )
    return Settlement(after=state, ending=ending, acknowledges=acknowledges)


def _larger(one: int | None, other: int | None) -> int | None:
    return max((each for each in (one, other) if each is not None), default=None)


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one + (other or 0)
