"""Requests that the management port holds, with a clock that tests move and no network."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from tests.contract.launching import put_image
from tests.domain.launching.world import TENANT, World

from runtara_domain.error import ShuttingDown
from runtara_domain.launching import endings
from runtara_domain.launching.crashes import CrashPolicy
from runtara_domain.launching.launcher import Launcher
from runtara_domain.model import Signal
from runtara_domain.model.launches import InstanceStart
from runtara_domain.model.stored_launches import Launch
from runtara_domain.ports.transport import OnAbandoned, never_abandoned
from runtara_domain.status import OPEN, SignalType
from runtara_environment.management import Management, ManagementRequest
from runtara_environment.management_handlers import instances, workers
from runtara_protocol.pb import environment_pb2 as pb

CLAIM = pb.ClaimLaunchesRequest(environment_id="w", limit=5, wait_ms=60_000)


async def no_log(tenant_id: str, launch: Launch, offset: int, limit: int) -> None:
    """Find no log."""


def management(world: World, launcher: Launcher) -> Management:
    return Management(
        persistence=world.persistence,
        launcher=launcher,
        clock=world.clock,
        check_image=lambda path, runner, metadata: None,
        read_log=no_log,
        forget_files=lambda tenant, instances: None,
        obstacle=lambda image: None,
        crashes=CrashPolicy(),
        version="1",
        environment_id="here",
        image_max_bytes=1,
        began_at=world.clock.uptime(),
    )


def request(on_abandoned: OnAbandoned = never_abandoned) -> ManagementRequest:
    return ManagementRequest(on_abandoned, None)  # type: ignore[arg-type]  # Nothing is uploaded.


async def open_worker(core: Management) -> None:
    served = [pb.ServedWorkflow(name="flow")]
    opening = pb.OpenWorkerRequest(
        environment_id="w", tenant_id=TENANT, workflows=served, capacity=2, machine="m"
    )
    await workers.open_worker(core, request(), opening)


async def start(world: World, seconds: float) -> None:
    now = world.clock.now()
    delayed = InstanceStart(
        instance_id="i",
        tenant_id=TENANT,
        workflow="flow",
        launch_after=now + timedelta(seconds=seconds),
    )
    await world.persistence.launches.start(delayed, at=now)


def given(claiming: asyncio.Task[pb.RpcResponse]) -> list[str]:
    return [one.instance_id for one in claiming.result().claim_launches.assignments]


@pytest.mark.parametrize("capacity", [0, 9])
@pytest.mark.parametrize("delay", [5.0, 18.0])
async def test_a_workers_claim_is_answered_when_a_delay_is_over(
    world: World, delay: float, capacity: int
) -> None:
    """The answer comes at that moment without polling, also where the environment claims none."""
    async with world.launcher(capacity=capacity) as launcher:
        core = management(world, launcher)
        await open_worker(core)
        # For longer than the worker would have to renew its lease meanwhile.
        await world.persistence.environments.renew("w", ttl=timedelta(minutes=1))
        await world.pass_time(2)
        calls = world.count_calls()
        claiming = asyncio.create_task(workers.claim_launches(core, request(), CLAIM))
        await world.settle()
        await start(world, delay)
        await world.pass_time(delay - 0.5)
        assert not claiming.done()
        assert calls["claim"] <= 6
        await world.pass_time(0.5)

        assert given(claiming) == ["i"]


async def test_a_claim_that_is_given_up_takes_nothing(world: World) -> None:
    """What becomes launchable then is there for the next."""
    calls: list[Callable[[], None]] = []

    @contextmanager
    def on_abandoned(call: Callable[[], None]) -> Iterator[None]:
        calls.append(call)
        yield

    async with world.launcher() as launcher:
        core = management(world, launcher)
        await open_worker(core)
        claiming = asyncio.create_task(workers.claim_launches(core, request(on_abandoned), CLAIM))
        await world.settle()
        await start(world, 5)
        await world.settle()
        world.clock.advance(timedelta(seconds=5))
        for call in calls:
            call()
        await world.settle()
        again = await workers.claim_launches(core, request(), CLAIM)

        assert given(claiming) == []
        assert [one.instance_id for one in again.claim_launches.assignments] == ["i"]


async def test_a_wait_reads_once_at_its_begin_and_once_at_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end that is heard just after a reopening does not end it."""
    for name in ("_FIRST_LOOK", "_LAST_LOOK"):
        monkeypatch.setattr(endings, name, 1000.0)
    reads = world.count_calls()
    async with world.launcher() as launcher:
        core = management(world, launcher)
        await start(world, 1000)
        reads.clear()
        wait = pb.WaitInstanceRequest(instance_id="i", wait_ms=60_000)
        waiting = asyncio.create_task(instances.wait_instance(core, request(), wait))
        await world.settle()
        begun = reads.copy()
        core.operations.endings.ended(["i"])
        await world.settle()
        assert not waiting.done()
        reads.clear()
        await world.persistence.signals.send(
            "i", Signal(SignalType.CANCEL), when=OPEN, at=world.clock.now()
        )
        core.operations.endings.ended(["i"])
        async with asyncio.timeout(50):
            answer = await waiting

        assert answer.wait_instance.instance.status == pb.STATUS_CANCELLED
        assert (begun["run_states"], begun["view"]) == (1, 0)
        assert (reads["run_states"], reads["run_state"], reads["view"]) == (0, 0, 1)


async def test_what_is_held_is_answered_when_the_environment_ends(world: World) -> None:
    """A wait is refused, so that it goes on elsewhere; a claim has taken nothing."""
    async with world.launcher() as launcher:
        core = management(world, launcher)
        await open_worker(core)
        image = await put_image(world.persistence, tenant_id=TENANT)
        started = InstanceStart(instance_id="long", tenant_id=TENANT, image_id=image.image_id)
        await world.persistence.launches.start(started, at=world.clock.now())
        wait = pb.WaitInstanceRequest(instance_id="long", wait_ms=60_000)
        waiting = asyncio.create_task(instances.wait_instance(core, request(), wait))
        claiming = asyncio.create_task(workers.claim_launches(core, request(), CLAIM))
        await world.settle()
        assert not waiting.done()
        assert not claiming.done()
        core.end()
        async with asyncio.timeout(50):
            await asyncio.wait([waiting, claiming])

        assert given(claiming) == []
        with pytest.raises(ShuttingDown, match="shutting down"):
            waiting.result()
