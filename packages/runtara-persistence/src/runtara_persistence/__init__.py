"""
The Runtara core's storage, for programs that work on the same database.

`connect` chooses an adapter by URL; records, states and errors are those of the domain. Programs
send signals by `SendSignal` and `SendCustomSignal`, which refuse a signal that can't be delivered.
`ReopenInstance` lets a failed instance go on.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from runtara_persistence.connect import backend, connect

if TYPE_CHECKING:
    from runtara_domain.error import (
        CoreError,
        DatabaseError,
        InstanceNotFound,
        InvalidInstanceState,
        InvalidValue,
    )
    from runtara_domain.model import (
        Acknowledged,
        Caller,
        Checkpoint,
        CheckpointEntry,
        CheckpointPage,
        CheckpointWrite,
        Claim,
        Claimed,
        CustomSignal,
        Delivered,
        Ending,
        Event,
        EventFilter,
        EventStep,
        EventType,
        Instance,
        InstanceFilter,
        InstanceSummary,
        NewInstance,
        Pending,
        Recorded,
        Registered,
        Registration,
        Reopened,
        Reopening,
        RetryAttempt,
        RunState,
        Saved,
        Sent,
        Signal,
        Sleep,
        Slept,
        StoredEvent,
        Woken,
    )
    from runtara_domain.ports.persistence import Persistence
    from runtara_domain.status import (
        ANY,
        FINAL,
        OPEN,
        WORKING,
        Condition,
        InstanceStatus,
        SignalType,
        State,
    )
    from runtara_domain.system_clock import SystemClock
    from runtara_domain.use_cases.instances import ReopenInstance
    from runtara_domain.use_cases.signals import SendCustomSignal, SendSignal
    from runtara_persistence.memory.persistence import MemoryPersistence

__all__ = [
    "ANY",
    "FINAL",
    "OPEN",
    "WORKING",
    "Acknowledged",
    "Caller",
    "Checkpoint",
    "CheckpointEntry",
    "CheckpointPage",
    "CheckpointWrite",
    "Claim",
    "Claimed",
    "Condition",
    "CoreError",
    "CustomSignal",
    "DatabaseError",
    "Delivered",
    "Ending",
    "Event",
    "EventFilter",
    "EventStep",
    "EventType",
    "Instance",
    "InstanceFilter",
    "InstanceNotFound",
    "InstanceStatus",
    "InstanceSummary",
    "InvalidInstanceState",
    "InvalidValue",
    "MemoryPersistence",
    "NewInstance",
    "Pending",
    "Persistence",
    "Recorded",
    "Registered",
    "Registration",
    "ReopenInstance",
    "Reopened",
    "Reopening",
    "RetryAttempt",
    "RunState",
    "Saved",
    "SendCustomSignal",
    "SendSignal",
    "Sent",
    "Signal",
    "SignalType",
    "Sleep",
    "Slept",
    "State",
    "StoredEvent",
    "SystemClock",
    "Woken",
    "backend",
    "connect",
]

_NAMES = {
    "runtara_domain.error": (
        "CoreError",
        "DatabaseError",
        "InstanceNotFound",
        "InvalidInstanceState",
        "InvalidValue",
    ),
    "runtara_domain.ports.persistence": ("Persistence",),
    "runtara_domain.status": (
        "ANY",
        "FINAL",
        "OPEN",
        "WORKING",
        "Condition",
        "InstanceStatus",
        "SignalType",
        "State",
    ),
    "runtara_domain.system_clock": ("SystemClock",),
    "runtara_domain.use_cases.instances": ("ReopenInstance",),
    "runtara_domain.use_cases.signals": (
        "SendCustomSignal",
        "SendSignal",
    ),
    "runtara_persistence.memory.persistence": ("MemoryPersistence",),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}

if not TYPE_CHECKING:
    # At first use: a program that only opens a database needs none of them.
    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(_MODULES.get(name, "runtara_domain.model")), name)
        globals()[name] = found
        return found
