"""The contract of placements, on a real Slurm cluster of two nodes on loopback."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from tests.support.slurm_cluster import NODES, SlurmCluster, slurm_cluster

from runtara_environment.folders import safe_name
from runtara_environment.placement_suite import ClusterContract, Launched, Rig, running_core
from runtara_environment.placement_suite.contract import LOCKS
from runtara_environment.placements.local import LocalSettings
from runtara_environment.placements.slurm_cluster.placement import SlurmPlacement, SlurmSettings
from runtara_environment.runners.registry import runners

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("unmeasured")]


@pytest.fixture(scope="module")
def cluster(unmeasured: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    folder = tmp_path_factory.mktemp("slurm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        with slurm_cluster(folder) as one:
            yield one


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def rig(
    cluster: SlurmCluster, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Rig]:
    folder = tmp_path_factory.mktemp("shared")
    async with running_core(f"sqlite:{folder}/core.db") as core:
        settings = SlurmSettings(
            environment_id="the-rig",
            local=LocalSettings(
                data_dir=folder / "data", core_addr=core.address, skip_cert_verification=True
            ),
            booking_wait=timedelta(seconds=20),
        )

        def make() -> SlurmPlacement:
            return SlurmPlacement(core.persistence, runners(), settings)

        async with Rig(core.persistence, make, folder, placement_name="slurm") as rig:
            yield rig


def jobs_below(folder: Path) -> list[int]:
    """Give the processes that work in a folder, or below, and those that look after them."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                where = os.readlink(entry / "cwd")
            except OSError:
                continue
            if where.startswith(str(folder)):
                found.append(int(entry.name))
    return found


def slurm(*argv: str) -> list[str]:
    """Run a command of Slurm; gives the lines it prints."""
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


ODD_ID = ",:%| \"'\n" + "ö" * 508
"""The longest id there is, 1,024 bytes."""


class TestSlurmPlacement(ClusterContract):
    cluster: SlurmCluster
    node_cpus = 8

    @pytest.fixture(autouse=True)
    def _cluster(self, cluster: SlurmCluster) -> None:
        self.cluster = cluster

    async def lose_engine(self, rig: Rig) -> None:
        """The controller is killed, and forgets what it had not saved yet."""
        await asyncio.to_thread(self.cluster.kill, "slurmctld")
        await asyncio.to_thread(self.cluster.start_controller)
        await asyncio.to_thread(self.cluster.wait_until_idle)

    async def lose_node(self, rig: Rig, launched: Launched) -> None:
        """All nodes lose power; one of them comes back."""
        for node in NODES:
            await asyncio.to_thread(self.cluster.kill, node)
        for pid in jobs_below(rig.folder / "data" / "runs"):
            os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(self.cluster.start_node, NODES[1])

    async def test_a_job_is_known_by_instance_and_attempt(self, rig: Rig) -> None:
        """Its name is theirs, and its comment the launch's id."""
        mark = rig.mark()
        image = await rig.image(f"#!/bin/sh\necho up > {mark}; exec sleep 1000\n".encode())
        launched = await rig.start(rig.assigned(image, ODD_ID))
        await rig.until_there(mark)
        found = slurm("squeue", "--noheader", "--format=%j|%k")
        await rig.killed(launched)

        name = f"runtara:the-rig:{safe_name(ODD_ID)}:1"
        assert found == [f"{name}|{launched.launch_id}"]

    async def test_a_namesake_is_not_taken_for_it(self, rig: Rig) -> None:
        """A job of an instance that had the id before tells nothing, and is ended."""
        namesake = rig.mark()
        launched = rig.assigned(await rig.image(b"#!/bin/sh\nexit 5\n"))
        name = f"runtara:the-rig:{launched.assignment.instance_id}:1"
        script = f"sh -c '{LOCKS.format(mark=namesake)} sleep 1000'"
        slurm("sbatch", f"--job-name={name}", "--comment=before", "--chdir=/", "--output=/dev/null",
              f"--wrap={script}")  # fmt: skip
        await rig.until_there(namesake)
        end = await rig.ended(await rig.start(launched))
        await rig.reopen([])

        assert end.exit_code == 5
        await rig.until_unlocked(namesake)
