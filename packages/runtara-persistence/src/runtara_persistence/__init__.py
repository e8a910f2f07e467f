"""
What the Runtara core stores, for programs that work on the same database.

`connect` chooses an adapter by URL; records, states and errors are those of the domain.
"""

from runtara_domain.error import CoreError, DatabaseError, InvalidValue
from runtara_domain.model import (
    Caller,
    Checkpoint,
    CheckpointWrite,
    Ending,
    Event,
    EventType,
    Instance,
    Recorded,
    Registered,
    Registration,
    Saved,
    Signal,
    Standing,
)
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import Condition, InstanceStatus, SignalType, State
from runtara_persistence.connect import backend, connect
from runtara_persistence.memory.persistence import MemoryPersistence

__all__ = [
    "Caller",
    "Checkpoint",
    "CheckpointWrite",
    "Condition",
    "CoreError",
    "DatabaseError",
    "Ending",
    "Event",
    "EventType",
    "Instance",
    "InstanceStatus",
    "InvalidValue",
    "MemoryPersistence",
    "Persistence",
    "Recorded",
    "Registered",
    "Registration",
    "Saved",
    "Signal",
    "SignalType",
    "Standing",
    "State",
    "backend",
    "connect",
]
