"""Values for code between steps: each is made once, and is the same on every replay."""

import random as _random
import uuid
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, TypeVar, cast

from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow import values
from runtara_sdk.workflow.api.context import required
from runtara_sdk.workflow.engine.calls import DurableCall
from runtara_sdk.workflow.engine.execution import Execution
from runtara_sdk.workflow.engine.records import Kind, Record
from runtara_sdk.workflow.errors import NondeterminismError, StateUnreadable
from runtara_sdk.workflow.user_objects import shown

logger = get_logger(__name__)

T = TypeVar("T")


def now() -> Coroutine[Any, Any, datetime]:
    """Return the time in UTC; a replay returns the time of the first run that made the call."""
    return _recorded("now", datetime, required("now()").execution.clock)


def uuid4() -> Coroutine[Any, Any, uuid.UUID]:
    """Return a random UUID; a replay returns the same one."""
    return _recorded("uuid4", uuid.UUID, uuid.uuid4)


def random() -> Coroutine[Any, Any, float]:
    """Return a random number, at least 0 and less than 1; a replay returns the same one."""
    return _recorded("random", float, _random.random)


def patched(name: str) -> Coroutine[Any, Any, bool]:
    """
    Return whether this instance takes the new code: False if it ran this place with the old code.

    The answer is the same on every replay. In `if await patched("x"): new() else: old()`, remove
    the `else` once no open instance took the old code. Keep `await patched("x")` until no open
    instance has made that call.
    """
    where = required(f"patched({name!r})")
    replay, branch = where.execution.replay, where.branch
    former = replay.key_at(branch.path, branch.position + 1)
    call = branch.next_call(f"patched:{name}")
    is_past = former is None and replay.last_position(branch.path) >= branch.position
    if is_past or former not in (None, call.key):
        branch.undo_last()
        return _old_way()
    return _value(where.execution, call, bool, lambda: True)


async def _old_way() -> bool:
    return False


def _recorded(name: str, kind: type[T], make: Callable[[], T]) -> Coroutine[Any, Any, T]:
    where = required(f"{name}()")
    return _value(where.execution, where.branch.next_call(name), kind, make)


async def _value(
    execution: Execution, call: DurableCall, kind: type[T], make: Callable[[], T]
) -> T:
    async def live() -> Record:
        await execution.cancellation.check(call)
        made = values.codec.encode(call.key, make(), kind)
        return call.record(Kind.RESULT, made.text, form=made.form)

    return cast("T", await value_of(execution, call, await execution.durable(call, live), kind))


async def value_of(
    execution: Execution, call: DurableCall, record: Record, annotation: object
) -> Any:
    """Return the value of a record; blocks for ever if the record has no such value."""
    if record.back is not None:
        return record.back[0]
    try:
        if record.kind not in (Kind.RESULT, Kind.UNREAD):
            raise NondeterminismError(
                f"{call.key!r} was recorded as a {record.kind}, and is a call with a value now:"
                " make the recorded call here"
            )
        value = values.codec.decode(call.key, record.value, annotation, record.form)
    except (NondeterminismError, StateUnreadable) as error:
        await execution.end.finish_and_block(error)
    if record.kind is Kind.UNREAD:
        logger.warning(
            "%s: the saved result was never read by its annotation; it is read now as %.200s",
            *(call.key, shown(value)),
        )
    return value
