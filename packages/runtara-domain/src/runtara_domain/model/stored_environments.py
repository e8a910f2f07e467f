"""Environments as they are stored: processes that launch instances."""

from datetime import datetime
from enum import StrEnum

from runtara_domain.record import record


class EnvironmentKind(StrEnum):
    """The kind of an environment."""

    ENVIRONMENT = "environment"
    """It runs images."""
    WORKER = "worker"
    """It runs workflows in its own process."""
    NODE = "node"
    """It runs the launches that an environment places on its node of a cluster; it claims none."""


@record(kw_only=True)
class Environment:
    """
    A stored environment.

    clock_offset_ms: how far its clock was ahead of the database's at the last renewal. closed_at:
    when it ended its lease; None if it did not.
    """

    environment_id: str
    kind: EnvironmentKind
    machine: str
    boot_id: str
    version: str
    capacity: int
    open_launches: int
    started_at: datetime
    lease_until: datetime
    clock_offset_ms: int = 0
    is_draining: bool = False
    closed_at: datetime | None = None
    tenant_id: str | None = None
    workflows: tuple[str, ...] = ()
