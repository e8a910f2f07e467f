"""All operations of the core, as one object."""

from runtara_domain.record import record
from runtara_domain.sessions import InstanceSlots, Session
from runtara_domain.use_cases.checkpoints import (
    GetCheckpoint,
    ListCheckpoints,
    RecordRetryAttempt,
    SaveCheckpoint,
)
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


@record(kw_only=True)
class Core:
    """Implements `ports.transport.Operations` with the use cases."""

    slots: InstanceSlots
    register_instance: RegisterInstance
    get_instance_status: GetInstanceStatus
    start_child: StartChild
    start_children: StartChildren
    cancel_child: CancelChild
    save_checkpoint: SaveCheckpoint
    get_checkpoint: GetCheckpoint
    list_checkpoints: ListCheckpoints
    record_retry_attempt: RecordRetryAttempt
    sleep: SleepDurably
    record_event: RecordEvent
    record_events: RecordEvents
    heartbeat: Heartbeat
    poll_signals: PollSignals
    acknowledge_signal: AcknowledgeSignal

    def open_session(self) -> Session:
        return self.slots.open_session()
