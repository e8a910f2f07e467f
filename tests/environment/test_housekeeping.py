"""What an environment clears away: instances, folders of launches, copies of images."""

import os
import time
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from tests.environment.conftest import TENANT, Here

from runtara_domain.model.stored_images import Image
from runtara_domain.ports.placements import Placement
from runtara_environment import container
from runtara_environment.folders import LaunchFolder
from runtara_environment.housekeeping import Housekeeping
from runtara_environment.images.cache import ImageCache
from runtara_environment.placements.sweeping import Folders, forget
from runtara_persistence.memory import MemoryPersistence

DAY = timedelta(days=1)
DONE = """printf '{"status": "completed"}' > output.json"""


def age(folder: Path, by: timedelta) -> None:
    """Let all below a folder be this much older."""
    then = time.time() - by.total_seconds()
    for one in (folder, *folder.rglob("*")):
        os.utime(one, (then, then), follow_symlinks=False)


def housekeeping(here: Here, retention: timedelta | None) -> Housekeeping:
    return Housekeeping(
        here.persistence, here.launcher, here.clock, retention, here.placement.sweep
    )


async def finished(here: Here, image: Image) -> tuple[str, LaunchFolder]:
    """Run an instance to its end; gives its id and its launch's folder."""
    instance_id = await here.start(image)
    await here.ended(instance_id)
    [launch] = await here.launches(instance_id)
    return instance_id, here.placement.folder(TENANT, instance_id, launch.launch_id)


async def test_a_finished_instance_goes_with_its_files(here: Here) -> None:
    """They go after the retention. An open instance keeps its workspace, however long it sleeps."""
    sleeps = 'printf \'{"status": "sleeping", "checkpoint_id": "c", "wake_after_ms": 99000000}\''
    async with here.environment():
        instance_id, folder = await finished(here, await here.shell(DONE))
        asleep = await here.start(await here.shell(f"{sleeps} > output.json"))
        kept = here.placement.folder(TENANT, asleep, (await here.closed(asleep)).launch_id)
        age(here.data_dir / "runs", 2 * DAY)

        assert await housekeeping(here, None).clear() == 0
        assert await housekeeping(here, DAY).clear() == 0
        assert folder.path.exists()
        assert await housekeeping(here, timedelta(0)).clear() == 1

    assert await here.persistence.instances.get(instance_id) is None
    assert not folder.instance.exists()
    assert kept.path.exists()
    assert kept.workspace.exists()


async def test_folders_that_can_not_be_reached_hinder_no_other_placement(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A shared disk that is away says so in the log; what lies elsewhere is cleared away."""
    placements = cast("dict[str, Placement]", {"away": Disk(OSError("stale")), "here": Disk(2)})

    assert await container._sweep(placements, cast("Any", None), None) == 2
    assert "folders of the placement 'away' stay: stale" in caplog.text


class Disk:
    """A placement that keeps folders; gives or raises this when it is to clear them away."""

    def __init__(self, outcome: int | OSError) -> None:
        self.outcome = outcome

    async def sweep(self, is_known: object, older_than: timedelta | None) -> int:
        if isinstance(self.outcome, OSError):
            raise self.outcome
        return self.outcome


async def test_a_deleted_instance_leaves_no_files(
    here: Here, caplog: pytest.LogCaptureFixture
) -> None:
    """Other instances' files stay. A file that can't be removed is logged, and hinders nothing."""
    async with here.environment():
        image = await here.shell(DONE)
        _, folder = await finished(here, image)
        _, other = await finished(here, image)
        blocked = here.placement.folder(TENANT, "blocked", "").instance
        blocked.write_text("no folder")

        forget([folder.instance.with_name("never launched"), blocked, folder.instance])

    assert not folder.instance.exists()
    assert other.path.exists()
    assert "the folder of a deleted instance stays" in caplog.text


async def test_an_open_launch_keeps_its_files(here: Here) -> None:
    """Its folder and the copy of its image stay, also if the instance's row was deleted."""
    async with here.environment(shutdown_grace=timedelta(seconds=0.1)):
        runs = await here.start(await here.shell("sleep 1000"))
        await here.pid(runs)
        image, other = await here.shell("sleep 1001"), await here.shell(DONE)
        await finished(here, other)
        await here.pid(await here.start(image))
        age(here.data_dir / "runs", 60 * DAY)
        age(here.data_dir / "images", 60 * DAY)

        removed = await here.placement.sweep(never, DAY)

        copies = {folder.name for folder in (here.data_dir / "images").iterdir()}
        left = [path.parent.name for path in (here.data_dir / "runs").glob("*/*/workspace")]
    assert removed == 2
    assert image.image_id in copies
    assert other.image_id not in copies
    assert runs in left
    assert len(left) == 2


def below(
    folder: Path, launches: Collection[Path] = (), containers: Collection[Path] = ()
) -> Folders:
    cache = ImageCache(MemoryPersistence().images, folder / "images")
    return Folders(
        data_dir=folder, cache=cache, launches=launches, containers=containers, images=()
    )


async def never(instance_id: str) -> bool:
    return False


async def test_an_instance_keeps_the_folders_of_its_last_launches(tmp_path: Path) -> None:
    """It keeps as many folders as rows of launches."""
    folders = [LaunchFolder(tmp_path / "runs", "t", "i", f"launch-{n}") for n in range(103)]
    for number, folder in enumerate(folders):
        folder.make(None)
        os.utime(folder.path, (number, number))
    swept = below(tmp_path, launches={folders[1].path})

    assert await swept.sweep_runs(never, None) == 2
    assert [folder.path.exists() for folder in folders[:4]] == [False, True, False, True]
    assert folders[0].workspace.exists()


async def test_containers_that_a_spawner_left_are_removed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Their runtime removes them. A refusal of the runtime is logged and tried again."""
    for name, code in (("gone", 0), ("kept", 0), ("refused", 1)):
        folder = tmp_path / "containers" / name
        folder.mkdir(parents=True)
        runtime = tmp_path / f"runtime-{name}"
        runtime.write_text(f"#!/bin/sh\nexit {code}\n")
        runtime.chmod(0o755)
        (folder / "runtime").write_text(str(runtime))
    swept = below(tmp_path, containers={tmp_path / "containers/kept"})

    swept.sweep_containers(time.time() + 1)

    left = sorted(folder.name for folder in (tmp_path / "containers").iterdir())
    assert left == ["kept", "refused"]
    assert "can't be removed" in caplog.text
