"""The records of the core: arguments (checked on construction), stored rows and outcomes."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtara_domain.model.caller import Caller, RunState
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
    from runtara_domain.model.children import (
        ChildrenStarted,
        ChildStarted,
        NewChild,
        NewChildren,
        child_signal_id,
        ending_signal,
    )
    from runtara_domain.model.events import Event, EventStep, Recorded
    from runtara_domain.model.history import (
        CheckpointFilter,
        CheckpointSummary,
        EventFilter,
        EventType,
        StoredEvent,
    )
    from runtara_domain.model.instances import (
        Claim,
        Claimed,
        Ending,
        InstanceFilter,
        NewInstance,
        Registered,
        Registration,
        Report,
        Woken,
        owner,
    )
    from runtara_domain.model.reopening import FormerEnding, Reopened, Reopening
    from runtara_domain.model.signals import (
        Acknowledged,
        CustomSignal,
        Delivered,
        Pending,
        Sent,
        Signal,
    )
    from runtara_domain.model.stored_instances import Instance
    from runtara_domain.model.summaries import InstanceSummary

__all__ = [
    "Acknowledged",
    "Caller",
    "Checkpoint",
    "CheckpointEntry",
    "CheckpointFilter",
    "CheckpointPage",
    "CheckpointSummary",
    "CheckpointWrite",
    "ChildStarted",
    "ChildrenStarted",
    "Claim",
    "Claimed",
    "CustomSignal",
    "Delivered",
    "Ending",
    "Event",
    "EventFilter",
    "EventStep",
    "EventType",
    "FormerEnding",
    "Instance",
    "InstanceFilter",
    "InstanceSummary",
    "NewChild",
    "NewChildren",
    "NewInstance",
    "Pending",
    "Recorded",
    "Registered",
    "Registration",
    "Reopened",
    "Reopening",
    "Report",
    "RetryAttempt",
    "RunState",
    "Saved",
    "Sent",
    "Signal",
    "Sleep",
    "Slept",
    "StoredEvent",
    "Woken",
    "child_signal_id",
    "ending_signal",
    "owner",
]

_NAMES = {
    "history": (
        "CheckpointFilter",
        "CheckpointSummary",
        "EventType",
        "EventFilter",
        "StoredEvent",
    ),
    "caller": (
        "Caller",
        "RunState",
    ),
    "checkpoints": (
        "Checkpoint",
        "CheckpointEntry",
        "CheckpointPage",
        "CheckpointWrite",
        "RetryAttempt",
        "Saved",
        "Sleep",
        "Slept",
    ),
    "children": (
        "ChildStarted",
        "ChildrenStarted",
        "NewChild",
        "NewChildren",
        "child_signal_id",
        "ending_signal",
    ),
    "events": (
        "Event",
        "EventStep",
        "Recorded",
    ),
    "instances": (
        "Claim",
        "Claimed",
        "Ending",
        "InstanceFilter",
        "NewInstance",
        "Registered",
        "Registration",
        "Report",
        "Woken",
        "owner",
    ),
    "stored_instances": ("Instance",),
    "summaries": ("InstanceSummary",),
    "reopening": (
        "FormerEnding",
        "Reopened",
        "Reopening",
    ),
    "signals": (
        "Acknowledged",
        "CustomSignal",
        "Delivered",
        "Pending",
        "Sent",
        "Signal",
    ),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}

if not TYPE_CHECKING:
    # A program that only reads, as most commands do, needs few records, and each costs a
    # millisecond: a module is imported with the first name that is its own.
    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = found
        return found
