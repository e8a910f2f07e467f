"""The database's time, as an environment reckons it from the answers to its renewals."""

from datetime import timedelta
from typing import cast

import pytest
from tests.support.clock import FrozenClock

from runtara_domain.launching.lease import LeaseKeeper, LeaseTimes
from runtara_domain.model.environments import Lease, NewEnvironment
from runtara_domain.model.stored_environments import EnvironmentKind
from runtara_domain.ports.environments import Environments

SECOND = timedelta(seconds=1)


class SlowDatabase:
    """Reads its clock, which is off by so much, a second after the request, and answers later."""

    def __init__(self, clock: FrozenClock, off: timedelta) -> None:
        self._clock, self._off = clock, off

    async def open(self, new: NewEnvironment, *, ttl: timedelta) -> Lease:
        self._clock.advance(SECOND)
        now = self._clock.now() + self._off
        self._clock.advance(3 * SECOND)
        return Lease(now=now, until=now + ttl)


@pytest.mark.parametrize(
    ("off", "counted"),
    [(0, 0), (2.5, 0), (-0.5, 0), (10, 7), (-10, -9)],
    ids=["right", "a little ahead", "a little behind", "far ahead", "far behind"],
)
async def test_a_clock_is_corrected_only_as_far_as_it_is_known_to_be_wrong(
    off: float, counted: float
) -> None:
    """Two environments of a machine thus have the same time, however long their renewals take."""
    clock = FrozenClock()
    database = cast("Environments", SlowDatabase(clock, off * SECOND))
    environment = NewEnvironment(
        environment_id="e", machine="m", version="1", capacity=1, kind=EnvironmentKind.WORKER
    )
    lease = LeaseKeeper(database, clock, environment, LeaseTimes(), SECOND, lambda renewal: None)
    await lease.open()

    clock.advance(SECOND)
    assert lease.now() - clock.now() == counted * SECOND
