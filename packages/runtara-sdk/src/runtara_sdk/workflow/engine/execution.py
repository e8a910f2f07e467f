"""
Execution: one process's way through a workflow, put together from the parts of the engine.

Each part has a state of its own, which nothing else writes, and is given other parts and plain
callables, never the execution:

    end           whether, and how, the run is over          run_end.py
    live          the calls and branches under way           live_calls.py
    replay        what earlier runs recorded                 replay.py
    recorder      where calls are looked up and recorded     recorder.py
    signals       cancelled, pausing                         signals.py
    cancellation  deadlines; what cancels which call         cancellation.py
    order         the order in which errors are raised       raise_order.py
    inbox         the poll for signals and promises          inbox.py
    suspension    when the process is of no use              suspension.py

`durable` is what every durable call does.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from runtara_sdk.workflow.engine.calls import CANCEL, Branch, DurableCall
from runtara_sdk.workflow.engine.cancel_scopes import CancelScope
from runtara_sdk.workflow.engine.cancellation import Cancellation
from runtara_sdk.workflow.engine.definition import Definition
from runtara_sdk.workflow.engine.inbox import SignalInbox
from runtara_sdk.workflow.engine.live_calls import LiveCalls
from runtara_sdk.workflow.engine.observer import Observe
from runtara_sdk.workflow.engine.raise_order import RaiseOrder
from runtara_sdk.workflow.engine.recorder import Recorder
from runtara_sdk.workflow.engine.records import Kind, Record
from runtara_sdk.workflow.engine.replay import Replay
from runtara_sdk.workflow.engine.run_end import RunEnd
from runtara_sdk.workflow.engine.signals import Signals
from runtara_sdk.workflow.engine.store import DurableStore, RunStarted
from runtara_sdk.workflow.engine.suspension import Suspension
from runtara_sdk.workflow.errors import NotSaveable


def utc_now() -> datetime:
    """The time: aware, in UTC."""
    return datetime.now(UTC)


class Execution:
    """What the durable calls of one run share."""

    def __init__(
        self,
        store: DurableStore,
        started: RunStarted,
        workflow: Definition,
        clock: Callable[[], datetime] = utc_now,
        observe: Observe = None,
    ) -> None:
        self.store = store
        self.instance_id = store.instance_id
        self.workflow = workflow
        self.clock = clock
        self.root = Branch("", CancelScope(CANCEL))
        self.observe = observe
        self.end = RunEnd()
        self.live = LiveCalls(self.root, self.end, clock)
        self.signals = Signals(
            on_cancel=lambda: self.cancellation.request(self.root.scopes.whole),
            on_pause=lambda: self.suspension.reconsider(),
            on_resume=self.live.release_paused,
        )
        self.replay = Replay(started.states or {})
        self.recorder = Recorder(
            store, started, self.replay, self.end, self.signals.receive, observe
        )
        self.order = RaiseOrder(self.replay.last_raise_number())
        self.cancellation = Cancellation(
            self.live, self.recorder, self.order, self.signals, self.end, clock
        )
        self.inbox = SignalInbox(store, self.signals, self.end)
        self.suspension = Suspension(
            self.live, store, self.inbox, self.signals, self.end, workflow.options, clock
        )
        self.live.on_change(self.suspension.reconsider)

    async def durable(
        self,
        call: DurableCall,
        live: Callable[[], Awaitable[Record]],
        replayed: Callable[[Record], None] | None = None,
    ) -> Record:
        """
        Give what is recorded for a call; what `live` makes is recorded if nothing is.

        Raises CancelledError where that is recorded; `replayed` is called first with the record of
        an earlier run. When cancellation is checked is `live`'s
        business: a step first settles what became of its effect. A record that can't be saved ends
        the run: raised here it could be caught, and a replay would do the work again.
        """
        record = await self.recorder.recorded(call)
        if record is None:
            with self.live.running(call):
                try:
                    record = await self.recorder.record(call.key, await live())
                except NotSaveable as error:
                    await self.end.finish_and_block(error)
        elif replayed is not None:
            replayed(record)
        if record.kind is Kind.CANCELLED:
            await self.cancellation.raise_recorded(call, record)
        return record

    def abandon(self) -> None:
        """Leave all the workflow's tasks where they are."""
        self.live.abandon()
        self.cancellation.close()


_current: ContextVar[Execution] = ContextVar("runtara_execution")
_under_way: set[Execution] = set()


def current_execution() -> Execution:
    """The execution that the code of a workflow runs in; raises LookupError outside of one."""
    return _current.get()


def under_way() -> set[Execution]:
    """The executions of this process that have not ended."""
    return _under_way


@contextmanager
def entered_execution(execution: Execution) -> Iterator[None]:
    """Let an execution be the one of this code, and known in its process, while the block lasts."""
    token = _current.set(execution)
    _under_way.add(execution)
    try:
        yield
    finally:
        _under_way.discard(execution)
        _current.reset(token)
