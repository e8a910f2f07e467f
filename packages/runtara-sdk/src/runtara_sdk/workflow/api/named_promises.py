"""Named promises: typed values sent to an instance, the same for every wait."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar, cast, overload

from runtara_sdk.workflow import values
from runtara_sdk.workflow.api.context import InWorkflow, required
from runtara_sdk.workflow.api.promises import kept, received
from runtara_sdk.workflow.api.timers import deadline
from runtara_sdk.workflow.duration import Duration, duration
from runtara_sdk.workflow.engine.calls import DurableCall
from runtara_sdk.workflow.engine.keys import escaped, keyed
from runtara_sdk.workflow.engine.records import Kind
from runtara_sdk.workflow.errors import NotSerializable
from runtara_sdk.workflow.user_objects import shown
from runtara_sdk.workflow.values.form import Form

T = TypeVar("T")

_LONGEST = 512 * 1024
"""The largest value, in bytes, that the core takes."""


class Promise(Generic[T]):
    """
    A value that is sent to an instance once, under a name.

    The first value sent stands: every `get()` returns it, in any branch or task of the instance and
    on every replay. Make it once, in a module: the waiting workflow and the sending code use it.
    """

    @overload
    def __init__(self: "Promise[T]", name: str, kind: type[T]) -> None: ...

    # A union is no type to a type checker: annotate the variable, as Promise[int | str].
    @overload
    def __init__(self: "Promise[Any]", name: str, kind: object) -> None: ...

    def __init__(self, name: str, kind: Any) -> None:
        self._name = name
        self._kind = kind
        self._signal = escaped(name)

    @property
    def signal(self) -> str:
        """The name of the value's custom signal."""
        return self._signal

    def __repr__(self) -> str:
        return f"Promise({self._signal!r})"

    def keyed(self, key: str) -> "Promise[T]":
        """Return the promise of one of many values of this name; both sides know its key."""
        if not isinstance(key, str):
            raise TypeError(f"{self!r}.keyed() takes a text, got {shown(key)}")
        one: Promise[T] = Promise(self._name, self._kind)
        one._signal = keyed(self._name, key)
        return one

    def payload(self, value: T) -> bytes:
        """
        Return the payload to send for a value, of at most 512 KiB.

        Raises NotSerializable for a value of another type.
        """
        if self._kind is bytes and isinstance(value, bytes):
            text: bytes = value
        else:
            text = self._written(value)
        if len(text) > _LONGEST:
            raise NotSerializable(
                f"promise {self._signal!r} takes at most {_LONGEST} bytes, got {len(text)}: nothing"
                " was sent; save the data elsewhere, and send its location"
            )
        return text

    def _written(self, value: object) -> bytes:
        what = f"promise {self._signal!r}"
        try:
            # Written by aliases, as promises read it: other programs send values, too.
            text = values.codec.encode(what, value, self._kind, (Form.ALIASES,)).text
            values.codec.read(what, text, self._kind)
        except (NotSerializable, values.codec.TypeMismatch):
            raise NotSerializable(
                f"{what} takes {values.codec.shape(what, self._kind)}, and was given"
                f" {shown(value)[:200]}: nothing was sent; give a value of that type"
            ) from None
        return text

    def get(self, timeout: Duration | None = None) -> Coroutine[None, None, T]:
        """
        Wait for the value, in any task that the workflow's code begins.

        `timeout`: the time until TimeoutError, counted from the first run that makes the call. A
        value that was sent in time wins, even if no process ran then. A value of another type
        raises NotSerializable, on every replay.
        """
        text = f"{self!r}.get({'' if timeout is None else shown(timeout)})"
        limit = None if timeout is None else duration("timeout=", timeout)
        where = required(text, key="")
        execution, call = where.execution, self._call(where)
        call.signal = self._signal

        async def got() -> T:
            until = None
            if limit is not None and not await execution.recorder.has_record(call):
                until = await deadline(
                    execution,
                    call.part("until"),
                    lambda now: now + limit,
                    is_outcome=False,
                    is_needless=lambda: execution.inbox.look(self._signal),
                )
            record = await received(execution, call, self._kind, until)
            if record.kind is Kind.UNTIL:
                raise TimeoutError(f"{call.key}: {text} is over")
            return cast("T", await kept(execution, call, record, self._kind))

        return got()

    def _call(self, where: InWorkflow) -> DurableCall:
        name = f"get:{self._signal}"
        if where.branch.task is asyncio.current_task():
            return where.next_call(name)
        # All outcomes have an order there, and so have the calls.
        return where.next_call(name, key=where.execution.root.numbers.foreign(name))
