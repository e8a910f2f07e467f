"""A worker that claims through this environment's port."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from runtara_domain.launching.launcher import Launcher
from runtara_domain.model.launches import Assignment, Offer
from runtara_domain.ports.launches import Launches
from runtara_environment.errors import LeaseLost


@dataclass(slots=True, kw_only=True, eq=False)
class ServedWorker:
    """The claims of a worker that has opened its lease here."""

    offer: Offer
    launches: Launches
    launcher: Launcher
    _heard: int | None = None
    """`launchable.count` at the last claim, if that gave all there was."""
    _next_at: datetime | None = None

    async def claim(self, limit: int) -> Sequence[Assignment]:
        """
        Claim instances; asks the database only if it may give one.

        After a claim that gave all there was, the database may give more once instances may have
        become launchable, or at the moment that the claim returned. Raises LeaseLost, and
        DatabaseError.
        """
        heard, at = self.launcher.launchable.count, self.launcher.now()
        if heard == self._heard and (self._next_at is None or at < self._next_at):
            return ()
        # A claim that fails may have left something.
        self._heard = None
        claims = await self.launches.claim(self.offer, limit=limit, at=at)
        self.launcher.answered(claims, heard, limit)
        if not claims.has_lease:
            raise LeaseLost("the worker's lease has expired; open it again")
        moments = [each for each in (claims.again_at, claims.next_at) if each is not None]
        # Both are of the same claim, because another one may have been answered meanwhile.
        self._heard = heard if len(claims.assignments) < limit else None
        self._next_at = min(moments, default=None)
        return claims.assignments

    def until_next(self, longest: timedelta) -> timedelta:
        """Return the time until a claim may give more without a call of `launchable`."""
        if self._next_at is None:
            return longest
        return min(longest, max(self._next_at - self.launcher.now(), timedelta(0)))
