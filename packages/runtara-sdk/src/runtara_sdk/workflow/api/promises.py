"""Promises: values that are sent to the instance, each under a name, once."""

import json
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, TypeVar, cast, overload

from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow import values
from runtara_sdk.workflow.api.context import required
from runtara_sdk.workflow.api.recorded import value_of
from runtara_sdk.workflow.engine.calls import DurableCall
from runtara_sdk.workflow.engine.execution import Execution
from runtara_sdk.workflow.engine.keys import branch_of, escaped, joined
from runtara_sdk.workflow.engine.records import Kind, Record
from runtara_sdk.workflow.errors import NotSerializable

logger = get_logger(__name__)

T = TypeVar("T")

_PREFIX = "promise:"


@overload
def promise(name: str, kind: type[T], *, key: str | None = None) -> Coroutine[None, None, T]: ...


# A union is no type to a type checker: the value is Any, and the code that awaits it annotates it.
@overload
def promise(name: str, kind: object, *, key: str | None = None) -> Coroutine[None, None, Any]: ...


def promise(name: str, kind: Any, *, key: str | None = None) -> Coroutine[None, None, Any]:
    """
    Wait for the value that is sent to the instance under this name, as a custom signal.

    The value is JSON of that type; for bytes it is the payload itself. A payload of another type
    raises NotSerializable, on every replay. The first value sent stands, even if its type is wrong.
    If it was sent before the timeout expired, it is returned even if no process ran then.

    The log has the awaited name. In a branch the branch's path comes before it. `%/#!~` are written
    as in URLs: a value for "orders/17" is sent to "orders%2F17". After a value has come to a name,
    or while another wait for it is open, the next wait is for `name#2`, and so on. A wait that a
    timeout or a cancel ended is not counted.

    With `key=` the value is sent to `name~key`, in any branch, and the call may be made in any task
    that the workflow's code begins. The key is unique among the promises of that name.
    """
    where = required(f"promise({name!r})", key=key, keyed="promise(..., key=...)")
    call = where.next_call(_PREFIX + name, key=key)
    if key is not None:
        call.signal = call.key.removeprefix(_PREFIX)
        return _promised(where.execution, call, kind)
    numbers = where.branch.numbers
    number = numbers.signal(name)
    call.signal = _signal(call, name, number)
    return _promised(
        where.execution,
        call,
        kind,
        # If no value was sent, another wait may have the name.
        lambda record: numbers.know_signal(name, number, _taken(call, record)),
    )


def _signal(call: DurableCall, name: str, number: int) -> str:
    """Return the checkpoint id to which a promise's value is sent."""
    own = joined(branch_of(call.key), escaped(name))
    return own if number == 1 else f"{own}#{number}"


async def _promised(
    execution: Execution,
    call: DurableCall,
    kind: type[T],
    on_record: Callable[[Record], None] = lambda record: None,
) -> T:
    record = await received(execution, call, kind, on_record=on_record)
    return await kept(execution, call, record, kind)


async def received(
    execution: Execution,
    call: DurableCall,
    kind: type[T],
    until: datetime | None = None,
    on_record: Callable[[Record], None] = lambda record: None,
) -> Record:
    """Return the record of the value sent to the call's signal; UNTIL if none comes in time."""
    signal = call.signal
    assert signal is not None

    async def live() -> Record:
        values.codec.check(f"promise {signal!r}", kind)
        sent = await _wait_for_value(execution, call, signal, until)
        if sent is not None:
            return _record_of(call, sent, kind)
        assert until is not None
        return call.record(Kind.UNTIL, f'"{until.isoformat()}"'.encode())

    return await execution.durable(call, live, on_record)


def _taken(call: DurableCall, record: Record) -> int | None:
    """Return the number of the name that a wait has used up; None if it may be awaited again."""
    if record.signal is None:
        # Version 1: each wait has a name of its own, whether or not a value came.
        return int(call.key.rpartition("#")[2])
    if record.kind is Kind.CANCELLED:
        return None
    return int(record.signal.rpartition("/")[2].partition("#")[2] or 1)


async def kept(execution: Execution, call: DurableCall, record: Record, kind: type[T]) -> T:
    """Return a promise's recorded value; raises NotSerializable if it is not of its type."""
    if record.kind is Kind.FAILURE:
        raise NotSerializable(json.loads(record.value))
    return cast("T", await value_of(execution, call, record, kind))


async def _wait_for_value(
    execution: Execution, call: DurableCall, name: str, until: datetime | None
) -> bytes | None:
    """Wait for a value sent to a name; None: none in time. Raises the call's cancellation."""
    logger.info(
        "%s waits for the custom signal %r to instance %r", call.key, name, execution.instance_id
    )
    own = None if until is None else call.subkey("until")
    wait = execution.live.new_wait(until, key=own, is_open=True)
    with execution.inbox.expecting(name, wait):
        key = call.due_scope(execution.clock()) or await execution.live.wait(call, wait)
    if key is not None and not (call.is_deadline(key) and await _is_sent(execution, name)):
        raise execution.cancellation.cancelled(call, key)
    await execution.cancellation.wait_while_paused(call)
    if until is None or execution.inbox.has(name) or await _is_sent(execution, name):
        return execution.inbox.value(name)
    return None


async def _is_sent(execution: Execution, name: str) -> bool:
    """Return whether a value was sent before the deadline while no process ran."""
    wait = execution.live.new_wait()
    with execution.inbox.expecting(name, wait):
        await execution.inbox.refresh()
    return wait.ended.done()


def _record_of(call: DurableCall, sent: bytes, kind: type[T]) -> Record:
    """Return the record of a sent value: the value, or a failure if it is not of the type."""
    what = f"promise {call.signal!r}"
    try:
        value = sent if kind is bytes else values.codec.read(what, sent, kind)
    except values.codec.TypeMismatch as error:
        text = (
            f"{what} takes {values.codec.shape(what, kind)}, and was sent"
            f" {sent[:200].decode(errors='replace')}: {error}; the first value stands, so catch"
            " this error and wait for another name"
        )
        return call.record(Kind.FAILURE, json.dumps(text).encode())
    kept = values.codec.encode(what, value, kind)
    # A failure tells of the code's type as well, which may change.
    return call.record(Kind.RESULT, kept.text, form=kept.form).repeatable()
