"""Runs of a worker whose ends have closed their launches."""

import pytest
from tests.domain.launching.world import TENANT, WORKFLOW, Process, World

from runtara_domain.launching.launcher import Launcher
from runtara_domain.model.launch_ends import Cause
from runtara_domain.model.launches import InstanceStart
from runtara_domain.model.stored_environments import EnvironmentKind
from runtara_domain.ports.placements import StopSignal


def worker(world: World, capacity: int = 1) -> Launcher:
    return world.launcher("worker", kind=EnvironmentKind.WORKER, capacity=capacity)


async def start(world: World, launcher: Launcher, instance_id: str) -> None:
    """Start an instance of the worker's workflow."""
    asked = InstanceStart(instance_id=instance_id, tenant_id=TENANT, workflow=WORKFLOW)
    await world.persistence.launches.start(asked, at=world.clock.now())
    launcher.recheck()
    await world.settle()


async def ended(world: World, instance_id: str) -> Process:
    """Have an instance complete by its end, of which its worker has not heard yet."""
    process = world.placement("worker").of(instance_id)
    registered = await world.register(process)
    assert registered.run is not None
    await world.complete(process, registered.run, exit_code=0)
    return process


async def test_a_launch_that_its_run_has_closed_is_not_closed_again(world: World) -> None:
    """Its slot is free, and the next instance is launched there."""
    calls = world.count_calls()
    async with worker(world) as launcher:
        for name in ("a", "b"):
            await start(world, launcher, name)
        process = await ended(world, "a")
        assert (world.placement("worker").living(), launcher.active) == (["a"], 1)

        world.placement("worker").finish(
            process.assignment.launch_id, Cause.EXITED, exit_code=0, is_closed=True
        )
        await world.settle()

        assert (world.placement("worker").living(), launcher.active) == (["b"], 1)
        assert world.placement("worker").confirmed == [process.assignment.launch_id]
        assert calls["close"] == 0


@pytest.mark.parametrize("is_heard", [True, False])
async def test_a_run_has_time_to_say_that_its_launch_is_closed(
    world: World, is_heard: bool
) -> None:
    """A look in between finds no open launch; only a run that stays silent is superseded."""
    async with worker(world) as launcher:
        await start(world, launcher, "i")
        process = await ended(world, "i")
        launcher.recheck()
        await world.settle()
        launcher.recheck()
        await world.pass_time(0.2, step=0.1)
        assert process.sent == []
        if is_heard:
            world.placement("worker").finish(
                process.assignment.launch_id, Cause.EXITED, exit_code=0, is_closed=True
            )
        await world.pass_time(0.2, step=0.1)

    assert process.sent == ([] if is_heard else [StopSignal.KILL])
    [launch] = await world.launches("i")
    assert (launch.cause, launch.exit_code) == ("exited", 0)
