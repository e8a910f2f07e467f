"""Durable workflows in Python, on the Runtara core: see README.md."""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from runtara_sdk.errors import (
    CheckpointNotFound,
    CheckpointSaveFailed,
    ClientNotOpen,
    ConfigurationError,
    ConnectionFailed,
    DatabaseFailed,
    InstanceAlreadyExists,
    InstanceNotFound,
    InstanceSuperseded,
    InternalServerError,
    InvalidInstanceState,
    Overloaded,
    ProtocolError,
    RequestNotKnown,
    RequestReset,
    RequestTimeout,
    RuntaraError,
    ServerError,
    ServerNotTrusted,
    ShuttingDown,
    SignalDeliveryFailed,
    TooManyInstances,
    ValidationFailed,
)

if TYPE_CHECKING:
    from runtara_sdk.client.client import Client
    from runtara_sdk.client.records import (
        Checkpoint,
        CheckpointEntry,
        CustomEvent,
        FirstPage,
        InstanceStatus,
        NewChild,
        Pending,
        Registration,
        Signal,
        SignalType,
        Status,
    )
    from runtara_sdk.client.settings import Settings
    from runtara_sdk.workflow import (
        BranchTask,
        Call,
        ChildHandle,
        ChildNotStarted,
        CoreUnavailable,
        DurableCallInStep,
        Ended,
        Incompatible,
        InputRefused,
        NondeterminismError,
        NotDone,
        NotInBranchTask,
        NotSerializable,
        Outcome,
        OutsideWorkflow,
        Promise,
        Queue,
        Retry,
        StateUnreadable,
        Step,
        StepFailed,
        StepInfo,
        TaskGroup,
        Tick,
        Workflow,
        WorkflowCancelled,
        WorkflowError,
        WorkflowFailed,
        Zoned,
        child,
        continue_as_new,
        current,
        logger,
        map_steps,
        now,
        patched,
        promise,
        race,
        random,
        report,
        sleep,
        sleep_until,
        start_child,
        step,
        timeout,
        uuid4,
        workflow,
    )

__all__ = [
    "BranchTask",
    "Call",
    "Checkpoint",
    "CheckpointEntry",
    "CheckpointNotFound",
    "CheckpointSaveFailed",
    "ChildHandle",
    "ChildNotStarted",
    "Client",
    "ClientNotOpen",
    "ConfigurationError",
    "ConnectionFailed",
    "CoreUnavailable",
    "CustomEvent",
    "DatabaseFailed",
    "DurableCallInStep",
    "Ended",
    "FirstPage",
    "Incompatible",
    "InputRefused",
    "InstanceAlreadyExists",
    "InstanceNotFound",
    "InstanceStatus",
    "InstanceSuperseded",
    "InternalServerError",
    "InvalidInstanceState",
    "NewChild",
    "NondeterminismError",
    "NotDone",
    "NotInBranchTask",
    "NotSerializable",
    "Outcome",
    "OutsideWorkflow",
    "Overloaded",
    "Pending",
    "Promise",
    "ProtocolError",
    "Queue",
    "Registration",
    "RequestNotKnown",
    "RequestReset",
    "RequestTimeout",
    "Retry",
    "RuntaraError",
    "ServerError",
    "ServerNotTrusted",
    "Settings",
    "ShuttingDown",
    "Signal",
    "SignalDeliveryFailed",
    "SignalType",
    "StateUnreadable",
    "Status",
    "Step",
    "StepFailed",
    "StepInfo",
    "TaskGroup",
    "Tick",
    "TooManyInstances",
    "ValidationFailed",
    "Workflow",
    "WorkflowCancelled",
    "WorkflowError",
    "WorkflowFailed",
    "Zoned",
    "child",
    "continue_as_new",
    "current",
    "logger",
    "map_steps",
    "now",
    "patched",
    "promise",
    "race",
    "random",
    "report",
    "sleep",
    "sleep_until",
    "start_child",
    "step",
    "timeout",
    "uuid4",
    "workflow",
]

_RECORDS = (
    "Checkpoint",
    "CheckpointEntry",
    "CustomEvent",
    "FirstPage",
    "InstanceStatus",
    "NewChild",
    "Pending",
    "Registration",
    "Signal",
    "SignalType",
    "Status",
)
_OF_CLIENT = dict.fromkeys(_RECORDS, "runtara_sdk.client.records") | {
    "Client": "runtara_sdk.client.client",
    "Settings": "runtara_sdk.client.settings",
}

if not TYPE_CHECKING:
    # A program that needs only errors loads neither QUIC nor the engine of workflows: each is
    # imported with the first name that is its own.
    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(_OF_CLIENT.get(name, "runtara_sdk.workflow")), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Where `workflow` is the decorator, though Python puts the package of this name there."""

    def __setattr__(self, name: str, value: object) -> None:
        if name == "workflow" and isinstance(value, ModuleType):
            value = value.workflow
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
