"""The port to stored environments and their leases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from runtara_domain.model.environments import Lease, NewEnvironment, Renewal
    from runtara_domain.model.stored_environments import Environment


class Environments(Protocol):
    """
    Environments and workers, each with a lease.

    Leases begin and end by the database's clock, so these steps take no time from the caller. Each
    step returns that clock's time, by which callers correct the `at` of all other steps.
    """

    async def open(self, new: NewEnvironment, *, ttl: timedelta) -> Lease:
        """
        Take a lease for `ttl`, or renew the lease of this id.

        The environment keeps its open launches, unless its lease had expired and another one has
        closed them. A drain ends, except for a worker with a valid lease. Associations of instances
        with images that a Rust environment made are taken over. Rows of other environments are
        deleted if their lease expired a day ago and they have no open launch. Raises InvalidValue
        if the id belongs to another kind of environment.
        """
        ...

    async def renew(
        self,
        environment_id: str,
        *,
        ttl: timedelta,
        clock_offset: timedelta = timedelta(0),
        silence: timedelta = timedelta(seconds=120),
        lost_silence: timedelta = timedelta(seconds=45),
    ) -> Renewal | None:
        """
        Renew the lease, also an expired one, and return what an idle environment must know.

        It is one statement, and the only one of an idle environment. Returns None if the
        environment is unknown or has ended its lease; the caller must then open it again.
        clock_offset: how far the caller's clock is ahead of the database's. silence, lost_silence:
        as in `Offer`.
        """
        ...

    async def close(self, environment_id: str) -> None:
        """End the lease; the environment's open launches count as lost at once."""
        ...

    async def drain(self, environment_id: str, *, draining: bool) -> bool:
        """Forbid the environment to claim, or allow it again; False if it does not exist."""
        ...

    async def leave(self, environment_id: str) -> None:
        """
        Have it claim nothing more until it is opened again: its process ends.

        A claim that is under way has been carried out by then. What operators drain stays drained.
        """
        ...

    async def page(self, *, gone_for: timedelta = timedelta(days=1)) -> Sequence[Environment]:
        """Read environments by id, except those whose lease expired longer ago than `gone_for`."""
        ...
