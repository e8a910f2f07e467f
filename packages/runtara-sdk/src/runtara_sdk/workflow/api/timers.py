"""Sleeps and timeouts, whose deadlines are saved when they begin."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

from runtara_sdk.workflow.api.context import InWorkflow, required
from runtara_sdk.workflow.duration import LONGEST, Duration, is_infinite, signed
from runtara_sdk.workflow.engine.calls import DurableCall
from runtara_sdk.workflow.engine.cancel_scopes import CancelScope
from runtara_sdk.workflow.engine.execution import Execution
from runtara_sdk.workflow.engine.records import Kind, Record
from runtara_sdk.workflow.errors import NondeterminismError
from runtara_sdk.workflow.user_objects import asked, is_a, shown

_FOREVER = (
    "a workflow that sleeps for ever never ends: wait for what ends it, with promise(...), or"
    " return"
)


def sleep(how_long: Duration, *, key: str | None = None) -> Coroutine[Any, Any, None]:
    """
    Sleep, counted from the first run that makes the call; the deadline outlasts crashes.

    A long sleep ends the process, and another process goes on after it. A negative duration counts
    as zero, and one of more than 100 years as 100 years. Raises ValueError for an infinite one.
    With `key=`, which is unique among the instance's sleeps, it may be called in any task that the
    workflow's code begins.
    """
    what = f"sleep({shown(how_long)})"
    if is_infinite(how_long):
        raise ValueError(f"{what}: {_FOREVER}")
    length = max(signed("sleep()", how_long), timedelta(0))
    return _begin(what, key, lambda now: now + length)


def sleep_until(moment: datetime, *, key: str | None = None) -> Coroutine[Any, Any, None]:
    """
    Sleep until a moment, such as a due date; a sleep until a past moment ends at once.

    `moment` must have a time zone. Raises ValueError for a naive one, which would be another moment
    on a machine in another zone. The moment of the first run that makes the call stands. One more
    than 100 years away counts as 100 years away. `key=` is as in `sleep`.
    """
    what = f"sleep_until({shown(moment)})"
    _check_aware(what, moment)
    return _begin(what, key, lambda now: min(max(moment, now), now + LONGEST).astimezone(UTC))


def _begin(
    what: str, key: str | None, end: Callable[[datetime], datetime]
) -> Coroutine[Any, Any, None]:
    where = required(what, key=key, keyed="sleep(..., key=...)")
    return _slept(where.execution, where.next_call("sleep", key=key), end)


def _check_aware(what: str, moment: object) -> None:
    if not isinstance(moment, datetime):
        raise TypeError(f"{what} takes an aware datetime: sleep(...) takes durations")
    # The zone's class may be the user's.
    if asked(moment.utcoffset, None) is None:
        raise ValueError(
            f"{what} takes an aware datetime, and this one has no time zone: give it one, as"
            " datetime(..., tzinfo=UTC) and .replace(tzinfo=ZoneInfo(...)) do"
        )


async def _slept(
    execution: Execution, call: DurableCall, end: Callable[[datetime], datetime]
) -> None:
    until = await deadline(execution, call, end, is_outcome=False)
    if until is None:
        await execution.end.finish_and_block(
            NondeterminismError(
                f"{call.key!r} was recorded as a timeout without a deadline, and is a sleep now"
            )
        )
    woken = call.part("woke")

    async def live() -> Record | None:
        if until > execution.clock():
            await execution.cancellation.wait(woken, execution.live.new_wait(until, key=call.key))
        # No process ran then, or the cancel was still on its way from another branch.
        expired = woken.expired_during(until)
        if expired is not None:
            raise execution.cancellation.cancelled(woken, expired)
        # Where the order of outcomes does not matter, the deadline is enough.
        return woken.record(Kind.RESULT, b"null") if execution.is_ordered() else None

    await execution.durable(woken, live)


async def deadline(
    execution: Execution,
    call: DurableCall,
    end: Callable[[datetime], datetime | None],
    *,
    is_outcome: bool = True,
    is_needless: Callable[[], Awaitable[bool]] | None = None,
) -> datetime | None:
    """
    Return the deadline saved for a call, a new one for a live call; None: it has none.

    `is_needless`: looks whether a live call needs no deadline; then none is saved. Raises the error
    by which the call was cancelled before.
    """

    async def live() -> Record | None:
        await execution.cancellation.check(call)
        until = end(execution.clock())
        if is_needless is not None and await is_needless():
            return None
        text = json.dumps(None if until is None else until.isoformat()).encode()
        return call.record(Kind.UNTIL, text)

    record = await execution.durable(call, live, is_outcome=is_outcome)
    if not record.is_kept:
        return None
    if record.kind is not Kind.UNTIL:
        await execution.end.finish_and_block(
            NondeterminismError(
                f"{call.key!r} was recorded as a {record.kind}, and is a deadline now"
            )
        )
    saved = json.loads(record.value)
    return None if saved is None else datetime.fromisoformat(saved)


class timeout:
    """
    `async with timeout("7d")`: raise TimeoutError at a durable call when the time is over.

    The deadline is saved at entry. The call that it cancels is saved too, and a replay raises
    TimeoutError at the same call. None and an infinite time set no deadline. A negative time is
    over at once, as in asyncio.
    """

    def __init__(self, how_long: Duration | None) -> None:
        self._text = f"timeout({shown(how_long)})"
        self._length: timedelta | None = None
        if how_long is not None and not is_infinite(how_long):
            self._length = max(signed("timeout()", how_long), timedelta(0))
        self._where: InWorkflow | None = None
        self._scope: CancelScope | None = None

    async def __aenter__(self) -> "timeout":
        where = required(self._text)
        call = where.branch.next_call("timeout")
        until = await deadline(where.execution, call, self._end)
        self._where, self._scope = where, CancelScope(call.key, until)
        where.execution.cancellation.open(where.branch, self._scope)
        return self

    def _end(self, now: datetime) -> datetime | None:
        return None if self._length is None else now + self._length

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._where is not None
        assert self._scope is not None
        is_hidden = error is None and self._scope.is_hidden
        cancelled = self._where.execution.cancellation.exit(self._where.branch, self._scope, error)
        # If another scope's cancellation was raised in here too, its error goes on.
        if is_hidden or (cancelled == [self._scope] and is_a(error, asyncio.CancelledError)):
            raise TimeoutError(f"{self._scope.key}: {self._text} is over") from error
