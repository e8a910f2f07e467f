"""
Recorder: looks up and saves the records of durable calls.

All records of calls go through it, so two rules hold everywhere:

    First one stands.  `record` returns the record that is stored under the key after the save. If
                       another run has saved before, that is its record, and the code goes on with
                       it. So a result counts once, even if two runs save at the same time.
    No way back.       Code that no longer fits its records, a core that is out of reach and a run
                       that is over all end the run. The call that meets them never returns: user
                       code can neither catch that nor clean up after it.

Every answer to a save has the pending signal, which is handled before the call goes on.

A record that may come later is *owed*. It rides with the next record, in one request, and is stored
before it. Saves that begin meanwhile wait for the answer, and go without it; if there is none, the
next of them brings it. So no record is ever stored without those that were owed before it. Two
kinds of records may be owed:

    The start record of a new instance, whose input the core keeps. A large one is not owed.
    A value that the core keeps, of a promise or of a child's end: a run that finds no record of it
    gets the same value again. User code goes on with it before it is stored. It is stored before
    anything has an effect (an attempt at a step, a child's start or cancel), before the run leaves,
    and after a second at the latest. So whatever else such a run does, or a crash makes the next
    run do otherwise, no effect and no record tells of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from runtara_sdk.client.records import SignalType
from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.engine import records
from runtara_sdk.workflow.engine.calls import DurableCall, current_branch
from runtara_sdk.workflow.engine.event_loop import call_in
from runtara_sdk.workflow.engine.observer import Observe, Recorded, Replayed
from runtara_sdk.workflow.engine.records import Kind, Record
from runtara_sdk.workflow.engine.replay import Replay, check, check_step
from runtara_sdk.workflow.engine.run_end import RunEnd
from runtara_sdk.workflow.engine.store import (
    DurableStore,
    RunStarted,
    Saved,
    SavedTogether,
    State,
)
from runtara_sdk.workflow.errors import Incompatible, NondeterminismError

logger = get_logger(__name__)

T = TypeVar("T")

_MANY = 10_000

_MOST_OWED = 32
"""Records; their states, an owed start record and a state of the largest size fit into a frame."""

_LARGEST_OWED = 16 * 1024

_LARGEST_START = 256 * 1024
"""Bytes of a start record that is owed."""

_LONGEST_OWED = 1.0
"""Seconds for which an outcome is owed, so that operators see it."""


class Recorder:
    """
    The records of one run's calls: those of earlier runs, and those saved now.

    If the core can't list an instance's checkpoints, each is read by itself. `on_signal` is called
    with the pending signal of the core's answers.
    """

    def __init__(
        self,
        store: DurableStore,
        started: RunStarted,
        replay: Replay,
        end: RunEnd,
        on_signal: Callable[[SignalType], None],
        observe: Observe,
    ) -> None:
        self._store = store
        self._replay = replay
        self._end = end
        self._on_signal = on_signal
        self._observe = observe
        self._reads_each = started.states is None
        self._saved = len(started.states or {})
        self._may_owe_outcomes = started.saves_together
        self._owed: dict[str, Record] = {}
        self._carrying: asyncio.Event | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._saving_late: asyncio.Task[None] | None = None

    @property
    def is_old(self) -> bool:
        """Whether the instance may have records of an earlier form."""
        return self._reads_each or self._replay.is_old

    def is_new(self, call: DurableCall) -> bool:
        """Return whether no earlier run can have recorded anything of a call."""
        return not (self._reads_each or self._replay.has_begun(call.key))

    async def recorded(self, call: DurableCall) -> Record | None:
        """
        Return the record of a call; None: it is live.

        Blocks for ever if the run is over or the code has changed.
        """
        record = await self.recorded_or_skipped(call)
        if record is not None or call.main is not None:
            # A cancellation of the call whose own key has a record.
            last = await self._find(call.cancel_key) or record
            if last is not None and last.kind is Kind.CANCELLED:
                last = await self._find(call.code_key) or last
            return last
        if current_branch().from_finished_group:
            await self._end.finish_and_block(
                NondeterminismError(
                    f"the code calls {call.key!r} in a group whose branches had all ended without"
                    " it: remove the added call for open instances, or put it into a new group"
                    " behind `if await patched(...)`"
                )
            )
        return None

    async def recorded_or_skipped(self, call: DurableCall) -> Record | None:
        """Return the record of a call; None: it is live, or an earlier run recorded none."""
        if self._end.is_decided:
            await self._end.block()
        try:
            record = self._replay.consume(call)
            if record is None and self._reads_each:
                record = await self._read(await self._key_of(call))
                if record is not None:
                    check(call, record)
        except Incompatible as error:
            await self._end.finish_and_block(error)
        if record is not None and self._observe is not None:
            self._observe(Replayed(call.key, record.kind))
        return record

    async def _key_of(self, call: DurableCall) -> str:
        """Return the key of the records of a call with a key of its own."""
        if call.given_key is not None and await self._read(call.key) is None:
            for key in call.former_keys:
                for begun in (key, f"{key}!intent#1", f"{key}!failed#1"):
                    if await self._read(begun) is not None:
                        call.rename(key)
        return call.key

    async def has_record(self, call: DurableCall) -> bool:
        """Return whether an earlier run recorded an outcome under the call's own key."""
        return await self._find(call.key) is not None

    async def recorded_under(self, call: DurableCall, what: str) -> Record | None:
        """Return a further record of a call; None if there is none."""
        record = await self._find(call.subkey(what))
        try:
            check_step(call, record)
        except Incompatible as error:
            await self._end.finish_and_block(error)
        return record

    def owe(self, key: str, record: Record) -> None:
        """Save a record with the next one, or when `save_owed` is called."""
        self._owed[key] = record

    async def begin(self, key: str, start: Record) -> None:
        """Owe the start record of a new instance; save a large one at once."""
        if len(start.encoded) <= _LARGEST_START:
            self.owe(key, start)
        else:
            await self.record(key, start)

    async def save_owed(self) -> None:
        """Save the records that are owed, in one request; without any, make none."""

        async def save(owed: Sequence[State]) -> Saved | None:
            return await self._store.save(*owed[-1], owed[:-1]) if owed else None

        if self._owed:
            saved = await self.carrying(save)
            if saved is not None:
                await self._heed(saved.signal)

    async def save_owed_outcomes(self) -> None:
        """Save the records that are owed, if one is an outcome; call it before an effect."""
        if any(record.is_repeatable for record in self._owed.values()):
            await self.save_owed()

    def close(self) -> None:
        """End the background work; what is owed then is not saved."""
        if self._timer is not None:
            self._timer.cancel()
        if self._saving_late is not None:
            self._saving_late.cancel()

    async def carrying(self, send: Callable[[Sequence[State]], Awaitable[T]]) -> T:
        """
        Return the answer to a request that stores the records that are owed, in their order.

        `send` makes the request; it must store them before all else, or nothing. After an error of
        it they are still owed. Other requests that would carry them wait meanwhile.
        """
        while self._carrying is not None:
            await self._carrying.wait()
            if self._end.is_decided:
                await self._end.block()
        owed = dict(self._owed)
        states = [(key, record.encoded) for key, record in owed.items()]
        if not owed:
            return await self._end.call_core(lambda: send(states))
        # An event, because the cancellation of a task that waits must not reach other tasks.
        carrying = self._carrying = asyncio.Event()
        try:
            answer = await self._end.call_core(lambda: send(states))
        finally:
            self._carrying = None
            carrying.set()
        for key, record in owed.items():
            del self._owed[key]
            self._note(key, record)
        if self._timer is not None and not self._owed:
            self._timer.cancel()
            self._timer = None
        return answer

    async def record(self, key: str, record: Record) -> Record:
        """Save a record, unless its key has one; return the record that is stored now."""
        if not record.is_kept:
            return record
        state = record.encoded
        if record.is_repeatable and self._may_owe(state):
            self._owe_outcome(key, record)
            return record
        if self._owed:
            saved = await self.carrying(lambda owed: self._store.save(key, state, owed))
        else:
            # The traceback of a step has few frames of the SDK's.
            saved = await self._end.call_core(lambda: self._store.save(key, state))
        await self._heed(saved.signal)
        return self._stored(key, record, saved.state)

    async def record_all(
        self,
        mine: Sequence[tuple[str, Record]],
        send: Callable[[Sequence[State]], Awaitable[SavedTogether]],
    ) -> list[Record]:
        """
        Save records by a request of another kind, as `record` does each of them.

        `send` makes the request, as for `carrying`, with the states to store.
        """
        states = [(key, record.encoded) for key, record in mine]
        saved = await self.carrying(lambda owed: send([*owed, *states]))
        await self._heed(saved.signal)
        stored = saved.states[-len(mine) :]
        return [
            self._stored(key, record, state)
            for (key, record), state in zip(mine, stored, strict=True)
        ]

    def _stored(self, key: str, record: Record, state: bytes) -> Record:
        """Return the record that is stored now, which may be another run's."""
        if state != record.encoded:
            record = records.decode(key, state)
        self._note(key, record)
        return record

    def _may_owe(self, state: bytes) -> bool:
        is_small = len(state) <= _LARGEST_OWED and len(self._owed) < _MOST_OWED
        return self._may_owe_outcomes and is_small and not self._end.is_decided

    def _owe_outcome(self, key: str, record: Record) -> None:
        self.owe(key, record)
        if self._timer is None:
            self._timer = call_in(_LONGEST_OWED, self._save_late)

    def _save_late(self) -> None:
        self._timer = None
        if self._saving_late is not None and not self._saving_late.done():
            # One at a time: `close` ends it.
            self._timer = call_in(_LONGEST_OWED, self._save_late)
        elif not self._end.is_decided:
            self._saving_late = self._end.in_background(self.save_owed_outcomes())

    async def _heed(self, signal: SignalType | None) -> None:
        """Handle the pending signal of an answer; blocks if the run is over."""
        if signal is not None:
            self._on_signal(signal)
        if self._end.is_decided:
            await self._end.block()

    def _note(self, key: str, record: Record) -> None:
        """Count a record that is stored now, and let observers know."""
        self._saved += 1
        if self._saved == _MANY:
            logger.warning(
                "instance %r has %d checkpoints: let the workflow call continue_as_new from time to"
                " time",
                self._store.instance_id,
                _MANY,
            )
        if self._observe is not None:
            self._observe(Recorded(key, record.kind))

    async def _find(self, key: str) -> Record | None:
        """Return an earlier run's record of a key, without using it up."""
        record = self._replay.get(key)
        return await self._read(key) if record is None and self._reads_each else record

    async def _read(self, key: str) -> Record | None:
        state = await self._end.call_core(lambda: self._store.read(key))
        return None if state is None else records.decode(key, state)
