"""What environments need stored about themselves: leases, by the database's clock."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from runtara_domain.model.environments import Environment, Lease, NewEnvironment, Renewal


class Environments(Protocol):
    """
    Environments and workers, each with a lease.

    The only steps that take no time from the caller: leases begin and end by the database's clock,
    which each step tells, so that callers correct the `at` of all other steps by it.
    """

    async def open(self, new: NewEnvironment, *, ttl: timedelta) -> Lease:
        """
        Take a lease for `ttl`, or go on with the one of this id.

        Open launches of the environment stay its own, unless its lease was over and another has
        closed them. A drain is taken back, but for a worker whose lease is good. Associations of
        instances with images that a Rust environment made are taken over. Rows of others are
        forgotten whose lease has been over for a day and that have no open launch. Raises
        InvalidValue if the id is of another kind.
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
        Renew the lease, also one that is over, and tell what is to be known at rest.

        One statement; at rest it is the only one. None if the environment is unknown or has given
        its lease up: open it again. clock_offset: how far the caller's own clock is ahead.
        silence, lost_silence: as in `Offer`.
        """
        ...

    async def close(self, environment_id: str) -> None:
        """Give the lease up; launches that are still open count as lost at once."""
        ...

    async def drain(self, environment_id: str, *, draining: bool) -> bool:
        """Have it claim nothing more, or again; False if there is no such environment."""
        ...

    async def page(self, *, gone_for: timedelta = timedelta(days=1)) -> Sequence[Environment]:
        """Read all, by id, whose lease is good or has been over for no longer than that."""
        ...
