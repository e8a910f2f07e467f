"""Records of lists of instances; times are aware datetimes, None stands for no value."""

from datetime import datetime

from runtara_domain.record import record
from runtara_management_sdk.states import Status, Waiting


@record(kw_only=True)
class InstanceSummary:
    """An instance in a list. `next_at`: when it next goes on by itself; None if it won't."""

    instance_id: str
    tenant_id: str
    status: Status
    created_at: datetime
    image_id: str | None = None
    workflow: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    has_error: bool = False
    error: str | None = None
    waiting_for: tuple[Waiting, ...] = ()
    next_at: datetime | None = None
    is_blocked: bool = False
    queue: str | None = None


@record(kw_only=True)
class InstanceFilter:
    """Selects instances that match every field; a field that is None matches all."""

    tenant_id: str | None = None
    status: Status | None = None
    workflow: str | None = None
    image_id: str | None = None
    image_name_prefix: str | None = None
    error_contains: str | None = None
    is_blocked: bool | None = None
    queue: str | None = None
    parent_id: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    finished_after: datetime | None = None
    finished_before: datetime | None = None
