"""When launches that found no room on a Slurm cluster are tried again; files answer for Slurm."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Collection
from datetime import timedelta
from pathlib import Path

import pytest

from runtara_domain.model.launch_ends import Cause
from runtara_environment.folders import LaunchFolder, safe_name
from runtara_environment.placement_suite import Rig
from runtara_environment.placement_suite.rig import TENANT, Launched
from runtara_environment.placements.local import LocalSettings
from runtara_environment.placements.slurm_cluster import placement
from runtara_environment.placements.slurm_cluster.job import ENDED
from runtara_environment.placements.slurm_cluster.placement import SlurmPlacement, SlurmSettings
from runtara_environment.runners.registry import runners
from runtara_persistence.memory import MemoryPersistence

FULL, IDLE = "8/0/0/8\n", "0/8/0/8\n"
COMMANDS = {"sbatch": "cat", "scancel": ":", "squeue": "cat jobs", "sinfo": "cat cpus"}
KILLED = {
    "exit_code": None,
    "signal": 9,
    "is_out_of_memory": False,
    "is_machine_out_of_memory": False,
    "memory_peak_bytes": None,
    "cpu_usage_usec": None,
}


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    """A cluster that starts no job, and gives a waiting one back at once."""
    for name, script in COMMANDS.items():
        command = tmp_path / name
        command.write_text(f"#!/bin/sh\ncd {tmp_path}; {script}\n")
        command.chmod(0o755)
    (tmp_path / "jobs").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(placement, "_LOOK_S", 0.02)
    settings = SlurmSettings(
        environment_id="e",
        local=LocalSettings(data_dir=tmp_path / "data", core_addr="127.0.0.1:1"),
        booking_wait=timedelta(0),
    )
    async with MemoryPersistence() as persistence:

        def make() -> SlurmPlacement:
            return SlurmPlacement(persistence, runners(), settings)

        async with Rig(persistence, make, tmp_path, placement_name="slurm", patience=20) as opened:
            yield opened


@pytest.fixture
def called(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> "asyncio.Queue[str]":
    """The instances whose wait was ended."""
    queue: asyncio.Queue[str] = asyncio.Queue()

    async def end_waits(instance_ids: Collection[str]) -> None:
        for instance_id in instance_ids:
            queue.put_nowait(instance_id)

    monkeypatch.setattr(rig.persistence.launches, "end_waits", end_waits)
    return queue


def write(path: Path, text: str) -> None:
    """Write a file as a whole: it is read again and again."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


async def given_back(rig: Rig) -> str:
    """Launch an instance until it is given back for want of room; gives its id."""
    launched = await rig.shell("exit 0")
    name = json.loads(launched.handle or "")["job"]
    job = f"1|{name}|{safe_name(launched.launch_id)}|PENDING|Resources\n"
    write(rig.folder / "jobs", job)
    assert (await rig.ended(launched)).cause is Cause.WAITING
    return launched.assignment.instance_id


async def end(rig: Rig, launched: Launched) -> None:
    """Have a launch's job write that it has ended, until that is reported."""
    one = launched.assignment
    folder = LaunchFolder(rig.folder / "data/runs", TENANT, one.instance_id, one.launch_id)
    write(folder.path / ENDED, json.dumps(KILLED))
    assert (await rig.ended(launched)).cause is Cause.KILLED


async def test_what_is_given_back_is_tried_at_once_where_cpus_are_idle(
    rig: Rig, called: "asyncio.Queue[str]"
) -> None:
    """They may have been freed since; more need not become idle."""
    write(rig.folder / "cpus", IDLE)
    instance_id = await given_back(rig)
    async with asyncio.timeout(rig.patience):
        assert await called.get() == instance_id


async def test_the_end_of_its_own_job_frees_room(rig: Rig, called: "asyncio.Queue[str]") -> None:
    """This holds also if another job takes as many CPUs at once."""
    write(rig.folder / "cpus", FULL)
    other = await rig.shell("exit 0")
    instance_id = await given_back(rig)
    assert called.empty()
    await end(rig, other)
    async with asyncio.timeout(rig.patience):
        assert await called.get() == instance_id


@pytest.mark.parametrize("command", ["cpus", "jobs"])
async def test_an_answer_in_another_form_keeps_no_end_from_being_seen(
    rig: Rig, command: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and asked for again."""
    write(rig.folder / "cpus", FULL)
    other = await rig.shell("exit 0")
    await given_back(rig)
    write(rig.folder / command, "what is this?\n")
    async with asyncio.timeout(rig.patience):
        while "what is this?" not in caplog.text:  # noqa: ASYNC110  # The log tells nothing.
            await asyncio.sleep(0.01)
    await end(rig, other)
