"""Sequences that are about processes: kills of an environment, its spawner, and what they run."""

import os
import signal
import sys
from pathlib import Path

import pytest
from tests.environment.real.fleet import Fleet

from runtara_domain.model.images import Image
from runtara_domain.model.interventions import Retry, Stop
from runtara_domain.status import State

pytestmark = pytest.mark.long

FLOW = """
import os
import time
from runtara_sdk import step, workflow

@step
async def note(folder: str, text: str) -> str:
    with open(f"{folder}/notes", "a") as notes:
        notes.write(text + "\\n")
    return text

@workflow
async def run(folder: str, kind: str) -> str:
    await note(folder, "first")
    if kind == "wait" and not os.path.exists(f"{folder}/go"):
        while not os.path.exists(f"{folder}/go"):
            time.sleep(0.05)
    if kind == "fail" and not os.path.exists(f"{folder}/go"):
        raise ValueError("no stock")
    await note(folder, "second")
    return kind
"""

PROGRAM = """
import asyncio, os, signal, sys
from runtara_sdk import Client

def note(text):
    with open("{folder}/notes", "a") as notes:
        notes.write(text + "\\n")

def life():
    with open("{folder}/notes") as notes:
        return len(notes.readlines())

async def main():
    async with Client() as client:
        await client.register()
        note("begun")
        leaves = {detach} and life() == 1
        await client.sleep(8, "nap", detach=leaves)
        if leaves:
            sys.exit(75)
        note("woken")
        await client.completed(b"1")

if {detach} and os.path.exists("{folder}/notes") and life() == 1:
    note("died")
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


async def image_of(fleet: Fleet) -> Image:
    return await fleet.image(FLOW)


async def begun(fleet: Fleet) -> None:
    """Wait until the first step is recorded."""

    async def is_recorded() -> bool:
        return (await fleet.instance("i")).checkpoint_id is not None

    await fleet.until(is_recorded)


def notes(folder: Path) -> list[str]:
    return (folder / "notes").read_text().splitlines()


async def test_a_process_that_is_killed_in_a_held_sleep_is_launched_at_its_deadline(
    fleet: Fleet, tmp_path: Path
) -> None:
    """The core wakes the instance, and the environment is told of it."""
    await fleet.environment("a").start()
    program = PROGRAM.format(folder=tmp_path, detach=False)
    await fleet.start(await fleet.program(program), "i")

    async def sleeps() -> bool:
        return (await fleet.instance("i")).state is State.ASLEEP

    await fleet.until(sleeps)
    deadline = (await fleet.instance("i")).sleep_until
    os.kill(await fleet.process_of("i"), signal.SIGKILL)
    ended = await fleet.rests("i")

    first, second = await fleet.launches("i")
    assert (ended.state, notes(tmp_path)) == (State.COMPLETED, ["begun", "begun", "woken"])
    assert (first.cause, first.verdict) == ("killed", "nothing")
    assert deadline is not None
    late = (second.created_at - deadline).total_seconds()
    sys.stdout.write(f"launched {late:.2f} s after the deadline\n")


async def test_an_environment_alone_is_killed(fleet: Fleet, tmp_path: Path) -> None:
    """As systemd does with KillMode=process: its processes go on, and the next one has them."""
    environment = fleet.environment("a")
    await environment.start()
    await fleet.start(await image_of(fleet), "i", {"folder": str(tmp_path), "kind": "wait"})
    await begun(fleet)
    await environment.kill()
    assert len(environment.processes()) == 1
    (tmp_path / "go").touch()
    await environment.start()
    ended = await fleet.rests("i")

    [launch] = await fleet.launches("i")
    assert (ended.state, notes(tmp_path)) == (State.COMPLETED, ["first", "second"])
    assert (launch.cause, launch.exit_code) == ("exited", 0)


async def test_a_spawner_alone_is_killed(fleet: Fleet, tmp_path: Path) -> None:
    """Its environment starts another, which takes the process over; its code is not to be had."""
    environment = fleet.environment("a")
    await environment.start()
    await fleet.start(await image_of(fleet), "i", {"folder": str(tmp_path), "kind": "wait"})
    await begun(fleet)
    killed = environment.kill_spawner()
    await environment.said("taking over its processes")
    (tmp_path / "go").touch()
    ended = await fleet.rests("i")

    [launch] = await fleet.launches("i")
    assert environment.spawner() not in (None, killed)
    assert (ended.state, notes(tmp_path)) == (State.COMPLETED, ["first", "second"])
    assert (launch.cause, launch.exit_code) == ("unknown", None)


async def test_a_process_dies_before_it_registers_while_its_instance_is_due(
    fleet: Fleet, tmp_path: Path
) -> None:
    """The instance, still due, is launched again after a back-off."""
    await fleet.environment("a").start()
    program = PROGRAM.format(folder=tmp_path, detach=True)
    await fleet.start(await fleet.program(program), "i")
    ended = await fleet.rests("i")

    first, second, third = await fleet.launches("i")
    assert (ended.state, notes(tmp_path)) == (State.COMPLETED, ["begun", "died", "begun", "woken"])
    assert (first.exit_code, second.exit_signal, third.exit_code) == (75, 9, 0)
    assert (second.run, second.verdict) == (None, "crash")


async def test_an_environment_stands_still_for_longer_than_its_lease(
    fleet: Fleet, tmp_path: Path
) -> None:
    """The other one runs its instances; once it goes on, it finds that out and ends its own."""
    stalled, other = fleet.environment("a"), fleet.environment("b", RUNTARA_ENV_CAPACITY="1")
    await stalled.start()
    await fleet.start(await image_of(fleet), "i", {"folder": str(tmp_path), "kind": "wait"})
    await begun(fleet)
    old = await fleet.process_of("i")
    for pid in (stalled.process.pid, old):
        os.kill(pid, signal.SIGSTOP)
    await other.start()

    async def is_taken_over() -> bool:
        launches = await fleet.launches("i")
        return len(launches) == 2 and launches[1].started_at is not None

    await fleet.until(is_taken_over)
    for pid in (stalled.process.pid, old):
        os.kill(pid, signal.SIGCONT)

    async def is_ended() -> bool:
        return stalled.processes() == []

    await fleet.until(is_ended)
    (tmp_path / "go").touch()
    ended = await fleet.rests("i")

    first, second = await fleet.launches("i")
    assert (ended.state, notes(tmp_path)) == (State.COMPLETED, ["first", "second"])
    assert (first.cause, second.cause) == ("environment_lost", "exited")
    assert second.environment_id == other.environment_id


async def test_a_stop_of_an_instance_that_another_environment_runs(
    fleet: Fleet, tmp_path: Path
) -> None:
    """The environment that runs it carries out what was stored, by SIGTERM, then SIGKILL."""
    environment = fleet.environment("a")
    await environment.start()
    await fleet.start(await image_of(fleet), "i", {"folder": str(tmp_path), "kind": "wait"})
    await begun(fleet)
    stop = Stop("i", fleet.clock.now() - fleet.clock.now(), "enough")
    await fleet.persistence.launches.stop(stop, at=fleet.clock.now())
    ended = await fleet.rests("i")

    [launch] = await fleet.launches("i")
    assert (ended.state, ended.error) == (State.CANCELLED, "enough")
    assert launch.cause == "stopped"
    assert environment.processes() == []


async def test_an_instance_is_reopened_while_its_old_process_lives(
    fleet: Fleet, tmp_path: Path
) -> None:
    """The old process is killed first; the steps that were recorded are not done again."""
    environment = fleet.environment("a")
    await environment.start()
    await fleet.start(await image_of(fleet), "i", {"folder": str(tmp_path), "kind": "wait"})
    await begun(fleet)
    old = await fleet.process_of("i")
    os.kill(old, signal.SIGSTOP)
    (tmp_path / "go").touch()
    await fleet.persistence.launches.retry(Retry(instance_id="i"), at=fleet.clock.now())
    ended = await fleet.rests("i")

    first, second = await fleet.launches("i")
    assert (ended.state, notes(tmp_path)) == (State.COMPLETED, ["first", "second"])
    assert (first.cause, second.cause) == ("superseded", "exited")
    assert environment.processes() == []
