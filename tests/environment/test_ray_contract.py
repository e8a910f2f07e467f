"""The contract of placements, on a real Ray cluster of two nodes on loopback."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from tests.support.ray_cluster import VARIABLES, RayCluster, ray_cluster

from runtara_environment.placement_suite import ClusterContract, Launched, Rig, running_core
from runtara_environment.placements.ray_cluster.placement import RayPlacement, RaySettings
from runtara_environment.placements.ray_cluster.wire import AgentSetup

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unmeasured")]


@pytest.fixture(scope="module")
def cluster(unmeasured: None) -> Iterator[RayCluster]:
    with ray_cluster() as one, pytest.MonkeyPatch.context() as patch:
        for name, value in VARIABLES.items():
            patch.setenv(name, value)
        yield one


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def rig(cluster: RayCluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    folder = tmp_path_factory.mktemp("ray")
    url = f"sqlite:{folder}/core.db"
    async with running_core(url) as core:
        agents = AgentSetup(
            environment_id="the-rig",
            database_url=url,
            data_dir=folder / "nodes",
            core_addr=core.address,
            skip_cert_verification=True,
        )
        settings = RaySettings(
            address=cluster.address,
            agents=agents,
            own_ip="127.0.0.1",
            booking_wait=timedelta(seconds=1),
        )

        def make() -> RayPlacement:
            return RayPlacement(core.persistence, settings)

        async with Rig(core.persistence, make, folder, placement_name="ray") as rig:
            yield rig
    for pid in processes_with("runtara_environment.spawner", str(folder)):
        os.kill(pid, signal.SIGKILL)


def processes_with(*words: str) -> list[int]:
    """Give the processes whose arguments or working folders name all these."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "cmdline").read_bytes().decode(errors="replace")
                links = [os.readlink(one) for one in (entry / "fd").iterdir()]
            except OSError:
                continue
            if all(word in text or any(word in link for link in links) for word in words):
                found.append(int(entry.name))
    return found


class TestRayPlacement(ClusterContract):
    cluster: RayCluster

    @pytest.fixture(autouse=True)
    def _cluster(self, cluster: RayCluster) -> None:
        self.cluster = cluster

    async def lose_engine(self, rig: Rig) -> None:
        """All agents and the helper are killed; both are started anew."""
        for pid in processes_with("ray_cluster.helper", "socket:") + processes_with(
            "ray::NodeAgent", "socket:"
        ):
            os.kill(pid, signal.SIGKILL)

    async def lose_node(self, rig: Rig, launched: Launched) -> None:
        """The raylet is killed: Ray itself leaves what it had started alive."""
        assert launched.handle is not None
        await asyncio.to_thread(self.cluster.kill, json.loads(launched.handle)["node"])
