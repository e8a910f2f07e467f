"""The contract of placements, on this machine."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.environment.conftest import Here, end_programs

from runtara_environment.placement_suite import PlacementContract, Rig, running_core
from runtara_environment.placements.local import LocalPlacement, LocalSettings
from runtara_environment.runners.registry import runners


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    folder = tmp_path_factory.mktemp("local")
    async with running_core(f"sqlite:{folder}/core.db") as core:
        settings = LocalSettings(
            data_dir=folder / "data", core_addr=core.address, skip_cert_verification=True
        )

        def make() -> LocalPlacement:
            return LocalPlacement(core.persistence.images, runners(), settings)

        async with Rig(core.persistence, make, folder) as rig:
            yield rig
        # A test that failed has left some.
        end_programs(folder / "data")
        os.kill(spawner_pid(rig), signal.SIGKILL)


def spawner_pid(rig: Rig) -> int:
    return Here(rig.folder / "data", rig.persistence).spawner_pid()


def is_replaced(rig: Rig, before: int) -> bool:
    try:
        return spawner_pid(rig) != before
    except AssertionError:
        return False


class TestLocalPlacement(PlacementContract):
    async def lose_engine(self, rig: Rig) -> None:
        """The spawner is killed; the placement starts another one."""
        before = spawner_pid(rig)
        os.kill(before, signal.SIGKILL)
        async with asyncio.timeout(rig.patience):
            while not is_replaced(rig, before):  # noqa: ASYNC110  # It tells nothing.
                await asyncio.sleep(0.02)
