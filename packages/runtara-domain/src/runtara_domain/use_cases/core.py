"""All operations of the core, as one object."""

from dataclasses import dataclass

from runtara_domain.sessions import Places, Session
from runtara_domain.use_cases.checkpoints import GetCheckpoint, SaveCheckpoint
from runtara_domain.use_cases.events import Heartbeat, RecordEvent
from runtara_domain.use_cases.instances import GetInstanceStatus, RegisterInstance


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """What `ports.transport.Operations` promises, each by its use case."""

    places: Places
    register_instance: RegisterInstance
    get_instance_status: GetInstanceStatus
    save_checkpoint: SaveCheckpoint
    get_checkpoint: GetCheckpoint
    record_event: RecordEvent
    heartbeat: Heartbeat

    def open_session(self) -> Session:
        return self.places.open_session()
