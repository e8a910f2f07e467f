"""Sequences of several environments: limits, clocks, an outage of the database, and races."""

import asyncio
import json
import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest
from tests.environment.real.fleet import TENANT, Fleet
from tests.environment.real.flows import BOUNDED, FLOW, PROGRAM, begun, notes
from tests.support.environment_process import EnvironmentProcess, OddEnvironment

from runtara_domain.model.limits import Limit, Scope
from runtara_domain.model.stored_launches import LaunchFilter
from runtara_domain.status import State
from runtara_management_sdk import ImageInUse, ImageNotFound
from runtara_sdk import InvalidInstanceState


async def drain(fleet: Fleet, environment: EnvironmentProcess) -> None:
    """Have an environment launch nothing more."""
    environments = fleet.persistence.environments
    assert await environments.drain(environment.environment_id, draining=True)
    await environment.said("is draining")


@pytest.mark.long
async def test_two_environments_at_a_limit_of_which_nine_of_ten_slots_are_taken(
    fleet: Fleet, tmp_path: Path
) -> None:
    """One environment gets the last slot; when a process ends, one more is launched, never two."""
    await fleet.persistence.limits.put(Limit(Scope.TENANT, TENANT, max_concurrent=10))
    names = [f"i{number}" for number in range(15)]
    for name in names:
        os.mkfifo(tmp_path / name)
    image = await fleet.program(BOUNDED.format(folder=tmp_path), "/bin/sh")
    for name in names[:9]:
        await fleet.start(image, name)
    for name in ("a", "b"):
        await fleet.environment(name).start()

    async def running() -> list[str]:
        rows = await fleet.persistence.launches.page(LaunchFilter(open_only=True))
        assert len(rows) <= 10
        return [row.instance_id for row in rows if row.started_at is not None]

    async def until_running(count: int) -> list[str]:
        async def is_so() -> bool:
            return len(await running()) == count

        await fleet.until(is_so)
        return await running()

    await until_running(9)
    await asyncio.gather(*(fleet.start(image, name) for name in names[9:]))
    ended = 0
    while ended < len(names):
        found = await until_running(min(10, len(names) - ended))
        (tmp_path / found[0]).write_text("go\n")
        await fleet.rests(found[0])
        ended += 1

    by_environment = {one.environment_id for name in names for one in await fleet.launches(name)}
    assert by_environment <= {one.environment_id for one in fleet.environments}
    assert [len(await fleet.launches(name)) for name in names] == [1] * len(names)


@pytest.mark.long
@pytest.mark.parametrize("off", [60, -60])
async def test_a_clock_that_is_sixty_seconds_off(fleet: Fleet, tmp_path: Path, off: int) -> None:
    """Leases, back-offs and wake-ups go by the database's clock, whose distance is kept."""
    wrong = fleet.environment("a", OddEnvironment, RUNTARA_LEASE_S="3", ODD_CLOCK_S=str(off))
    right = fleet.environment("b", RUNTARA_LEASE_S="3")
    await wrong.start()
    await right.start()
    await drain(fleet, right)
    program = PROGRAM.format(folder=tmp_path, detach=True, seconds=4)
    await fleet.start(await fleet.program(program), "i")
    deadline = await fleet.until_asleep("i")
    ended = await fleet.rests("i")

    launches = await fleet.launches("i")
    assert (ended.state, notes(tmp_path)) == (State.COMPLETED, ["begun", "died", "begun", "woken"])
    assert {one.environment_id for one in launches} == {wrong.environment_id}
    assert [one.cause for one in launches] == ["exited", "killed", "exited"]
    # The environment's estimate of the database's time is ahead or behind by at most the round trip
    # of its last renewal. A loaded machine may launch later.
    late = launches[1].created_at - deadline
    assert timedelta(seconds=-2) < late < timedelta(seconds=10)
    offsets = {
        one.environment_id: one.clock_offset_ms
        for one in await fleet.persistence.environments.page()
    }
    assert offsets[wrong.environment_id] == pytest.approx(off * 1000, abs=1000)
    assert offsets[right.environment_id] == pytest.approx(0, abs=1000)


@pytest.mark.long
async def test_an_outage_of_the_database_that_is_longer_than_all_leases(
    fleet: Fleet, tmp_path: Path
) -> None:
    """All are late, so none is lost: processes go on, and what ended meanwhile is judged."""
    folders = [tmp_path / name for name in ("i", "j")]
    made = [
        fleet.environment(name, RUNTARA_LEASE_S="5", RUNTARA_ENV_CAPACITY="1")
        for name in ("a", "b")
    ]
    image = await fleet.image(FLOW)
    for environment, folder in zip(made, folders, strict=True):
        folder.mkdir()
        await environment.start()
        await fleet.start(image, folder.name, {"folder": str(folder), "kind": "wait"})
        await begun(fleet, folder.name)
    killed = await fleet.process_of("i")
    over = max(one.lease_until for one in await fleet.persistence.environments.page())
    async with fleet.outage():
        os.kill(killed, signal.SIGKILL)
        for environment in made:
            await environment.said("the lease can't be renewed")
        await fleet.clock.sleep_until(over + timedelta(seconds=3))
    for folder in folders:
        (folder / "go").touch()
    ended = [await fleet.rests(folder.name) for folder in folders]

    causes = {name: [one.cause for one in await fleet.launches(name)] for name in ("i", "j")}
    assert causes == {"i": ["killed", "exited"], "j": ["exited"]}
    assert [one.state for one in ended] == [State.COMPLETED] * 2
    assert [notes(folder) for folder in folders] == [["first", "second"]] * 2


async def test_a_stop_of_an_instance_that_another_environment_runs(
    fleet: Fleet, tmp_path: Path
) -> None:
    """It is put in at one port; the environment that runs the instance carries it out."""
    runs, asked = fleet.environment("a"), fleet.environment("b")
    await runs.start()
    await fleet.start(await fleet.image(FLOW), "i", {"folder": str(tmp_path), "kind": "wait"})
    await begun(fleet)
    await asked.start()
    async with fleet.port_of(asked) as client:
        await client.instances.stop("i", grace=timedelta(seconds=1), reason="enough")
    ended = await fleet.rests("i")

    [launch] = await fleet.launches("i")
    assert (ended.state, ended.error) == (State.CANCELLED, "enough")
    assert (launch.cause, launch.environment_id) == ("stopped", runs.environment_id)
    assert runs.processes() == []


@pytest.mark.long
async def test_a_fork_with_an_unfinished_child(fleet: Fleet) -> None:
    """The refusal names the child. Once the child has ended, the copy gets that and completes."""
    environment = fleet.environment("a")
    await environment.start()
    await fleet.image(FLOW, "flow:waits", workflow="waits")
    await fleet.start(await fleet.image(FLOW, "flow:parent"), "i", "kid")
    async with fleet.port_of(environment) as client:

        async def has_child() -> bool:
            return await client.instances.get("kid") is not None

        await fleet.until(has_child)
        with pytest.raises(InvalidInstanceState, match="the child 'kid' had not ended"):
            await client.instances.fork("i", new_instance_id="j")
        await client.instances.send("kid", "go", b"7")
        first = await fleet.rests("i")
        await client.instances.fork("i", new_instance_id="j")
        second = await fleet.rests("j")

    assert (first.output, second.output) == (b"7", b"7")
    assert len(await fleet.launches("kid")) == 1


@pytest.mark.long
async def test_an_image_is_deleted_as_it_is_started(fleet: Fleet, tmp_path: Path) -> None:
    """One of both is refused, each time, whichever ports they were asked at."""
    made = [fleet.environment(name) for name in ("a", "b")]
    await asyncio.gather(*(one.start() for one in made))
    images = [await fleet.image(FLOW) for _ in range(10)]
    given = json.dumps({"folder": str(tmp_path), "kind": "wait"}).encode()
    in_use: list[str] = []
    async with fleet.port_of(made[0]) as deletes, fleet.port_of(made[1]) as starts:
        for image in images:
            name = f"i-{image.image_id}"
            deleted, started = await asyncio.gather(
                deletes.images.delete(image.image_id, TENANT),
                starts.instances.start(
                    TENANT, image_id=image.image_id, instance_id=name, input=given
                ),
                return_exceptions=True,
            )
            if isinstance(deleted, ImageInUse):
                assert not isinstance(started, BaseException), started
                in_use.append(name)
            else:
                assert deleted is None
                assert isinstance(started, ImageNotFound), started
                assert await deletes.instances.get(name) is None
    (tmp_path / "go").touch()
    for name in in_use:
        assert (await fleet.rests(name)).state is State.COMPLETED
