"""An environment's port over real QUIC, on every database, with processes that tests end."""

import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.contract.database import Database
from tests.contract.every_database import KINDS, empty
from tests.domain.launching.world import FakePlacement, World
from tests.support.quic_handlers import serving

from runtara_domain.launching.crashes import CrashPolicy
from runtara_domain.launching.launcher import Launcher, LauncherSettings
from runtara_domain.model import Caller, Ending, Event, EventType, Registration
from runtara_domain.model.environments import NewEnvironment
from runtara_domain.model.launches import Assignment
from runtara_domain.model.stored_images import LOCAL, RunnerType
from runtara_domain.model.stored_launches import Launch
from runtara_domain.ports.persistence import Persistence
from runtara_domain.ports.placements import LogPiece
from runtara_domain.status import OPEN, State
from runtara_domain.system_clock import SystemClock
from runtara_environment.folders import LaunchFolder
from runtara_environment.management import Management
from runtara_environment.operations import OPERATIONS, streams
from runtara_management_sdk import ManagementClient, ManagementSettings
from runtara_protocol.server.router import Router
from runtara_schedules import CronCalendar

HERE = "here"


@dataclass
class Port:
    """
    The port with what lies behind it.

    checked: the images that were looked at. forgotten: the tenant and the instances whose files are
    to go. is_checking: a look has begun; may_check: it waits for
    this.
    """

    database: Database
    persistence: Persistence
    placement: FakePlacement
    launcher: Launcher
    client: ManagementClient
    folder: Path
    port: int
    checked: list[tuple[bytes, RunnerType, Mapping[str, object]]]
    forgotten: list[tuple[str, tuple[str, ...]]]
    is_checking: threading.Event
    may_check: threading.Event

    def settings(self, **more: object) -> ManagementSettings:
        """Give what a client of this port needs."""
        return ManagementSettings(
            environment_addr=f"127.0.0.1:{self.port}",
            skip_cert_verification=True,
            **more,  # type: ignore[arg-type]  # Fields by name.
        )

    def run_folder(self, instance_id: str) -> Path:
        """Make the folder of an instance's newest launch."""
        assignment = self.placement.of(instance_id).assignment
        made = launch_folder(self.folder, assignment.tenant_id, assignment)
        made.make(None)
        return made.path

    async def run(self, instance_id: str) -> int:
        """Let a launched process register; gives its run."""
        assignment = self.placement.of(instance_id).assignment
        registration = Registration(
            instance_id, assignment.tenant_id, launch_id=assignment.launch_id
        )
        registered = await self.persistence.instances.register(
            registration, when=OPEN, at=self.launcher.now()
        )
        return registered.run

    async def end(self, instance_id: str, ending: Ending) -> None:
        """Let a launched process register, end its instance, and exit."""
        run = await self.run(instance_id)
        now = self.launcher.now()
        kind = EventType.COMPLETED if ending.state is State.COMPLETED else EventType.FAILED
        event = Event(kind, ending.output or b"", now)
        await self.persistence.events.end(
            Caller(instance_id, run), event, ending, when=OPEN, at=now
        )
        self.placement.exit(instance_id, 0 if ending.state is State.COMPLETED else 1)


def _everywhere(kind: str) -> object:
    return kind if kind == "memory" else pytest.param(kind, marks=pytest.mark.long)


# What depends on the database asks for each of them; the rest is tried there before a release.
@pytest.fixture(params=map(_everywhere, KINDS))
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with empty(request.param, tmp_path) as one:
        yield one


@pytest.fixture
async def port(tmp_path: Path, database: Database) -> AsyncIterator[Port]:
    async with opened(tmp_path, database) as one:
        yield one


def launch_folder(folder: Path, tenant_id: str, launch: Launch | Assignment) -> LaunchFolder:
    return LaunchFolder(folder, tenant_id, launch.instance_id, launch.launch_id)


@asynccontextmanager
async def opened(folder: Path, database: Database) -> AsyncIterator[Port]:
    """Serve an environment's port, and connect to it."""
    clock = SystemClock()
    placement = FakePlacement(HERE)
    checked: list[tuple[bytes, RunnerType, Mapping[str, object]]] = []
    forgotten: list[tuple[str, tuple[str, ...]]] = []
    is_checking, may_check = threading.Event(), threading.Event()
    may_check.set()

    def check(path: Path, runner: RunnerType, metadata: Mapping[str, object]) -> None:
        is_checking.set()
        assert may_check.wait(20), "the check was never let on"
        checked.append((path.read_bytes(), runner, metadata))

    async def read_log(tenant_id: str, launch: Launch, offset: int, limit: int) -> LogPiece | None:
        return launch_folder(folder, tenant_id, launch).read_log(offset, limit)

    async with AsyncExitStack() as stack:
        persistence = await stack.enter_async_context(database.connect())
        environment = NewEnvironment(environment_id=HERE, machine="machine", capacity=4)
        launcher = await stack.enter_async_context(
            Launcher(
                persistence,
                clock,
                {"local": placement},
                LauncherSettings(environment=environment),
                CronCalendar(),
            )
        )
        management = Management(
            persistence=persistence,
            launcher=launcher,
            clock=clock,
            check_image=check,
            obstacle=lambda image: None if image.placement == LOCAL else "it is far",
            read_log=read_log,
            forget_files=lambda tenant, instances: forgotten.append((tenant, tuple(instances))),
            crashes=CrashPolicy(),
            version="1.2.3",
            environment_id=HERE,
            image_max_bytes=4 << 20,
            began_at=clock.uptime(),
        )
        router = Router(OPERATIONS, management)
        served = await stack.enter_async_context(serving(lambda _: streams(router)))
        looks = (checked, forgotten, is_checking, may_check)
        client = ManagementClient()
        one = Port(database, persistence, placement, launcher, client, folder, served.port, *looks)
        one.client = await stack.enter_async_context(ManagementClient(one.settings()))
        yield one


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as opened:
        yield opened
