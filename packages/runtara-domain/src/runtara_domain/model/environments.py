"""Records by which environments take and renew the leases with which they launch instances."""

from collections.abc import Collection
from datetime import datetime

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.model.stored_environments import EnvironmentKind
from runtara_domain.record import record


@record(kw_only=True)
class NewEnvironment:
    """
    An environment that takes a lease, or renews the lease that it has.

    environment_id: chosen by the environment, and kept over restarts. boot_id: identifies the start
    of its machine. capacity: the most open launches; with 0 it claims nothing. tenant_id,
    workflows: of a worker, the tenant and the names of the workflows that it runs.
    """

    environment_id: str
    machine: str
    boot_id: str = ""
    version: str = ""
    capacity: int = 1
    kind: EnvironmentKind = EnvironmentKind.ENVIRONMENT
    tenant_id: str | None = None
    workflows: Collection[str] = ()

    def __post_init__(self) -> None:
        values.check_id("environment_id", self.environment_id)
        for field, text in (
            ("machine", self.machine),
            ("boot_id", self.boot_id),
            ("version", self.version),
        ):
            values.check_text(field, text)
        values.check_range("capacity", self.capacity, 0, values.MAX_LIMIT)
        if self.tenant_id is not None:
            values.check_id("tenant_id", self.tenant_id)
        for workflow in self.workflows:
            values.check_id("workflows", workflow)

    def another_kind(self) -> InvalidValue:
        """Return the error for an id that belongs to an environment of another kind."""
        return InvalidValue(
            f"environment_id: takes the id of a {self.kind.value}, and {self.environment_id!r} is"
            " of another kind: choose another id"
        )


@record(kw_only=True)
class Lease:
    """
    An environment's lease after it was opened or renewed.

    now: the database's time at the step; the environment corrects its clock by the difference.
    until: when the lease ends, by the database's clock. is_draining: an operator drains it, so it
    must claim nothing more.
    """

    now: datetime
    until: datetime
    is_draining: bool = False


@record(kw_only=True)
class Renewal(Lease):
    """
    A renewed lease, and everything that an idle environment must know.

    is_anything_launchable: whether some instance is launchable now, in any environment, even if a
    hold or limit keeps it back. next_launchable_at: the earliest moment after `now` at which
    another instance becomes launchable without a signal. next_stop_at: the earliest `stop_at` of
    open instances. next_tick_at: the earliest time at which a schedule must be read; it may have
    passed. lost: environments with open launches whose lease has expired or was ended.
    next_lease_over_at: when the next environment is lost, unless it renews its lease.
    """

    is_anything_launchable: bool = False
    next_launchable_at: datetime | None = None
    next_stop_at: datetime | None = None
    next_tick_at: datetime | None = None
    lost: frozenset[str] = frozenset()
    next_lease_over_at: datetime | None = None
