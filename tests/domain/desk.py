"""The core at a desk: all its use cases by hand, on one adapter and one clock."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from tests.support.clock import FrozenClock

from runtara_domain.activity import Activity
from runtara_domain.held_sleeps import HeldSleeps
from runtara_domain.model import (
    CheckpointWrite,
    Event,
    EventType,
    Pending,
    Registered,
    Registration,
    Sleep,
)
from runtara_domain.ports.instances import Instances
from runtara_domain.ports.persistence import Persistence
from runtara_domain.ports.transport import OnAbandoned, never_abandoned
from runtara_domain.sessions import InstanceSlots, Session
from runtara_domain.status import SignalType, State
from runtara_domain.use_cases.checkpoints import (
    GetCheckpoint,
    ListCheckpoints,
    RecordRetryAttempt,
    SaveCheckpoint,
)
from runtara_domain.use_cases.core import Core
from runtara_domain.use_cases.events import Heartbeat, RecordEvent, RecordEvents
from runtara_domain.use_cases.instances import (
    CancelChild,
    GetInstanceStatus,
    RegisterInstance,
    StartChild,
    StartChildren,
)
from runtara_domain.use_cases.signals import AcknowledgeSignal, PollSignals
from runtara_domain.use_cases.sleep import SleepDurably
from runtara_domain.waits import Waits
from runtara_persistence.memory.persistence import MemoryPersistence
from runtara_persistence.memory.rows import CheckpointRow, InstanceRow, SignalRow

TENANT = "t-1"
ID = "i-1"
TOKEN = "core/this-server"


class Desk:
    """Everything at hand, and short ways to ask for the usual."""

    def __init__(
        self,
        persistence: MemoryPersistence,
        clock: FrozenClock,
        *,
        limit: int = 2,
        token: str = TOKEN,
    ) -> None:
        self.token = token
        self.store = persistence.store
        self.clock = clock
        self.slots = InstanceSlots(limit)
        self.activity = Activity(persistence.instances, clock)
        self.waits = Waits(persistence.watch, clock)
        self.save_checkpoint = SaveCheckpoint(persistence.checkpoints, self.activity, clock)
        self.get_checkpoint = GetCheckpoint(
            persistence.checkpoints, persistence.instances, self.activity
        )
        self.list_checkpoints = ListCheckpoints(persistence.checkpoints, self.activity)
        self.record_retry_attempt = RecordRetryAttempt(persistence.checkpoints, clock)
        self.record_event = RecordEvent(persistence.events, self.waits, clock)
        self.record_events = RecordEvents(
            persistence.events, persistence.instances, self.waits, self.activity, clock
        )
        self.heartbeat = Heartbeat(persistence.instances, self.activity, clock)
        self.get_instance_status = GetInstanceStatus(persistence.instances, self.activity)
        self.start_child = StartChild(persistence.instances, self.activity, clock)
        self.start_children = StartChildren(persistence.instances, self.activity, clock)
        self.cancel_child = CancelChild(
            persistence.instances, persistence.signals, self.activity, clock
        )
        self.poll_signals = PollSignals(persistence.signals, self.waits, self.activity, clock)
        self.acknowledge_signal = AcknowledgeSignal(
            persistence.signals, self.waits, self.activity, clock
        )
        self.register_on(persistence.instances)
        self.sleep_on(persistence)

    def register_on(self, instances: Instances) -> None:
        """Let registrations go to another adapter."""
        self.register_instance = RegisterInstance(instances, self.slots, self.waits, self.clock)

    def sleep_on(self, persistence: Persistence) -> None:
        """Let sleeps, and what keeps their claims, go to another adapter."""
        self.held = HeldSleeps(self.token, persistence.claims, self.waits, self.clock)
        self.sleep_durably = SleepDurably(
            persistence.checkpoints,
            persistence.claims,
            persistence.signals,
            self.waits,
            self.held,
            self.clock,
        )

    def core(self) -> Core:
        """Put all of it together, as a transport is given it."""
        return Core(
            slots=self.slots,
            register_instance=self.register_instance,
            get_instance_status=self.get_instance_status,
            start_child=self.start_child,
            start_children=self.start_children,
            cancel_child=self.cancel_child,
            save_checkpoint=self.save_checkpoint,
            get_checkpoint=self.get_checkpoint,
            list_checkpoints=self.list_checkpoints,
            record_retry_attempt=self.record_retry_attempt,
            sleep=self.sleep_durably,
            record_event=self.record_event,
            record_events=self.record_events,
            heartbeat=self.heartbeat,
            poll_signals=self.poll_signals,
            acknowledge_signal=self.acknowledge_signal,
        )

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Keep waits and claims for the length of the block."""
        work = [asyncio.create_task(self.waits.keep()), asyncio.create_task(self.held.keep())]
        try:
            yield
        finally:
            for task in work:
                task.cancel()
            await asyncio.wait(work)

    def session(self) -> Session:
        return self.slots.open_session()

    async def register(
        self,
        session: Session,
        instance_id: str = ID,
        *,
        tenant_id: str = TENANT,
        checkpoint_id: str | None = None,
        continue_run: int | None = None,
    ) -> Registered:
        return await self.register_instance(
            session=session,
            registration=Registration(instance_id, tenant_id, checkpoint_id, continue_run),
        )

    async def registered(self, instance_id: str = ID) -> Session:
        """Give a session that has just registered the instance."""
        session = self.session()
        await self.register(session, instance_id)
        return session

    async def save(self, session: Session, checkpoint_id: str, state: bytes) -> bytes | None:
        """Save; give what was kept before."""
        saved = await self.save_checkpoint(
            caller=session.caller(ID), write=CheckpointWrite(checkpoint_id, state)
        )
        return saved.kept

    async def sleep(
        self,
        session: Session,
        checkpoint_id: str = "nap",
        seconds: float = 60,
        *,
        instance_id: str = ID,
        keep_running: bool = False,
    ) -> None:
        """Sleep, and return when it is over."""
        await self.sleep_durably(
            session=session,
            caller=session.caller(instance_id),
            sleep=Sleep(checkpoint_id, b"", timedelta(seconds=seconds), keep_running),
        )

    async def asleep(
        self,
        session: Session,
        checkpoint_id: str = "nap",
        seconds: float = 60,
        *,
        instance_id: str = ID,
        keep_running: bool = False,
    ) -> "asyncio.Task[None]":
        """Begin a sleep; give it once it is held."""
        held = self.waits.held
        sleep = self.sleep(
            session, checkpoint_id, seconds, instance_id=instance_id, keep_running=keep_running
        )
        task = asyncio.create_task(sleep)
        await until(lambda: self.waits.held > held)
        await settled()
        return task

    async def poll(
        self,
        session: Session,
        seconds: float = 0,
        *,
        named: Collection[str] = (),
        on_abandoned: OnAbandoned = never_abandoned,
    ) -> Pending:
        return await self.poll_signals(
            session=session,
            caller=session.caller(ID),
            checkpoint_ids=named,
            on_abandoned=on_abandoned,
            wait=timedelta(seconds=seconds),
        )

    async def say(
        self,
        session: Session,
        kind: EventType,
        payload: bytes = b"",
        *,
        created_at: datetime | None = None,
        subtype: str | None = None,
    ) -> None:
        event = Event(kind, payload, created_at or self.clock.now(), subtype=subtype)
        await self.record_event(session=session, caller=session.caller(ID), event=event)

    def put(self, state: State, *, run: int = 1, error: str | None = None) -> InstanceRow:
        """Have the instance stand in this state, as if it had got there."""
        row = InstanceRow(
            instance_id=ID,
            tenant_id=TENANT,
            status=state.status,
            run_epoch=run,
            error=error,
            created_at=self.clock.now(),
            sleep_until=self.clock.now() + timedelta(hours=1) if state is State.ASLEEP else None,
        )
        self.store.instances[ID] = row
        return row

    def put_signal(self, kind: SignalType) -> SignalRow:
        row = SignalRow(instance_id=ID, signal_type=kind, created_at=self.clock.now())
        self.store.pending_signals[ID] = row
        return row

    def put_retry_attempt(self, checkpoint_id: str) -> str:
        """Keep an attempt's audit row; give its id."""
        row_id = f"{checkpoint_id}::retry::1"
        self.store.checkpoints[ID, row_id] = CheckpointRow(
            id=self.store.next_id(),
            instance_id=ID,
            checkpoint_id=row_id,
            state=b"",
            created_at=self.clock.now(),
            is_retry_attempt=True,
        )
        return row_id

    @property
    def row(self) -> InstanceRow:
        """How the instance is stored."""
        return self.store.instances[ID]

    def claimed_by(self) -> str | None:
        """Return the owner of the claim on it."""
        return self.row.wake_claim_by

    def state(self) -> State:
        return self.store.instances[ID].state

    def said(self) -> list[tuple[EventType, bytes | None]]:
        """What is kept of what instances said, in order."""
        return [(row.event_type, row.payload) for row in self.store.instance_events]


async def until(is_so: Callable[[], bool]) -> None:
    """Let the loop iterate until something is true; on a frozen clock nothing else passes."""
    for _ in range(1000):
        if is_so():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came true")


async def settled() -> None:
    """Let the loop iterate so often that all that can happen at a frozen time has happened."""
    for _ in range(50):
        await asyncio.sleep(0)
