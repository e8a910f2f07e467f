"""The typed client of a Runtara environment's management port."""

from importlib import import_module
from typing import TYPE_CHECKING

from runtara_management_sdk.errors import (
    Conflict,
    ImageInUse,
    ImageNotFound,
    LeaseLost,
    NotFound,
    Unsupported,
)
from runtara_management_sdk.records import (
    Checkpoint,
    Environment,
    Event,
    Forked,
    Granularity,
    Health,
    Hold,
    Image,
    Imported,
    Instance,
    InstanceFilter,
    InstanceSummary,
    Launch,
    Limit,
    MetricsBucket,
    Queue,
    RegisteredImage,
    Runner,
    Scope,
    Sent,
    Started,
    Status,
    Waiting,
)
from runtara_management_sdk.schedule_records import LocalTimeRule, Overlap, Schedule, Tick

if TYPE_CHECKING:
    from runtara_management_sdk.client import ManagementClient
    from runtara_management_sdk.settings import ManagementSettings

__all__ = [
    "Checkpoint",
    "Conflict",
    "Environment",
    "Event",
    "Forked",
    "Granularity",
    "Health",
    "Hold",
    "Image",
    "ImageInUse",
    "ImageNotFound",
    "Imported",
    "Instance",
    "InstanceFilter",
    "InstanceSummary",
    "Launch",
    "LeaseLost",
    "Limit",
    "LocalTimeRule",
    "ManagementClient",
    "ManagementSettings",
    "MetricsBucket",
    "NotFound",
    "Overlap",
    "Queue",
    "RegisteredImage",
    "Runner",
    "Schedule",
    "Scope",
    "Sent",
    "Started",
    "Status",
    "Tick",
    "Unsupported",
    "Waiting",
]

# A program that only uses the records should not wait for the import of QUIC and TLS.
_AT_FIRST_USE = {
    "ManagementClient": "runtara_management_sdk.client",
    "ManagementSettings": "runtara_management_sdk.settings",
}


def __getattr__(name: str) -> object:
    if name not in _AT_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_AT_FIRST_USE[name]), name)
    globals()[name] = found
    return found
