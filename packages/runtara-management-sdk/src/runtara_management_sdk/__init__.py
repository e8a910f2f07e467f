"""The typed client of a Runtara environment's management port."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtara_management_sdk.client import ManagementClient
    from runtara_management_sdk.environment_records import Environment
    from runtara_management_sdk.errors import (
        Conflict,
        ImageInUse,
        ImageNotFound,
        LeaseLost,
        NotFound,
        Unsupported,
    )
    from runtara_management_sdk.image_records import Image, RegisteredImage, Runner
    from runtara_management_sdk.instance_records import Checkpoint, Event, Instance, Launch
    from runtara_management_sdk.list_records import InstanceFilter, InstanceSummary
    from runtara_management_sdk.operator_records import (
        Granularity,
        Health,
        Hold,
        Limit,
        MetricsBucket,
        Queue,
        Scope,
    )
    from runtara_management_sdk.result_records import Forked, Imported, Sent, Started
    from runtara_management_sdk.schedule_records import LocalTimeRule, Overlap, Schedule, Tick
    from runtara_management_sdk.settings import ManagementSettings
    from runtara_management_sdk.states import Status, Waiting

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

_NAMES = {
    "result_records": ("Forked", "Imported", "Sent", "Started"),
    "errors": (
        "Conflict",
        "ImageInUse",
        "ImageNotFound",
        "LeaseLost",
        "NotFound",
        "Unsupported",
    ),
    "instance_records": (
        "Checkpoint",
        "Event",
        "Instance",
        "Launch",
    ),
    "list_records": (
        "InstanceFilter",
        "InstanceSummary",
    ),
    "states": ("Status", "Waiting"),
    "environment_records": ("Environment",),
    "image_records": (
        "Image",
        "RegisteredImage",
        "Runner",
    ),
    "operator_records": (
        "Granularity",
        "Health",
        "Hold",
        "Limit",
        "MetricsBucket",
        "Queue",
        "Scope",
    ),
    "schedule_records": (
        "LocalTimeRule",
        "Overlap",
        "Schedule",
        "Tick",
    ),
    "client": ("ManagementClient",),
    "settings": ("ManagementSettings",),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}

if not TYPE_CHECKING:
    # At first use: a program that only lists should not wait for the import of QUIC and TLS, nor
    # for records that it never gets.
    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = found
        return found
