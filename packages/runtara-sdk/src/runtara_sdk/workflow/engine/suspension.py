"""
Suspension: when all branches of a run only wait, its process is of no use, and the run suspends.

`reconsider` is called whenever a call ends or begins to wait. It waits until the loop has come to
rest: by then the user tasks that were woken have made their next calls. If all calls wait then, the
first of these cases that applies decides:

    pausing     the pause is acknowledged, and the run ends at once.
    timed       user code has set a timer of asyncio's, which would be lost: the process goes on.
    cancelled   the core suspends no instance with a cancel: the process goes on, for the clean-up.
    held        an event may end a wait within `suspend_after`: the process waits that long.
    else        the core keeps the instance until the next wait ends by itself, and the run ends.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from runtara_sdk.client.records import SignalType
from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.engine.calls import DurableCall, Wait, branch_in
from runtara_sdk.workflow.engine.event_loop import call_in, timers, when_quiet
from runtara_sdk.workflow.engine.inbox import SignalInbox
from runtara_sdk.workflow.engine.keys import CHILD, OWN, is_of_child
from runtara_sdk.workflow.engine.live_calls import LiveCalls
from runtara_sdk.workflow.engine.options import RunOptions
from runtara_sdk.workflow.engine.outcome import Awaited, Ended, Outcome, waits
from runtara_sdk.workflow.engine.records import Kind, Record
from runtara_sdk.workflow.engine.run_end import RunEnd
from runtara_sdk.workflow.engine.signals import Signals
from runtara_sdk.workflow.engine.store import DurableStore

logger = get_logger(__name__)

_NEVER = datetime.max.replace(tzinfo=UTC)

_MARGIN = timedelta(milliseconds=50)
"""The time from a due moment to the next look; what was due has happened by then."""


class Suspension:
    """Suspends one run when all its branches wait, and none may go on within `suspend_after`."""

    def __init__(
        self,
        live: LiveCalls,
        store: DurableStore,
        inbox: SignalInbox,
        signals: Signals,
        end: RunEnd,
        options: RunOptions,
        clock: Callable[[], datetime],
        on_cancelled_at_rest: Callable[[], None],
        before_leaving: Callable[[], Awaitable[None]],
    ) -> None:
        self._live = live
        self._store = store
        self._inbox = inbox
        self._signals = signals
        self._end = end
        self._options = options
        self._clock = clock
        self._on_cancelled_at_rest = on_cancelled_at_rest
        self._before_leaving = before_leaving
        self._timer: asyncio.TimerHandle | None = None
        self._is_looking = False
        self._timed_since: float | None = None
        self._has_warned = False
        self._suspending: asyncio.Task[None] | None = None

    def reconsider(self) -> None:
        """When the loop has come to rest, check whether all calls wait; suspend the run if so."""
        if not self._is_looking:
            self._is_looking = True
            when_quiet(self._maybe_suspend)

    def close(self) -> None:
        """End the background tasks."""
        if self._timer is not None:
            self._timer.cancel()
        if self._suspending is not None:
            self._suspending.cancel()

    def _again_in(self, time: timedelta) -> None:
        self._timer = call_in(time.total_seconds(), self.reconsider)

    def _maybe_suspend(self) -> None:
        self._is_looking = False
        if self._timer is not None:
            self._timer.cancel()
        is_suspending = self._suspending is not None and not self._suspending.done()
        if self._end.is_decided or not self._live.all_waiting() or is_suspending:
            self._timed_since = None
            return
        if self._signals.is_pausing:
            self._suspending = self._end.in_background(self._pause())
            return
        due = self.code_due_in()
        if due is not None:
            self._again_in(self._warn_of_timers(timedelta(seconds=due)))
            return
        self._timed_since = None
        if self._signals.is_cancelled:
            # The core lets no instance sleep that has a pending cancel.
            self._on_cancelled_at_rest()
            return
        left = self._grace_left()
        if left > timedelta(0):
            self._again_in(left)
        else:
            self._suspending = self._end.in_background(self._suspend())

    @property
    def under_way(self) -> "asyncio.Task[None] | None":
        """The present or last task that asks the core to let the instance sleep or pause."""
        return self._suspending

    def code_due_in(self) -> float | None:
        """In how many seconds the first timer of user code between steps is due; None: no timer."""
        branches = self._live.branches
        due = [after for after, context in timers() if branch_in(context) in branches]
        return max(min(due), 0) if due else None

    def _warn_of_timers(self, due: timedelta) -> timedelta:
        """Warn once when timers outlast `suspend_after`; return the time to the next look."""
        now = asyncio.get_running_loop().time()
        if self._timed_since is None:
            self._timed_since = now
        left = self._options.suspend_after - timedelta(seconds=now - self._timed_since)
        if self._has_warned:
            return due + _MARGIN
        if left > timedelta(0):
            return min(due, left) + _MARGIN
        self._has_warned = True
        logger.warning(
            "the instance is not suspended though all its durable calls wait: its code has set a"
            " timer of asyncio's (asyncio.timeout, wait_for, sleep, anyio.fail_after), which is"
            " not saved, and starts again in each process. Use `async with timeout(...)` and"
            " `sleep(...)` of runtara_sdk, which go on in another process"
        )
        return due + _MARGIN

    def _grace_left(self) -> timedelta:
        """How long the process still waits for an event that may end the waits soon."""
        now, wake = self._clock(), self._next_wake_up()[0]
        if wake is not None and wake - now <= self._options.suspend_after:
            return wake - now + _MARGIN
        since = self._live.waiting_since()
        return max((one + self._options.suspend_after - now for one in since), default=timedelta(0))

    def _next_wake_up(self) -> tuple[datetime | None, str]:
        """When the first wait ends by itself, and the key of the record of that end."""
        known: list[tuple[datetime, str]] = []
        for call in self._live.calls:
            if call.wait is not None and call.wait.until is not None:
                known.append((call.wait.until, call.wait.key or _poll_key(call.wait.until)))
            known += [(s.deadline, s.key) for s in call.active_scopes() if s.deadline is not None]
        return min(known, default=(None, ""))

    async def _suspend(self) -> None:
        await self._inbox.refresh()
        if not self._live.all_waiting():
            return
        wake, key = self._next_wake_up()
        latest = self._clock() + self._options.recheck_every
        if wake is None or (wake > latest and self._awaits_external()):
            wake, key = latest, _poll_key(latest)
        moment, name = wake, key
        state = Record(Kind.UNTIL, f'"{moment.isoformat()}"'.encode()).encoded
        shown = waits(self.awaits())
        await self._before_leaving()
        is_asleep = await self._end.call_core(
            lambda: self._store.suspend_until(name, state, moment, shown)
        )
        # A signal sent before the sleep did not make the instance due; a later one does.
        await self._inbox.refresh()
        if is_asleep and self._live.all_waiting() and not self._signals.is_pausing:
            self._end.finish(Ended(Outcome.SUSPENDED, until=moment, awaits=self.awaits()))
            return
        if is_asleep:
            # To save it again wakes the instance: else a crash would leave it asleep until then.
            saved = await self._end.call_core(lambda: self._store.save(name, state))
            told = saved.signal
        else:
            told = (await self._end.call_core(lambda: self._store.poll((), timedelta(0)))).signal
        self._suspending = None
        if told is not None:
            self._signals.receive(told)
        self._again_in(timedelta(seconds=0.1))

    def awaits(self) -> tuple[Awaited, ...]:
        """The run's waits, the earliest deadline first."""
        found = [
            one
            for call in self._live.calls
            if call.wait is not None and (one := self._awaited(call, call.wait)) is not None
        ]
        return tuple(sorted(found, key=lambda one: (one.until or _NEVER, one.name)))

    def _awaited(self, call: DurableCall, wait: Wait) -> Awaited | None:
        """The wait of one call; None for a group or a race: their branches have the waits."""
        untils = [wait.until, *(scope.deadline for scope in call.active_scopes())]
        until = min((each for each in untils if each is not None), default=None)
        name = self._inbox.name_of(wait)
        if name is not None and is_of_child(name):
            return Awaited("child", name.removeprefix(CHILD), until, wait.since)
        if name is not None:
            return Awaited("signal", name, until, wait.since)
        if wait.until is None:
            return None
        kind = "sleep" if call.arguments is None else "retry"
        return Awaited(kind, (call.main or call).key, until, wait.since, wait.reason)

    def _awaits_external(self) -> bool:
        return any(call.wait is not None and call.wait.is_open for call in self._live.calls)

    async def _pause(self) -> None:
        await self._before_leaving()
        if await self._end.call_core(lambda: self._store.acknowledge(SignalType.PAUSE)):
            self._end.finish(Ended(Outcome.SUSPENDED))
            return
        self._suspending = None
        self._signals.drop_pause()


def _poll_key(moment: datetime) -> str:
    """Return the key under which the core saves a deadline that no call has a key for."""
    return f"{OWN}look/{moment.isoformat(timespec='milliseconds')}"
