"""A worker that claims through an environment: it asks the database only if that may give more."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.domain.launching.world import TENANT, World

from runtara_domain.error import DatabaseError
from runtara_domain.launching.launcher import Launcher
from runtara_domain.model.environments import NewEnvironment
from runtara_domain.model.launches import Claims, InstanceStart, Offer
from runtara_domain.model.stored_environments import EnvironmentKind
from runtara_environment.errors import LeaseLost
from runtara_environment.served_worker import ServedWorker

LONG = timedelta(days=1)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as world:
        yield world


async def served(world: World, launcher: Launcher) -> ServedWorker:
    """Open a worker that serves one workflow."""
    worker = NewEnvironment(
        environment_id="w", machine="m", capacity=9, kind=EnvironmentKind.WORKER, tenant_id=TENANT
    )
    await world.persistence.environments.open(
        replace(worker, workflows=frozenset({"flow"})), ttl=timedelta(seconds=30)
    )
    offer = Offer(environment_id="w", workflows=frozenset({"flow"}), tenant_id=TENANT)
    return ServedWorker(offer=offer, launches=world.persistence.launches, launcher=launcher)


async def start(world: World, instance_id: str, *, delay: timedelta | None = None) -> None:
    at = world.clock.now()
    after = None if delay is None else at + delay
    started = InstanceStart(
        instance_id=instance_id, tenant_id=TENANT, workflow="flow", launch_after=after
    )
    await world.persistence.launches.start(started, at=at)
    await world.settle()


async def test_a_claim_that_can_give_nothing_asks_nothing(world: World) -> None:
    calls = world.count_calls()
    async with world.launcher() as launcher:
        worker = await served(world, launcher)
        await start(world, "i")
        await start(world, "j")
        first = await worker.claim(1)
        rest = await worker.claim(5)
        calls.clear()
        nothing = await worker.claim(5)
        asked = calls["claim"]
        await start(world, "k")
        more = await worker.claim(5)

    assert [one.instance_id for one in (*first, *rest, *more)] == ["i", "j", "k"]
    assert (nothing, asked) == ((), 0)


async def test_what_becomes_due_by_itself_is_claimed_then(world: World) -> None:
    async with world.launcher() as launcher:
        worker = await served(world, launcher)
        await start(world, "i", delay=timedelta(seconds=2))
        early = await worker.claim(5)
        left = worker.until_next(LONG)
        world.clock.advance(left)
        due = await worker.claim(5)

    assert (early, left) == ((), timedelta(seconds=2))
    assert [one.instance_id for one in due] == ["i"]


async def test_a_claim_that_failed_is_asked_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also without any news: what it may have left is still there."""

    async def fail(*arguments: object, **options: object) -> None:
        raise DatabaseError("the disk is full")

    async with world.launcher() as launcher:
        worker = await served(world, launcher)
        await start(world, "i")
        with monkeypatch.context() as failing:
            failing.setattr(world.persistence.launches, "claim", fail)
            with pytest.raises(DatabaseError):
                await worker.claim(5)
        claimed = await worker.claim(5)
        await world.pass_time(40, step=5)
        with pytest.raises(LeaseLost):
            await worker.claim(5)

    assert [one.instance_id for one in claimed] == ["i"]


async def test_of_two_claims_at_once_the_last_answer_counts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it gave as many as were asked for, the next claim asks the database."""
    async with world.launcher() as launcher:
        worker = await served(world, launcher)
        await start(world, "i")
        await start(world, "j")
        claim, may_end = world.persistence.launches.claim, asyncio.Event()

        async def slow(offer: Offer, *, limit: int, at: datetime) -> Claims:
            found = await claim(offer, limit=limit, at=at)
            if limit == 1:
                await may_end.wait()
            return found

        monkeypatch.setattr(world.persistence.launches, "claim", slow)
        full = asyncio.create_task(worker.claim(1))
        await world.settle()
        rest = await worker.claim(5)
        may_end.set()
        first = await full
        calls = world.count_calls()
        worker.launches = world.persistence.launches
        await worker.claim(5)

    assert [one.instance_id for one in (*first, *rest)] == ["i", "j"]
    assert calls["claim"] == 1
