"""Records of limits, queues and holds, which keep instances from being launched."""

from datetime import datetime, timedelta
from enum import StrEnum

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.record import record


class Scope(StrEnum):
    """The kind of thing that a limit or a hold covers."""

    TENANT = "tenant"
    IMAGE = "image"
    """All versions of an image name of a tenant."""
    WORKFLOW = "workflow"
    QUEUE = "queue"


@record
class Limit:
    """
    The most open launches, in all environments together.

    name: of the image or queue; empty for a tenant. max_concurrent: None is no bound. For queues
    only: per_environment bounds the open launches of one environment or worker, and `rate` the
    launches that begin within `rate_period`.
    """

    scope: Scope
    tenant_id: str
    name: str = ""
    max_concurrent: int | None = None
    per_environment: int | None = None
    rate: int | None = None
    rate_period: timedelta | None = None

    def __post_init__(self) -> None:
        if self.scope is Scope.WORKFLOW:
            raise InvalidValue("scope: a limit takes tenant, image or queue, got workflow")
        _check_named(self.scope, self.tenant_id, self.name)
        for field, number in (
            ("max_concurrent", self.max_concurrent),
            ("per_environment", self.per_environment),
            ("rate", self.rate),
        ):
            if number is not None:
                values.check_range(field, number, 0, values.MAX_LIMIT)
        bounds_a_queue = (self.per_environment, self.rate, self.rate_period) != (None, None, None)
        if bounds_a_queue and self.scope is not Scope.QUEUE:
            raise InvalidValue(f"per_environment, rate: take the scope queue, got {self.scope}")
        if (self.rate is None) != (self.rate_period is None):
            raise InvalidValue("rate and rate_period: give both or none of them")


@record
class LimitUse:
    """
    A limit with its present use.

    running: the number of open launches. waiting: the number of a queue's open instances without an
    open launch; 0 for other scopes. oldest_waiting_at: when the first of these was created.
    """

    limit: Limit
    running: int
    waiting: int = 0
    oldest_waiting_at: datetime | None = None


@record
class Hold:
    """
    A hold: no covered instance is launched.

    tenant_id: empty covers the name in every tenant. name: of the image or workflow; empty for a
    tenant.
    """

    scope: Scope
    tenant_id: str
    name: str = ""
    reason: str = ""
    created_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.scope is Scope.QUEUE:
            raise InvalidValue("scope: a hold takes tenant, image or workflow, got queue")
        if self.scope is Scope.TENANT or self.tenant_id:
            _check_named(self.scope, self.tenant_id, self.name)
        else:
            values.check_id("name", self.name)
        values.check_note("reason", self.reason)

    def covers(self, tenant_id: str, image_name: str | None, workflow: str | None) -> bool:
        """Return whether the hold covers an instance of this tenant, image and workflow."""
        if self.tenant_id not in ("", tenant_id):
            return False
        match self.scope:
            case Scope.TENANT:
                return True
            case Scope.IMAGE:
                return self.name == image_name
            case _:
                return self.name == workflow


def _check_named(scope: Scope, tenant_id: str, name: str) -> None:
    values.check_id("tenant_id", tenant_id)
    if scope is Scope.TENANT:
        if name:
            raise InvalidValue(f"name: takes no text with the scope tenant, got {name!r}")
    else:
        values.check_id("name", name)
