"""
Execution: one run of an instance in a process, put together from the parts of the engine.

Each part owns its state. It gets other parts and plain callables, never the execution:

    end           the end of the run                         run_end.py
    live          the calls and branches under way           live_calls.py
    replay        the records of earlier runs                replay.py
    recorder      looks up and saves the records of calls    recorder.py
    child_starts  starts children, several in one request    child_starts.py
    signals       cancelled, pausing                         signals.py
    cancellation  deadlines; which scope cancels which call  cancellation.py
    order         the order in which user code gets outcomes outcome_order.py
    inbox         the poll for signals and promises          inbox.py
    suspension    when the run gives up its process          suspension.py
    reporting     a running instance's waits and progress    reporting.py
    departure     leaves the process when asked to           departure.py

`durable` executes a durable call.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import UTC, datetime

from runtara_sdk.loggers import Labels, label_records
from runtara_sdk.workflow.engine.calls import (
    Attempt,
    Branch,
    DurableCall,
    code_context,
    is_detached,
)
from runtara_sdk.workflow.engine.cancel_scopes import CancelScope
from runtara_sdk.workflow.engine.cancellation import CallCancelled, Cancellation, is_by_code
from runtara_sdk.workflow.engine.child_starts import ChildStarts
from runtara_sdk.workflow.engine.definition import Definition
from runtara_sdk.workflow.engine.departure import Departure
from runtara_sdk.workflow.engine.inbox import SignalInbox
from runtara_sdk.workflow.engine.keys import BY_CODE, CANCEL
from runtara_sdk.workflow.engine.live_calls import LiveCalls
from runtara_sdk.workflow.engine.observer import Observe
from runtara_sdk.workflow.engine.outcome_order import OutcomeOrder
from runtara_sdk.workflow.engine.recorder import Recorder
from runtara_sdk.workflow.engine.records import Kind, Record
from runtara_sdk.workflow.engine.replay import Replay
from runtara_sdk.workflow.engine.reporting import Reporting
from runtara_sdk.workflow.engine.run_end import RunEnd
from runtara_sdk.workflow.engine.signals import Signals
from runtara_sdk.workflow.engine.store import DurableStore, RunStarted
from runtara_sdk.workflow.engine.suspension import Suspension
from runtara_sdk.workflow.errors import NotSerializable


def utc_now() -> datetime:
    """The time: aware, in UTC."""
    return datetime.now(UTC)


class Execution:
    """The parts that the durable calls of one run share."""

    def __init__(
        self,
        store: DurableStore,
        started: RunStarted,
        workflow: Definition,
        clock: Callable[[], datetime] = utc_now,
        observe: Observe = None,
        departure: Departure | None = None,
    ) -> None:
        self.store = store
        self.instance_id = store.instance_id
        self.run = started.run
        self.workflow = workflow
        self.clock = clock
        self.root = Branch("", CancelScope(CANCEL))
        self.observe = observe
        self.end = RunEnd()
        self.live = LiveCalls(self.root, self.end, clock, self._changed)
        self.signals = Signals(
            on_cancel=lambda: self.cancellation.request(self.root.scopes.whole),
            on_pause=lambda: self.suspension.reconsider(),
            on_resume=self.live.release_paused,
        )
        self.replay = Replay(started.states or {})
        self.recorder = Recorder(
            store, started, self.replay, self.end, self.signals.receive, observe
        )
        self.child_starts = ChildStarts(store, started, self.recorder, self.live, self.end)
        self.order = OutcomeOrder(self.replay.numbers(), lambda: self.suspension.code_due_in())
        self.cancellation = Cancellation(self.live, self.signals, self.end, clock)
        self.inbox = SignalInbox(store, self.signals, self.end)
        self.suspension = Suspension(
            self.live,
            store,
            self.inbox,
            self.signals,
            self.end,
            workflow.options,
            clock,
            on_cancelled_at_rest=self.cancellation.end_waits_for_code,
            before_leaving=self.prepare_to_leave,
        )
        self.reporting = Reporting(store, self.end, lambda: self.suspension.awaits())
        self.departure = Departure() if departure is None else departure
        self.departure.of(self.live, self.end, lambda: self.suspension.under_way)

    async def prepare_to_leave(self) -> None:
        """Send the core what has waited for another request, before the run ends or suspends."""
        await self.recorder.save_owed()
        await self.reporting.flush()

    def _changed(self) -> None:
        self.departure.finish_if_idle()
        self.suspension.reconsider()
        self.reporting.reconsider()

    async def durable(
        self,
        call: DurableCall,
        live: Callable[[], Awaitable[Record | None]],
        on_record: Callable[[Record], None] = lambda record: None,
        *,
        is_outcome: bool = True,
    ) -> Record:
        """
        Return the record of a call; without a record, `live` makes one, which is saved then.

        Raises CancelledError for a recorded cancellation, and user code's own once it is recorded;
        `on_record` is called before. `live` checks for cancellation. A record that can't be saved
        ends the run, uncaught. `is_outcome`: user code gets the result in outcome order.
        """
        record: Record | None = None
        try:
            record = await self._recorded(call)
            if record is None:
                # Not in a function of its own: user code runs below this frame.
                with self.live.running(call):
                    if call.detached:
                        self.order.keep()
                    try:
                        try:
                            made = await live()
                        except CallCancelled as cancelled:
                            made = cancelled.record
                        made = call.made = self._numbered(made, is_outcome=is_outcome)
                        record = await self.recorder.record(call.key_for(made), made)
                    except NotSerializable as error:
                        await self.end.finish_and_block(error)
                self._check_saved(call, record)
            on_record(record)
            if is_outcome or record.kind is Kind.CANCELLED:
                await self._hand_over(call, record)
        except asyncio.CancelledError:
            ending, _ = await self.live.let_end(self._cancelled_by_code(call, record))
            on_record(record := ending.result())
            await self._wait_to_raise(record)
            if is_by_code(record):
                raise
        if record.kind is Kind.CANCELLED:
            raise self.cancellation.error(call, record)
        return record

    async def stored(self, record: Record, save: Callable[[Record], Awaitable[Record]]) -> Record:
        """
        Save the record of a live call's outcome within its work, which then returns the result.

        `save` returns the record that is stored now. If that has another number, or user code cuts
        the save off, the number that the outcome got is dropped.
        """
        made = self._numbered(record, is_outcome=True)
        found: Record | None = None
        try:
            found = await save(made)
        finally:
            if found is None or found.nth != made.nth:
                self.order.drop(made.nth)
        return replace(found, is_kept=False)

    async def _recorded(self, call: DurableCall) -> Record | None:
        """Return the record of a call; None: it is live. Blocks if the run leaves."""
        record = await self.recorder.recorded(call)
        if record is None and self.departure.is_asked:
            await self.departure.block_if_leaving()
        return record

    def _numbered(self, made: Record | None, *, is_outcome: bool) -> Record:
        if made is None:
            return Record(Kind.RESULT, is_kept=False)
        if not made.is_kept:
            return made
        if self.order.is_kept and (is_outcome or made.kind is Kind.CANCELLED):
            return made.numbered(self.order.reserve())
        return made

    def _check_saved(self, call: DurableCall, record: Record) -> None:
        """Raise the CancelledError of user code that came during uninterruptible work."""
        if call.made is not record and call.made is not None:
            self.order.drop(call.made.nth)
        if call.cancelled_by_code is not None:
            raise call.cancelled_by_code

    def is_ordered(self) -> bool:
        """Return whether the outcome of a call that the running code awaits gets a number."""
        if not self.order.is_kept and is_detached():
            self.order.keep()
        return self.order.is_kept

    async def _hand_over(self, call: DurableCall, record: Record) -> None:
        """Return when the outcome is handed over in order; raises user code's CancelledError."""
        if record.kind is Kind.CANCELLED and self.cancellation.is_made_again(record):
            if is_by_code(record) and record.nth is not None:
                self.order.expect(record.nth)
            with self.live.running(call):
                await self.cancellation.wait_to_be_cancelled_again(call)
        if record.nth is not None:
            with self.live.running(call):
                await self.order.handed_over(record.nth)
        await self.departure.block_if_leaving()

    async def _cancelled_by_code(self, call: DurableCall, record: Record | None) -> Record:
        """Record that user code cancelled a call, unless that is recorded; hand it over."""
        with self.live.running(call):
            if self.end.is_decided:
                await self.end.block()
            if record is None or record.kind is not Kind.CANCELLED:
                record = await self._record_cancelled_by_code(call, record)
            if record.nth is not None:
                await self.order.handed_over(record.nth, at_once=True)
        return record

    async def _wait_to_raise(self, record: Record) -> None:
        await self.order.wait_for_lower(record.nth)
        await self.departure.block_if_leaving()

    async def _record_cancelled_by_code(self, call: DurableCall, record: Record | None) -> Record:
        if record is None and call.made is not None:
            # Its save may have been interrupted, and is repeated: the outcome is not lost.
            record = await self.recorder.record(call.key_for(call.made), call.made)
            if is_by_code(record):
                return record
        if record is not None:
            self.order.drop(record.nth)
        mine = self.cancellation.record(call, BY_CODE)
        if self.order.is_kept:
            mine = mine.numbered(self.order.reserve())
        if record is None and call.main is None:
            record = await self.recorder.record(call.key, mine)
            if is_by_code(record):
                return record
        # A timeout of asyncio's makes a TimeoutError of a scope's CancelledError, too.
        by_scope = record is not None and record.kind is Kind.CANCELLED
        return await self.recorder.record(call.code_key if by_scope else call.cancel_key, mine)

    def abandon(self) -> None:
        """Leave all the workflow's tasks where they are."""
        self.live.abandon()
        self.cancellation.close()


_current: ContextVar[Execution] = ContextVar("runtara_execution")
_under_way: set[Execution] = set()


def current_execution() -> Execution:
    """Return the execution of the running workflow code; raises LookupError outside of one."""
    return _current.get()


def under_way() -> set[Execution]:
    """The executions of this process that have not ended."""
    return _under_way


def label_log_records() -> None:
    """Add the instance and step to every log record of this process."""
    label_records(_labels)


def _labels() -> Labels:
    """Return the labels of the logging code: a step's, a run's, or none."""
    execution = _current.get(None)
    if execution is None:
        return Labels()
    where = code_context()
    step, attempt = (where.key, where.number) if isinstance(where, Attempt) else ("", 0)
    return Labels(execution.instance_id, execution.workflow.name, execution.run or 0, step, attempt)


@contextmanager
def entered_execution(execution: Execution) -> Iterator[None]:
    """Set the execution of this code, and register it in the process, for the block."""
    label_log_records()
    token = _current.set(execution)
    _under_way.add(execution)
    try:
        yield
    finally:
        _under_way.discard(execution)
        _current.reset(token)
