"""The records of the core: what callers hand in (checked on construction), and what is stored."""

from runtara_domain.model.caller import Caller, Standing
from runtara_domain.model.checkpoints import (
    Checkpoint,
    CheckpointEntry,
    CheckpointPage,
    CheckpointWrite,
    RetryAttempt,
    Saved,
    Sleep,
    Slept,
)
from runtara_domain.model.events import (
    Event,
    EventFilter,
    EventStep,
    EventType,
    Recorded,
    StoredEvent,
)
from runtara_domain.model.instances import (
    Claim,
    Claimed,
    Ending,
    Instance,
    InstanceFilter,
    InstanceSummary,
    NewInstance,
    Registered,
    Registration,
    Woken,
)
from runtara_domain.model.signals import (
    Acknowledged,
    CustomSignal,
    Delivered,
    Pending,
    Signal,
)

__all__ = [
    "Acknowledged",
    "Caller",
    "Checkpoint",
    "CheckpointEntry",
    "CheckpointPage",
    "CheckpointWrite",
    "Claim",
    "Claimed",
    "CustomSignal",
    "Delivered",
    "Ending",
    "Event",
    "EventFilter",
    "EventStep",
    "EventType",
    "Instance",
    "InstanceFilter",
    "InstanceSummary",
    "NewInstance",
    "Pending",
    "Recorded",
    "Registered",
    "Registration",
    "RetryAttempt",
    "Saved",
    "Signal",
    "Sleep",
    "Slept",
    "Standing",
    "StoredEvent",
    "Woken",
]
