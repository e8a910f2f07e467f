"""
Starts children: those that are asked for in one iteration of the event loop in one request.

The request also stores the record of each start, and what is owed: all of it or nothing. So a child
that no record knows can only be one whose request has no answer yet. While a request is under way,
the next group gathers.

A group that is refused because of one child, and a core that starts no children together, leave
each child to a request of its own, which its record follows.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runtara_sdk.client.records import NewChild
from runtara_sdk.errors import InstanceAlreadyExists, RequestNotKnown, ValidationFailed
from runtara_sdk.workflow.engine.live_calls import LiveCalls
from runtara_sdk.workflow.engine.recorder import Recorder
from runtara_sdk.workflow.engine.records import Record
from runtara_sdk.workflow.engine.run_end import RunEnd
from runtara_sdk.workflow.engine.store import DurableStore, RunStarted, SavedTogether, State

_MOST = 100
_MOST_BYTES = 2**20
"""Bytes of the inputs of a group; a larger one goes by itself."""


@dataclass(slots=True, eq=False)
class _Start:
    """A start that waits for its request; `stored` gets its record, None if it goes by itself."""

    child: NewChild
    key: str
    record: Record
    stored: "asyncio.Future[Record | None]"


class _NotTogether(Exception):
    """The core has stored nothing of a group."""


class ChildStarts:
    """Starts the children of one run."""

    def __init__(
        self,
        store: DurableStore,
        started: RunStarted,
        recorder: Recorder,
        live: LiveCalls,
        end: RunEnd,
    ) -> None:
        self._store = store
        self._recorder = recorder
        self._live = live
        self._end = end
        self._is_together = started.starts_together
        self._waiting: deque[_Start] = deque()
        self._sending: asyncio.Task[None] | None = None
        self._under_way: set[str] = set()
        self._answered = asyncio.Event()

    async def start(
        self, child: NewChild, key: str, record: Record, refused: Callable[[str], Record]
    ) -> Record:
        """
        Start a child and save the record of it; return the record that is stored now.

        `refused` makes the record of a child that can't be started, from the reason.
        """
        if self._is_together and len(child.input or b"") <= _MOST_BYTES:
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(_Start(child, key, record, future))
            if self._sending is None:
                # It begins in the next iteration of the event loop.
                self._sending = self._end.in_background(self._send_all())
                self._live.keep(self._sending)
            stored: Record | None = await future
            if stored is not None:
                return stored
        await self._recorder.save_owed_outcomes()
        reason = await self._end.call_core(lambda: self._start_alone(child))
        return await self._recorder.record(key, record if reason is None else refused(reason))

    async def cancel(self, child_id: str) -> None:
        """Send a child a cancel, once no request that may start it is under way."""
        while child_id in self._under_way:
            await self._answered.wait()
        await self._recorder.save_owed_outcomes()
        await self._end.call_core(lambda: self._store.cancel_child(child_id))

    async def _start_alone(self, child: NewChild) -> str | None:
        """Start a child by itself; return why it can't be started, None if it is."""
        try:
            await self._store.start_child(child.id, child.workflow, child.input)
        except InstanceAlreadyExists as error:
            return str(error)
        return None

    async def _send_all(self) -> None:
        while group := self._next_group():
            await self._send(group)
        self._sending = None

    def _next_group(self) -> list[_Start]:
        """Return what the next request starts: each child once, and no start that was cut off."""
        group: list[_Start] = []
        ids, size = set(), 0
        while self._waiting and len(group) < _MOST:
            one = self._waiting[0]
            if not one.stored.done():
                size += len(one.child.input or b"")
                if one.child.id in ids or (group and size > _MOST_BYTES):
                    break
                ids.add(one.child.id)
                group.append(one)
            self._waiting.popleft()
        return group

    async def _send(self, group: Sequence[_Start]) -> None:
        children = [one.child for one in group]

        async def send(states: Sequence[State]) -> SavedTogether:
            try:
                return await self._store.start_children(children, states)
            except (InstanceAlreadyExists, RequestNotKnown, ValidationFailed) as error:
                raise _NotTogether from error

        self._under_way.update(child.id for child in children)
        stored: Sequence[Record | None]
        try:
            stored = await self._recorder.record_all([(one.key, one.record) for one in group], send)
        except _NotTogether:
            stored = [None] * len(group)
        self._under_way.clear()
        self._answered.set()
        self._answered = asyncio.Event()
        for one, record in zip(group, stored, strict=True):
            if not one.stored.done():
                one.stored.set_result(record)
