"""Which nodes are lost, by the leases of their agents."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from tests.support.clock import FrozenClock

from runtara_domain.error import DatabaseError
from runtara_domain.model.environments import NewEnvironment
from runtara_domain.model.launch_ends import Cause
from runtara_domain.model.stored_environments import Environment, EnvironmentKind
from runtara_environment.placements.ray_cluster.nodes import MISSED, NodeWatch
from runtara_persistence.memory import MemoryPersistence

TTL = timedelta(seconds=15)
SECOND = timedelta(seconds=1)
AGENT = "env@node"


class Away:
    """A database that is away."""

    async def page(self, *, gone_for: timedelta = TTL) -> Sequence[Environment]:
        raise DatabaseError("away")


@pytest.fixture
async def leased() -> tuple[FrozenClock, MemoryPersistence]:
    """An agent's lease that has just begun."""
    clock = FrozenClock()
    persistence = MemoryPersistence(clock=clock)
    await persistence.__aenter__()
    agent = NewEnvironment(
        environment_id=AGENT, machine="there", capacity=0, kind=EnvironmentKind.NODE
    )
    await persistence.environments.open(agent, ttl=TTL)
    return clock, persistence


async def test_a_node_is_lost_whose_lease_stays_over(
    leased: tuple[FrozenClock, MemoryPersistence],
) -> None:
    """Its processes may live: they are waited for."""
    clock, persistence = leased
    watch = NodeWatch(persistence.environments)
    assert await watch.look([AGENT], clock.uptime()) == {}
    clock.set(clock.now() + TTL + SECOND)
    assert await watch.look([AGENT], SECOND) == {}
    assert await watch.look([AGENT], MISSED) == {}

    lost = await watch.look([AGENT], MISSED + SECOND)

    assert lost[AGENT][0] is Cause.ENVIRONMENT_LOST


async def test_an_agent_that_left_has_ended_what_it_launched(
    leased: tuple[FrozenClock, MemoryPersistence],
) -> None:
    """Nothing is waited for."""
    _, persistence = leased
    await persistence.environments.close(AGENT)

    lost = await NodeWatch(persistence.environments).look([AGENT], SECOND)

    assert lost[AGENT][0] is Cause.RUNNER_FAILED


async def test_an_outage_of_the_database_loses_no_node(
    leased: tuple[FrozenClock, MemoryPersistence],
) -> None:
    """Leases that ran out meanwhile are given time to be renewed."""
    clock, persistence = leased
    watch = NodeWatch(persistence.environments)
    clock.set(clock.now() + TTL + SECOND)
    assert await watch.look([AGENT], SECOND) == {}
    watch.environments = Away()  # type: ignore[assignment]  # It has what is called.
    with pytest.raises(DatabaseError):
        await watch.look([AGENT], 20 * SECOND)
    watch.environments = persistence.environments

    assert await watch.look([AGENT], 21 * SECOND) == {}
    await persistence.environments.renew(AGENT, ttl=TTL)
    assert await watch.look([AGENT], 40 * SECOND) == {}
