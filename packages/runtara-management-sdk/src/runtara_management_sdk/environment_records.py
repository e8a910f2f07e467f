"""The record of an environment; times are aware datetimes."""

from datetime import datetime, timedelta

from runtara_domain.record import record


@record(kw_only=True)
class Environment:
    """
    An environment or a worker with its lease.

    kind: `environment` or `worker`. clock_offset: how far its clock is ahead of the database's.
    """

    environment_id: str
    kind: str
    machine: str
    version: str
    capacity: int
    open_launches: int
    started_at: datetime
    lease_until: datetime
    clock_offset: timedelta = timedelta(0)
    is_draining: bool = False
    workflows: tuple[str, ...] = ()
    tenant_id: str | None = None
