"""
The verdict on an instance when a launch of it has ended, by state, exit and evidence.

TABLE has all the rules, and their order matters: the first one that matches the launch's end and
the instance decides. An instance that is final, or whose launch was superseded, stays as it is,
however its process ended. For other instances the process's `output.json` counts first. After it a
stop and a timeout count, before the exit that they caused.
"""

from collections.abc import Collection
from datetime import timedelta

from runtara_domain.launching.crashes import CrashPolicy
from runtara_domain.model.launch_ends import Cause, LaunchEnd, OutputStatus, ProcessOutput
from runtara_domain.model.verdicts import Follow, LaunchedInstance, Verdict
from runtara_domain.record import record
from runtara_domain.status import ANY, FINAL, Condition, State


@record(kw_only=True)
class Row:
    """A rule of the table: a condition and what follows. A field left out matches everything."""

    follow: Follow
    states: Condition = ANY
    causes: Collection[Cause] = frozenset(Cause)
    codes: Collection[int] | None = None
    reports: bool | None = None
    is_taken: bool | None = None
    has_registered: bool | None = None
    has_output: bool | None = None
    is_stopped: bool | None = None

    def matches(self, end: LaunchEnd, instance: LaunchedInstance) -> bool:
        """Return whether this rule is for such an end of a launch of such an instance."""
        return (
            instance.state in self.states
            and end.cause in self.causes
            and (self.codes is None or end.exit_code in self.codes)
            and self.reports in (None, end.reports)
            and self.is_taken in (None, instance.is_taken)
            and self.has_registered in (None, instance.has_registered)
            and self.has_output in (None, end.output is not None)
            and self.is_stopped in (None, instance.stop_reason is not None)
        )


SUSPENDED: Condition = frozenset({State.ASLEEP, State.PAUSED})

NOT_ITS_FAULT = frozenset(
    {
        Cause.ENVIRONMENT_LOST,
        Cause.MACHINE_RESTARTED,
        Cause.IMAGE_MISSING,
        Cause.RUNNER_FAILED,
        Cause.STOPPED,
        Cause.WAITING,
    }
)
"""Causes outside of the instance: it is launched again after a back-off. No crash is counted."""

REFUSES = frozenset({2, 64, 78})
"""
Exit codes of our SDK: a usage error (64), or code that doesn't fit the history (78).

2 is from older versions of the SDK.
"""
GIVES_UP = frozenset({1, 65})
"""Exit codes of our SDK: the workflow failed, or its input was refused."""
TRY_AGAIN = frozenset({4})
"""Exit code of our SDK: the core was out of reach, or the process was interrupted."""

TABLE: tuple[Row, ...] = (
    Row(follow=Follow.NOTHING, states=FINAL),
    Row(follow=Follow.NOTHING, is_taken=True),
    Row(follow=Follow.NOTHING, causes={Cause.SUPERSEDED}),
    Row(follow=Follow.APPLY_OUTPUT, has_output=True),
    Row(follow=Follow.CANCEL, is_stopped=True),
    Row(follow=Follow.FAIL, causes={Cause.TIMED_OUT}),
    Row(follow=Follow.NOTHING, states=SUSPENDED, has_registered=True),
    Row(follow=Follow.RELAUNCH, causes=NOT_ITS_FAULT),
    Row(follow=Follow.BLOCK, causes={Cause.REFUSED}),
    Row(follow=Follow.BLOCK, causes={Cause.EXITED}, codes=REFUSES, reports=True),
    Row(follow=Follow.FAIL, causes={Cause.EXITED}, codes=GIVES_UP, reports=True),
    Row(follow=Follow.RELAUNCH, causes={Cause.EXITED}, codes=TRY_AGAIN, reports=True),
    Row(follow=Follow.CRASH),
)


def judge(end: LaunchEnd, instance: LaunchedInstance, policy: CrashPolicy) -> Verdict:
    """Return the verdict on a launch that has ended; the table covers every end."""
    row = next(row for row in TABLE if row.matches(end, instance))
    match row.follow:
        case Follow.APPLY_OUTPUT:
            return Verdict(follow=row.follow, output=end.output, error=_error_of(end.output))
        case Follow.CANCEL:
            return Verdict(follow=row.follow, error=instance.stop_reason)
        case Follow.BLOCK | Follow.FAIL:
            return Verdict(follow=row.follow, error=_explained(end))
        case Follow.RELAUNCH:
            crashes = 0 if instance.has_progressed else instance.crashes
            return Verdict(follow=row.follow, crashes=crashes, delay=_delay(instance, policy))
        case Follow.CRASH:
            return _crash(end, instance, policy)
        case _:
            return Verdict(follow=row.follow, crashes=instance.crashes)


def _crash(end: LaunchEnd, instance: LaunchedInstance, policy: CrashPolicy) -> Verdict:
    crashes = 1 if instance.has_progressed else instance.crashes + 1
    if policy.is_exceeded(crashes):
        error = f"crashed {crashes} times in a row without progress, the last time: "
        return Verdict(follow=Follow.FAIL, crashes=crashes, error=error + _explained(end))
    return Verdict(follow=Follow.CRASH, crashes=crashes, delay=_delay(instance, policy))


def _delay(instance: LaunchedInstance, policy: CrashPolicy) -> timedelta:
    return policy.next_delay(None if instance.has_progressed else instance.last_delay)


def _explained(end: LaunchEnd) -> str:
    said = end.describe()
    return f"{said}\n{end.stderr}" if end.stderr not in ("", said) else said


def _error_of(output: ProcessOutput | None) -> str | None:
    if output is None or output.status is not OutputStatus.FAILED:
        return None
    return output.error or "the process reported a failure without a reason"
