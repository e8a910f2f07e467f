"""
Starts children: those that are asked for in one iteration of the event loop in one request.

The request also stores the record of each start, and what is owed: all of it or nothing. So a child
that no record knows can only be one whose request has no answer yet. No start waits for another's
answer, except for a request that carries what is owed.

A large input, a group that is refused because of one child, and a core that starts no children
together make a request for each child, which its record follows.

All requests are made by tasks of ours. Code that cuts a call off does not cut its request off, so a
cancel of the child can wait for the answer.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from runtara_sdk.client.records import NewChild
from runtara_sdk.errors import InstanceAlreadyExists, RequestNotKnown, ValidationFailed
from runtara_sdk.workflow.engine.live_calls import LiveCalls
from runtara_sdk.workflow.engine.recorder import Recorder
from runtara_sdk.workflow.engine.records import Record
from runtara_sdk.workflow.engine.run_end import RunEnd
from runtara_sdk.workflow.engine.store import DurableStore, RunStarted, SavedTogether, State

_MOST = 100

_LARGEST = 64 * 1024
"""Bytes of an input of a group; a larger one goes by itself."""

_MOST_BYTES = 2**20
"""Bytes of all inputs of a group."""


class NotSent(Exception):
    """The call may not start the child now, or the run is over. Nothing was sent."""


class _NotTogether(Exception):
    """The core has stored nothing of a group."""


class _Fewer(Exception):
    """A child of the group may no longer be started. Nothing was sent."""


@dataclass(slots=True, eq=False)
class _Start:
    """A start that waits for its request; `stored` gets its record, None if it is not sent."""

    child: NewChild
    key: str
    record: Record
    refused: Callable[[str], Record]
    may_start: Callable[[], bool]
    stored: "asyncio.Future[Record | None]"


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
        self._gathered: list[_Start] = []
        self._under_way: Counter[str] = Counter()
        self._answered = asyncio.Event()

    async def start(
        self,
        child: NewChild,
        key: str,
        record: Record,
        refused: Callable[[str], Record],
        may_start: Callable[[], bool],
    ) -> Record:
        """
        Start a child and save the record of it; return the record that is stored now.

        `refused` makes the record of a child that can't be started, from the reason. `may_start` is
        called just before the request is made. If it returns False, this raises NotSent.
        """
        loop = asyncio.get_running_loop()
        one = _Start(child, key, record, refused, may_start, loop.create_future())
        if self._is_together and len(child.input or b"") <= _LARGEST:
            if not self._gathered:
                loop.call_soon(self._send_gathered)
            self._gathered.append(one)
        else:
            self._send([one], self._start_alone(one))
        stored = await one.stored
        if stored is None:
            raise NotSent
        return stored

    async def cancel(self, child_id: str) -> None:
        """Send a child a cancel, once no request that may start it is under way."""
        while self._under_way[child_id]:
            await self._answered.wait()
        await self._recorder.save_owed_outcomes()
        await self._end.call_core(lambda: self._store.cancel_child(child_id))

    def _send_gathered(self) -> None:
        gathered, self._gathered = self._gathered, []
        for group in _groups(filter(self._may_send, gathered)):
            self._send(group, self._start_together(group))

    def _send(self, starts: Sequence[_Start], sending: Coroutine[Any, Any, None]) -> None:
        """Let a task of ours send starts; a cancel of these children waits for its end."""
        ids = [one.child.id for one in starts]

        def answer(_: object) -> None:
            self._under_way.subtract(ids)
            self._under_way = +self._under_way
            self._answered.set()
            self._answered = asyncio.Event()

        self._under_way.update(ids)
        # An error of the task ends the run; the calls then never go on.
        task = self._end.in_background(sending)
        task.add_done_callback(answer)
        self._live.keep(task)

    def _may_send(self, one: _Start) -> bool:
        """Return whether to send a start now; if not, its call gets to know, unless it is cut."""
        if one.stored.done():
            return False
        if self._end.is_decided or not one.may_start():
            one.stored.set_result(None)
            return False
        return True

    async def _start_together(self, group: Sequence[_Start]) -> None:
        while group := [one for one in group if self._may_send(one)]:
            with suppress(_Fewer):
                await self._request(group)
                return

    async def _request(self, group: Sequence[_Start]) -> None:
        async def send(states: Sequence[State]) -> SavedTogether:
            # Another request that carried what was owed may have been waited for.
            if not all(map(self._may_send, group)):
                raise _Fewer
            try:
                return await self._store.start_children([one.child for one in group], states)
            except (InstanceAlreadyExists, RequestNotKnown, ValidationFailed) as error:
                raise _NotTogether from error

        try:
            stored = await self._recorder.record_all([(one.key, one.record) for one in group], send)
        except _NotTogether:
            for one in group:
                self._send([one], self._start_alone(one))
        else:
            for one, record in zip(group, stored, strict=True):
                _hand_over(one, record)

    async def _start_alone(self, one: _Start) -> None:
        await self._recorder.save_owed_outcomes()
        if self._may_send(one):
            reason = await self._end.call_core(lambda: self._refusal_of(one.child))
            record = one.record if reason is None else one.refused(reason)
            _hand_over(one, await self._recorder.record(one.key, record))

    async def _refusal_of(self, child: NewChild) -> str | None:
        """Start a child by itself; return why it can't be started, None if it is."""
        try:
            await self._store.start_child(child.id, child.workflow, child.input)
        except InstanceAlreadyExists as error:
            return str(error)
        return None


def _groups(starts: Iterable[_Start]) -> Iterator[list[_Start]]:
    """Divide starts into requests, in which each child is once."""
    group: list[_Start] = []
    ids, size = set[str](), 0
    for one in starts:
        more = len(one.child.input or b"")
        if len(group) == _MOST or one.child.id in ids or size + more > _MOST_BYTES:
            yield group
            group, ids, size = [], set(), 0
        group.append(one)
        ids.add(one.child.id)
        size += more
    if group:
        yield group


def _hand_over(one: _Start, record: Record) -> None:
    if not one.stored.done():
        one.stored.set_result(record)
