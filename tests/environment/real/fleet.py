"""A core and environments as processes of their own, on one database that tests read and write."""

import asyncio
import hashlib
import io
import json
import sqlite3
import sys
import zipfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from tests.support.environment_process import EnvironmentProcess
from tests.support.postgres import empty_database, shared_server
from tests.support.server_process import ServerProcess

from runtara_domain.model import Instance
from runtara_domain.model.history import EventFilter
from runtara_domain.model.images import NewImage
from runtara_domain.model.launches import InstanceStart, OpenLaunch
from runtara_domain.model.stored_images import Image, RunnerType
from runtara_domain.model.stored_launches import Launch, LaunchFilter
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import State
from runtara_domain.system_clock import SystemClock
from runtara_management_sdk import ManagementClient, ManagementSettings
from runtara_persistence.connect import connect

TENANT = "storm"
PATIENCE_S = 300.0
_FINAL = ("completed", "failed")


@dataclass
class Fleet:
    """Processes that share a database; `persistence` is the test's own way into it."""

    folder: Path
    database_url: str
    persistence: Persistence
    core: ServerProcess
    environments: list[EnvironmentProcess] = field(default_factory=list)
    clock: SystemClock = field(default_factory=SystemClock)

    def environment(
        self, name: str, kind: type[EnvironmentProcess] = EnvironmentProcess, **variables: str
    ) -> EnvironmentProcess:
        """Make an environment that finds database and core; it is not started."""
        told = {
            "RUNTARA_DATABASE_URL": self.database_url,
            "RUNTARA_CORE_ADDR": f"127.0.0.1:{self.core.port}",
            "RUNTARA_SKIP_CERT_VERIFICATION": "true",
            "RUNTARA_MAX_CRASHES": "100",
            "RUNTARA_SHUTDOWN_GRACE_MS": "3000",
            **variables,
        }
        made = kind(self.folder / name, told)
        self.environments.append(made)
        return made

    @asynccontextmanager
    async def port_of(self, environment: EnvironmentProcess) -> AsyncIterator[ManagementClient]:
        """Open a client of a running environment's port."""
        settings = ManagementSettings(
            environment_addr=f"127.0.0.1:{environment.port}", skip_cert_verification=True
        )
        async with ManagementClient(settings) as client:
            yield client

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Keep all processes from writing to the database; from PostgreSQL they are cut off."""
        backend, _, path = self.database_url.partition(":")
        if backend == "sqlite":
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                yield
            return
        server, name = shared_server(), path.partition("?")[0].rpartition("/")[2]
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        try:
            server.execute(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            )
            yield
        finally:
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    async def image(
        self,
        source: str,
        target: str = "flow:run",
        *,
        files: Mapping[str, str] | None = None,
        **metadata: object,
    ) -> Image:
        """Register a Python image of a module `flow`, and of these files."""
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            for name, content in {"flow.py": source, **(files or {})}.items():
                archive.writestr(name, content)
        return await self._image(made.getvalue(), RunnerType.PYTHON, target=target, **metadata)

    async def program(self, source: str, interpreter: str = sys.executable) -> Image:
        """Register a program, in Python unless said otherwise, that is run like any other."""
        return await self._image(f"#!{interpreter}\n{source}".encode(), RunnerType.NATIVE)

    async def _image(self, content: bytes, runner_type: RunnerType, **metadata: object) -> Image:
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
        return (await self.persistence.images.register(new, upload, at=self.clock.now())).image

    async def start(self, image: Image, instance_id: str, given: object = None) -> None:
        """Put an instance in, for any environment to launch."""
        start = InstanceStart(
            instance_id=instance_id,
            tenant_id=TENANT,
            image_id=image.image_id,
            input=None if given is None else json.dumps(given).encode(),
        )
        await self.persistence.launches.start(start, at=self.clock.now())

    async def instance(self, instance_id: str) -> Instance:
        """Read an instance."""
        found = await self.persistence.instances.get(instance_id)
        assert found is not None
        return found

    async def launches(self, instance_id: str) -> list[Launch]:
        """Read an instance's launches, the first one first."""
        page = await self.persistence.launches.page(LaunchFilter(instance_id=instance_id))
        return sorted(page, key=lambda launch: launch.number)

    async def open_launches(self) -> list[OpenLaunch]:
        """Read all open launches of the environments that have an id."""
        ids = [one.environment_id for one in self.environments if (one.data_dir / "id").exists()]
        now = self.clock.now()
        return [
            row
            for environment_id in ids
            for row in await self.persistence.launches.open_launches(environment_id, at=now)
        ]

    async def process_of(self, instance_id: str) -> int:
        """Wait until an instance's newest process runs, and give its pid."""
        found: list[int] = []

        async def runs() -> bool:
            rows = await self.open_launches()
            handles = [row.handle for row in rows if row.instance_id == instance_id]
            found[:] = [json.loads(handle)["pid"] for handle in handles if handle]
            return bool(found)

        await self.until(runs)
        return found[0]

    async def until_asleep(self, instance_id: str) -> datetime:
        """Wait until an instance sleeps; gives its deadline."""

        async def is_asleep() -> bool:
            return (await self.instance(instance_id)).state is State.ASLEEP

        await self.until(is_asleep)
        deadline = (await self.instance(instance_id)).sleep_until
        assert deadline is not None
        return deadline

    async def rests(self, instance_id: str) -> Instance:
        """Wait until an instance is final and has no open launch."""

        async def is_over() -> bool:
            launches = await self.launches(instance_id)
            is_final = (await self.instance(instance_id)).state.is_final
            return is_final and all(one.closed_at is not None for one in launches)

        await self.until(is_over)
        return await self.instance(instance_id)

    async def until(self, is_so: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something is so, asking again and again."""
        async with asyncio.timeout(PATIENCE_S):
            while not await is_so():  # noqa: ASYNC110  # Processes tell this one nothing.
                await asyncio.sleep(0.05)

    async def endings(self, instance_id: str) -> Counter[str]:
        """Count an instance's final events by their type."""
        which = EventFilter(instance_id=instance_id)
        stored = await self.persistence.events.page(which, limit=1000)
        return Counter(one.type for one in stored if one.type in _FINAL)


@asynccontextmanager
async def opened(folder: Path, database: str) -> AsyncIterator[Fleet]:
    """Start a core on an empty database of this kind; ends every process that was started."""
    async with AsyncExitStack() as stack:
        if database == "postgres":
            url = stack.enter_context(empty_database())
        else:
            url = f"sqlite:{folder}/core.db"
        persistence = await stack.enter_async_context(connect(url, migrates=True))
        core = ServerProcess(folder, {"RUNTARA_DATABASE_URL": url}, is_measured=False)
        fleet = Fleet(folder, url, persistence, core)
        stack.push_async_callback(_end, fleet)
        await core.start()
        yield fleet


async def _end(fleet: Fleet) -> None:
    for environment in fleet.environments:
        if environment.is_running:
            await environment.kill()
        environment.kill_everything()
    await fleet.core.close()
