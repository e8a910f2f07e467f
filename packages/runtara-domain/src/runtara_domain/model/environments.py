"""Records of environments: processes that launch instances, and the leases they hold."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from runtara_domain import values
from runtara_domain.error import InvalidValue


class EnvironmentKind(StrEnum):
    """What an environment is."""

    ENVIRONMENT = "environment"
    """It runs images."""
    WORKER = "worker"
    """It runs workflows in its own process."""
    NODE = "node"
    """It runs what an environment places there, on a machine of a cluster, and claims nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEnvironment:
    """
    An environment that takes a lease, or goes on with the one it has.

    environment_id: its own, kept over restarts. boot_id: of the machine's start. capacity: how many
    launches it takes. tenant_id, workflows: of a worker, whose instances it runs, by name.
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
        """Give the error of an id that is stored as something else."""
        return InvalidValue(
            f"environment_id: takes the id of a {self.kind.value}, and {self.environment_id!r} is"
            " of another kind: choose another id"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """
    What an environment holds after it opened or renewed its lease.

    now: the database's clock as the step was carried out; correct the own clock by the difference.
    until: when the lease ends by that clock. is_draining: an operator wants it to claim nothing
    more.
    """

    now: datetime
    until: datetime
    is_draining: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal(Lease):
    """
    A renewed lease, and what an environment at rest must know.

    is_anything_launchable: whether there is an instance to launch by now, in any environment, held
    back or not. next_launchable_at: the earliest moment after `now` at which another one becomes
    launchable by itself. next_stop_at: the earliest `stop_at` of open instances. next_tick_at: when
    a schedule is to be looked at first, by now or later. lost: environments whose lease is over, or
    was given up, while launches of theirs are open. next_lease_over_at: when the next is lost,
    unless it renews its lease before.
    """

    is_anything_launchable: bool = False
    next_launchable_at: datetime | None = None
    next_stop_at: datetime | None = None
    next_tick_at: datetime | None = None
    lost: frozenset[str] = frozenset()
    next_lease_over_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """
    An environment as it is stored.

    clock_offset_ms: how far its own clock was ahead of the database's at the last renewal.
    closed_at: when it gave its lease up; None while it has not.
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
