"""The core at a desk: all its use cases by hand, on one adapter and one clock."""

from datetime import datetime, timedelta

from tests.support.clock import FrozenClock

from runtara_domain.activity import Activity
from runtara_domain.model import CheckpointWrite, Event, EventType, Registered, Registration
from runtara_domain.ports.instances import Instances
from runtara_domain.sessions import Places, Session
from runtara_domain.status import SignalType, State
from runtara_domain.use_cases.checkpoints import GetCheckpoint, SaveCheckpoint
from runtara_domain.use_cases.events import Heartbeat, RecordEvent
from runtara_domain.use_cases.instances import GetInstanceStatus, RegisterInstance
from runtara_persistence.memory.persistence import MemoryPersistence
from runtara_persistence.memory.store import CheckpointRow, InstanceRow, SignalRow

TENANT = "t-1"
ID = "i-1"


class Desk:
    """Everything at hand, and short ways to ask for the usual."""

    def __init__(
        self, persistence: MemoryPersistence, clock: FrozenClock, *, limit: int = 2
    ) -> None:
        self.store = persistence.store
        self.clock = clock
        self.places = Places(limit)
        self.activity = Activity(persistence.instances, clock)
        self.save_checkpoint = SaveCheckpoint(persistence.checkpoints, self.activity, clock)
        self.get_checkpoint = GetCheckpoint(persistence.checkpoints, self.activity)
        self.record_event = RecordEvent(persistence.events, clock)
        self.heartbeat = Heartbeat(persistence.instances, self.activity)
        self.get_instance_status = GetInstanceStatus(persistence.instances, self.activity)
        self.register_on(persistence.instances)

    def register_on(self, instances: Instances) -> None:
        """Let registrations go to another adapter."""
        self.register_instance = RegisterInstance(instances, self.clock)

    def session(self) -> Session:
        return self.places.open_session()

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

    def state(self) -> State:
        return self.store.instances[ID].state

    def said(self) -> list[tuple[EventType, bytes | None]]:
        """What is kept of what instances said, in order."""
        return [(row.event_type, row.payload) for row in self.store.instance_events]
