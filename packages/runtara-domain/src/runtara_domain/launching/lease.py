"""An environment's lease, and the database's clock."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from runtara_domain.error import DatabaseError
from runtara_domain.launching.timed_event import TimedEvent
from runtara_domain.model.environments import Lease, NewEnvironment, Renewal
from runtara_domain.ports.clock import Clock
from runtara_domain.ports.environments import Environments
from runtara_domain.record import record

logger = logging.getLogger(__name__)


@record(kw_only=True)
class LeaseTimes:
    """
    ttl: how long a lease is valid. every: the time between renewals. again: the time after a failed
    renewal, and between requested renewals. steady: how long renewals must have succeeded before
    another environment's lease counts as expired. lost_silence: after how much silence instances of
    a lost environment are launchable.
    """

    ttl: timedelta = timedelta(seconds=30)
    every: timedelta = timedelta(seconds=10)
    again: timedelta = timedelta(milliseconds=50)
    after_failure: timedelta = timedelta(seconds=1)
    steady: timedelta = timedelta(seconds=30)
    lost_silence: timedelta = timedelta(seconds=45)

    @classmethod
    def lasting(cls, ttl: timedelta) -> "LeaseTimes":
        """Return the times for leases of `ttl`, in proportion, with an upper bound for `every`."""
        # Only renewals report instances that become due in more than fifteen seconds.
        every = min(ttl / 3, cls().every)
        return cls(ttl=ttl, every=every, steady=ttl, lost_silence=ttl * 1.5)


class LeaseKeeper:
    """
    Holds a lease and renews it.

    `renewed` is called with each renewal. silence: as in `Offer`. The lease is counted from before
    its request, on the monotonic clock, so the keeper never counts it as valid for longer than the
    database does.
    """

    def __init__(
        self,
        environments: Environments,
        clock: Clock,
        new: NewEnvironment,
        times: LeaseTimes,
        silence: timedelta,
        renewed: Callable[[Renewal], None],
    ) -> None:
        self._environments, self._clock, self._new, self._times = environments, clock, new, times
        self._silence, self._renewed = silence, renewed
        self._wake_up = TimedEvent(clock)
        self._good_until = self._answered_at = timedelta(0)
        self._database_now: datetime | None = None
        self._steady_since: timedelta | None = None
        self._next_lease_over_at: datetime | None = None
        self._waits_to_be_steady = False
        self._lapses = 0

    def now(self) -> datetime:
        """
        Return the database's time, as estimated from the last renewal.

        This machine's clock counts as right if the renewal does not show that it is wrong. So the
        estimate may be ahead of the database, or behind it, by at most the renewal's round trip.
        """
        if self._database_now is None:
            return self._clock.now()
        gone = self._clock.uptime() - self._answered_at
        return self._database_now + gone // _MILLISECOND * _MILLISECOND

    def is_good(self) -> bool:
        """Return whether the lease is valid at this moment."""
        return self._clock.uptime() < self._good_until

    def unbroken(self) -> Callable[[], bool]:
        """Return a function that returns whether the lease was valid without a gap since now."""
        lapses = self._lapses
        return lambda: self.is_good() and self._lapses == lapses

    def may_take_over(self) -> bool:
        """Return whether renewals have succeeded for long enough to judge other leases."""
        since = self._steady_since
        return since is not None and self._clock.uptime() - since >= self._times.steady

    async def open(self) -> None:
        """Take the lease; raises DatabaseError."""
        asked_at = self._clock.uptime()
        self._hold(await self._environments.open(self._new, ttl=self._times.ttl), asked_at)

    def ask(self) -> None:
        """Renew soon: a renewal also returns the next times at which there is something to do."""
        self._wake_up.set()

    async def keep(self) -> None:
        """Renew until cancelled."""
        while True:
            self._wake_up.clear()
            if await self._has_renewed():
                await self._clock.pause(self._times.again)
                await self._wake_up.wait(self._until_next())
            else:
                await self._clock.pause(self._times.after_failure)

    async def leave(self) -> None:
        """Stop claims under the lease until it is opened again; raises DatabaseError."""
        await self._environments.leave(self._new.environment_id)

    async def close(self) -> None:
        """End the lease; raises DatabaseError."""
        self._good_until = timedelta(0)
        await self._environments.close(self._new.environment_id)

    async def _has_renewed(self) -> bool:
        try:
            await self._renew()
        except DatabaseError as error:
            self._steady_since = None
            logger.warning("the lease can't be renewed: %s", error)
            return False
        # If the answer took longer than the lease is valid, there is no lease.
        return self.is_good()

    def _until_next(self) -> timedelta:
        """Return the time to the next renewal, or until another lease may expire."""
        every = self._times.every - self._times.again
        spans = [every]
        if self._next_lease_over_at is not None:
            spans.append(self._next_lease_over_at - self.now())
        if self._waits_to_be_steady and self._steady_since is not None:
            spans.append(self._steady_since + self._times.steady - self._clock.uptime())
        return max(min(spans), timedelta(0))

    async def _renew(self) -> None:
        asked_at = self._clock.uptime()
        renewal = await self._environments.renew(
            self._new.environment_id,
            ttl=self._times.ttl,
            clock_offset=self._clock.now() - self.now(),
            silence=self._silence,
            lost_silence=self._times.lost_silence,
        )
        if renewal is None:
            self._steady_since = None
            await self.open()
            return
        self._hold(renewal, asked_at)
        self._next_lease_over_at = renewal.next_lease_over_at
        self._waits_to_be_steady = bool(renewal.lost) and not self.may_take_over()
        self._renewed(renewal)

    def _hold(self, lease: Lease, asked_at: timedelta) -> None:
        self._answered_at = self._clock.uptime()
        has_lapsed = self._answered_at >= self._good_until
        self._lapses += has_lapsed
        # Both show an outage, even if no renewal failed.
        was_late = self._answered_at - asked_at >= self._times.every
        if self._steady_since is None or has_lapsed or was_late:
            self._steady_since = self._answered_at
        # The database has read its clock at some time between the request and the answer.
        latest = lease.now + (self._answered_at - asked_at) // _MILLISECOND * _MILLISECOND
        self._database_now = max(lease.now, min(self._clock.now(), latest))
        self._good_until = asked_at + (lease.until - lease.now)


_MILLISECOND = timedelta(milliseconds=1)
