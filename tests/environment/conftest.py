"""An environment on this machine: real processes of its spawner, and a database in memory."""

import asyncio
import hashlib
import io
import json
import os
import signal
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from runtara_domain.launching.launcher import Launcher, LauncherSettings
from runtara_domain.model import Instance
from runtara_domain.model.environments import NewEnvironment
from runtara_domain.model.images import NewImage
from runtara_domain.model.launches import InstanceStart
from runtara_domain.model.stored_images import Image, RunnerType
from runtara_domain.model.stored_launches import Launch, LaunchFilter
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import State
from runtara_domain.system_clock import SystemClock
from runtara_environment.placements.local import LocalPlacement, LocalSettings
from runtara_environment.placements.spawner import VERSION
from runtara_environment.runners.registry import runners
from runtara_environment.spawner.machine import boot_id
from runtara_persistence.memory import MemoryPersistence

pytest.register_assert_rewrite("runtara_environment.placement_suite")

TENANT = "tenant / ../ü"
_PATIENCE_S = 60.0


class Here:
    """One environment's folder and database; environments are opened on it, one after another."""

    def __init__(
        self,
        data_dir: Path,
        persistence: Persistence,
        core_addr: str = "127.0.0.1:1",
        oci_runtime: str = "process",
    ) -> None:
        self.data_dir = data_dir
        self.persistence = persistence
        self.core_addr = core_addr
        self.oci_runtime = oci_runtime
        self.clock = SystemClock()
        self.placement: LocalPlacement
        self.launcher: Launcher

    @asynccontextmanager
    async def environment(self, **more: object) -> AsyncIterator[Launcher]:
        """Open an environment of this folder."""
        local = LocalSettings(
            data_dir=self.data_dir, core_addr=self.core_addr, skip_cert_verification=True
        )
        self.placement = LocalPlacement(self.persistence.images, runners(self.oci_runtime), local)
        environment = NewEnvironment(
            environment_id="here", machine="machine", boot_id=boot_id(), capacity=32
        )
        settings = LauncherSettings(environment=environment, **more)  # type: ignore[arg-type]  # Fields by name.
        self.launcher = Launcher(self.persistence, self.clock, {"local": self.placement}, settings)
        async with self.launcher:
            yield self.launcher

    async def image(
        self, content: bytes, runner_type: RunnerType = RunnerType.NATIVE, **metadata: object
    ) -> Image:
        """Register an image."""
        upload = uuid4().hex
        await self.persistence.images.put_chunk(upload, 0, content, at=self.clock.now())
        new = NewImage(
            image_id=upload,
            tenant_id=TENANT,
            name=f"image-{upload}",
            runner_type=runner_type,
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            metadata=metadata,
        )
        registered = await self.persistence.images.register(new, upload, at=self.clock.now())
        return registered.image

    async def shell(self, script: str, **metadata: object) -> Image:
        """Register a shell program."""
        return await self.image(f"#!/bin/sh\n{script}\n".encode(), **metadata)  # type: ignore[arg-type]  # Metadata by name.

    async def start(
        self, image: Image, instance_id: str | None = None, given: bytes | None = None
    ) -> str:
        """Start an instance; gives its id."""
        instance_id = instance_id or f"i-{uuid4().hex}"
        start = InstanceStart(
            instance_id=instance_id, tenant_id=TENANT, image_id=image.image_id, input=given
        )
        with self.launcher.offering(start) as offer:
            started = await self.persistence.launches.start(
                start, at=self.launcher.now(), offer=offer
            )
        self.launcher.take(started.claims)
        return instance_id

    async def instance(self, instance_id: str) -> Instance:
        """Read an instance."""
        found = await self.persistence.instances.get(instance_id)
        assert found is not None
        return found

    async def launches(self, instance_id: str) -> list[Launch]:
        """Read an instance's launches, the first one first."""
        page = await self.persistence.launches.page(LaunchFilter(instance_id=instance_id))
        return sorted(page, key=lambda launch: launch.number)

    async def closed(self, instance_id: str, number: int = 1) -> Launch:
        """Wait for the verdict on a launch of an instance."""
        found: list[Launch] = []

        async def is_closed() -> bool:
            found[:] = await self.launches(instance_id)
            return len(found) >= number and found[number - 1].closed_at is not None

        await self.until(is_closed)
        return found[number - 1]

    async def ended(self, instance_id: str) -> Instance:
        """Wait until an instance is in a final state, and its launch is closed."""

        async def is_over() -> bool:
            launches = await self.launches(instance_id)
            is_final = (await self.instance(instance_id)).state.is_final
            return is_final and all(launch.closed_at is not None for launch in launches)

        await self.until(is_over)
        return await self.instance(instance_id)

    async def rests(self, instance_id: str, state: State) -> None:
        """Wait until an instance is in this state without an open launch."""

        async def is_so() -> bool:
            launches = await self.launches(instance_id)
            is_there = (await self.instance(instance_id)).state is state
            return is_there and all(launch.closed_at is not None for launch in launches)

        await self.until(is_so)

    async def pid(self, instance_id: str) -> int:
        """Wait for an instance's process, and give its pid."""
        found: list[int] = []

        async def is_started() -> bool:
            launches = await self.launches(instance_id)
            rows = await self.persistence.launches.open_launches("here", at=self.clock.now())
            handles = [row.handle for row in rows if row.launch_id == launches[-1].launch_id]
            found[:] = [json.loads(handle)["pid"] for handle in handles if handle]
            return bool(found)

        await self.until(is_started)
        return found[0]

    async def until(self, is_so: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something is so, asking again and again."""
        async with asyncio.timeout(_PATIENCE_S):
            while not await is_so():  # noqa: ASYNC110  # Processes tell this one nothing.
                await asyncio.sleep(0.01)

    def spawner_pid(self) -> int:
        """Give the pid of the folder's spawner."""
        name = f"spawner-{VERSION}.socket"
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and _is_spawner_of(entry, self.data_dir, name):
                return int(entry.name)
        raise AssertionError("there is no spawner")

    def end_spawner(self) -> None:
        """Kill the folder's spawner, if one has come up."""
        with suppress(AssertionError):
            os.kill(self.spawner_pid(), signal.SIGKILL)


def _is_spawner_of(process: Path, folder: Path, name: str) -> bool:
    try:
        arguments = (process / "cmdline").read_bytes().decode().split("\0")
        if "runtara_environment.spawner" not in arguments:
            return False
        listening = next((each for each in arguments if each.endswith(name)), None)
        if listening is None:
            return False
        return Path(os.readlink(process / "fd" / Path(listening).parent.name)) == folder.resolve()
    except (FileNotFoundError, ProcessLookupError):
        return False


def end_programs(data_dir: Path) -> None:
    """SIGKILL the programs of images that a test which failed has left running."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        # A process may end while it is looked at.
        with suppress(FileNotFoundError, ProcessLookupError):
            if bytes(data_dir) in entry.read_bytes():
                os.kill(int(entry.parent.name), signal.SIGKILL)


def zipped(**files: str) -> bytes:
    """Give a zip of modules."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.py", text)
    return made.getvalue()


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    async with MemoryPersistence() as persistence:
        opened = Here(tmp_path / "data", persistence)
        yield opened
    opened.end_spawner()
