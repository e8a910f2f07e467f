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

A new instance's start record may be saved with the first other record. Saves that begin meanwhile
wait for the answer, and go without it; if there is none, the next of them brings it. So no record
is ever stored without it.
"""

import asyncio
from collections.abc import Callable

from runtara_sdk.client.records import SignalType
from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.engine import records
from runtara_sdk.workflow.engine.calls import DurableCall, current_branch
from runtara_sdk.workflow.engine.observer import Observe, Recorded, Replayed
from runtara_sdk.workflow.engine.records import Kind, Record
from runtara_sdk.workflow.engine.replay import Replay, check, check_step
from runtara_sdk.workflow.engine.run_end import RunEnd
from runtara_sdk.workflow.engine.start import START
from runtara_sdk.workflow.engine.store import DurableStore, RunStarted, Saved
from runtara_sdk.workflow.errors import Incompatible, NondeterminismError

logger = get_logger(__name__)

_MANY = 10_000


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
        self._start: Record | None = None
        self._starting: asyncio.Event | None = None

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
            return await self._find(call.cancel_key) or record
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

    async def recorded_under(self, call: DurableCall, what: str) -> Record | None:
        """Return a further record of a call; None if there is none."""
        record = await self._find(call.subkey(what))
        try:
            check_step(call, record)
        except Incompatible as error:
            await self._end.finish_and_block(error)
        return record

    def start(self, record: Record) -> None:
        """Save the start record with the first other record, or when `save_start` is called."""
        self._start = record

    async def save_start(self) -> None:
        """Save the start record, unless it is saved."""
        await self._until_no_other_starts()
        if self._start is not None:
            await self.record(START, self._start)

    async def record(self, key: str, record: Record) -> Record:
        """Save a record, unless its key has one; return the record that is stored now."""
        if not record.is_kept:
            return record
        await self._until_no_other_starts()
        state = record.encoded
        if self._start is None:
            saved = await self._end.call_core(lambda: self._store.save(key, state))
        else:
            saved = await self._save_starting(key, state, self._start, by_itself=key == START)
        self._saved += 1
        if self._saved == _MANY:
            logger.warning(
                "instance %r has %d checkpoints: let the workflow call continue_as_new from time to"
                " time",
                self._store.instance_id,
                _MANY,
            )
        if saved.signal is not None:
            self._on_signal(saved.signal)
        if self._end.is_decided:
            await self._end.block()
        if saved.state != state:
            record = records.decode(key, saved.state)
        if self._observe is not None:
            self._observe(Recorded(key, record.kind))
        return record

    async def _until_no_other_starts(self) -> None:
        """Wait while the start record is on its way; whether it is saved then is not certain."""
        while self._starting is not None:
            await self._starting.wait()

    async def _save_starting(
        self, key: str, state: bytes, start: Record, *, by_itself: bool
    ) -> Saved:
        """Save the first record, and the start record before it; `by_itself`: they are one."""
        preceding = None if by_itself else (START, start.encoded)
        # An event, because the cancellation of a task that waits must not reach other tasks.
        starting = self._starting = asyncio.Event()
        try:
            saved = await self._end.call_core(lambda: self._store.save(key, state, preceding))
            self._start = None
        finally:
            self._starting = None
            starting.set()
        if not by_itself:
            self._saved += 1
            if self._observe is not None:
                self._observe(Recorded(START, Kind.START))
        return saved

    async def _find(self, key: str) -> Record | None:
        """Return an earlier run's record of a key, without using it up."""
        record = self._replay.get(key)
        return await self._read(key) if record is None and self._reads_each else record

    async def _read(self, key: str) -> Record | None:
        state = await self._end.call_core(lambda: self._store.read(key))
        return None if state is None else records.decode(key, state)
