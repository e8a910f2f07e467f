"""The placement on this machine: a spawner that outlives the environment owns the processes."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any

from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.model.launches import Assignment, OpenLaunch
from runtara_domain.model.stored_images import Image, RunnerType
from runtara_domain.ports.images import Images
from runtara_domain.ports.placements import HasEnded, LaunchFailed, StopSignal
from runtara_environment.folders import LaunchFolder, safe_name
from runtara_environment.images.cache import ImageCache
from runtara_environment.placements.endings import end_of, left_behind_soon, parsed_handle, storable
from runtara_environment.placements.orders import start_order
from runtara_environment.placements.spawner import (
    SpawnerClient,
    SpawnerLost,
    SpawnerRefused,
    connect,
)
from runtara_environment.placements.strays import end_strays
from runtara_environment.placements.sweeping import Folders
from runtara_environment.runners.oci import NO_RUNTIME
from runtara_environment.runners.port import LaunchFolders, ProcessSpec, Runner
from runtara_environment.runners.variables import base_variables, launch_variables
from runtara_environment.spawner.frames import Message

logger = logging.getLogger(__name__)

_SIGNALS = {StopSignal.TERMINATE: SIGTERM, StopSignal.KILL: SIGKILL}
_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """
    The folder of launches' files, and the address at which their processes find the core.

    tls_ca: a PEM file of certificates that processes trust. skip_cert_verification: for tests.
    max_log_bytes: how much of a launch's output is kept. warm_images: how many images have a warm
    interpreter at once. prepared_processes: how many processes each of these keeps ready.
    """

    data_dir: Path
    core_addr: str = "127.0.0.1:8001"
    server_name: str | None = None
    tls_ca: Path | None = None
    skip_cert_verification: bool = False
    max_log_bytes: int = 16 * 1024 * 1024
    warm_images: int = 8
    prepared_processes: int = 2
    keeps_dont_write_bytecode: bool = False

    def core_variables(self) -> dict[str, str]:
        """Return the environment variables by which a process finds the core."""
        found = {"RUNTARA_SERVER_ADDR": self.core_addr}
        if self.server_name is not None:
            found["RUNTARA_SERVER_NAME"] = self.server_name
        if self.tls_ca is not None:
            found["RUNTARA_TLS_CA"] = str(self.tls_ca.absolute())
        if self.skip_cert_verification:
            found["RUNTARA_SKIP_CERT_VERIFICATION"] = "true"
        return found


@dataclass(slots=True)
class _Launched:
    """A launch whose process may be alive; pid and start_time: None while the process starts."""

    folder: LaunchFolder
    reports: bool
    image_id: str | None
    pid: int | None = None
    start_time: int | None = None


@dataclass(slots=True)
class LocalPlacement:
    """
    Implements `runtara_domain.ports.placements.Placement`; used while its `watch` is open.

    If the spawner dies, the placement starts another one, which takes over the processes.
    """

    images: Images
    runners: Mapping[str, Runner]
    settings: LocalSettings
    _cache: ImageCache = field(init=False)
    _cold: set[str] = field(default_factory=set)
    _launched: dict[str, _Launched] = field(default_factory=dict)
    _unheard: dict[str, Message] = field(default_factory=dict)
    _ended: HasEnded | None = None
    _client: SpawnerClient | None = None
    _boot_id: str = ""
    _is_up: asyncio.Event = field(default_factory=asyncio.Event)
    _living: dict[str, tuple[int, int]] = field(default_factory=dict)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._cache = ImageCache(self.images, self.settings.data_dir / "images")

    def can_run(self, image: Image) -> bool:
        return self.obstacle(image) is None

    def obstacle(self, image: Image) -> str | None:
        """Return why an image can't be run here; None if it can."""
        if image.sha256 is None and not Path(image.binary_path or "/").is_file():
            return f"there is no file {image.binary_path!r} on this machine"
        if image.runner_type in self.runners:
            return None
        if image.runner_type is RunnerType.OCI:
            return NO_RUNTIME
        return f"there is no runner for {image.runner_type} images here"

    def sends_launch_id(self, image: Image) -> bool:
        runner = self.runners.get(image.runner_type)
        return runner is not None and runner.sends_launch_id

    def folder(self, tenant_id: str, instance_id: str, launch_id: str) -> LaunchFolder:
        """Return the folder of a launch, whether or not it exists."""
        return LaunchFolder(self.settings.data_dir / "runs", tenant_id, instance_id, launch_id)

    async def sweep(
        self, is_known: Callable[[str], Awaitable[bool]], older_than: timedelta | None
    ) -> int:
        """
        Remove folders that no launch needs any more, and return how many.

        older_than: all folders go of an instance that is not known any more and had no launch for
        that long. None: such folders stay. Of other instances the folders of the last launches
        stay. Containers and copies of images go when they were not needed for a week.
        """
        launched = self._launched
        folders = Folders(
            data_dir=self.settings.data_dir,
            cache=self._cache,
            launches={one.folder.path for one in launched.values()},
            containers={self._container(launch_id) for launch_id in launched},
            images={one.image_id for one in launched.values() if one.image_id is not None},
        )
        return await folders.sweep(is_known, older_than)

    @asynccontextmanager
    async def watch(self, ended: HasEnded) -> AsyncIterator[None]:
        self._ended = ended
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        keeping = asyncio.create_task(self._keep_spawner())
        try:
            await self._is_up.wait()
            yield
        finally:
            tasks = [keeping, *self._tasks]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._client is not None:
                self._client.close()
            self._is_up.clear()

    # Launching

    async def launch(
        self, assignment: Assignment, given: bytes | None, *, may_start: Callable[[], bool]
    ) -> str:
        image = assignment.image
        runner = None if image is None else self.runners.get(image.runner_type)
        if image is None or runner is None:
            raise LaunchFailed(Cause.RUNNER_FAILED, "there is no runner for it here")
        code = await self._cache.installed(image, runner)
        folder = self.folder(assignment.tenant_id, assignment.instance_id, assignment.launch_id)
        try:
            await folder.make_soon(given)
        except OSError as error:
            raise LaunchFailed(Cause.RUNNER_FAILED, f"its folder can't be made: {error}") from error
        folders = LaunchFolders(code=code, folder=folder.path, workspace=folder.workspace)
        launched = _Launched(folder, runner.reports, image.image_id)
        self._launched[assignment.launch_id] = launched
        try:
            return await self._start(assignment, image, runner, folders, may_start)
        except LaunchFailed:
            self._launched.pop(assignment.launch_id, None)
            raise

    async def _start(
        self,
        assignment: Assignment,
        image: Image,
        runner: Runner,
        folders: LaunchFolders,
        may_start: Callable[[], bool],
    ) -> str:
        variables = {
            **base_variables(self.settings.keeps_dont_write_bytecode),
            **launch_variables(assignment, image, folders, self.settings.core_variables()),
        }
        for left in reversed(range(_TRIES)):
            is_warm = image.image_id not in self._cold
            spec = runner.spec(image, folders, variables, warm=is_warm)
            if not may_start():
                raise LaunchFailed(Cause.RUNNER_FAILED, "the environment's lease had expired")
            try:
                return await self._ask_start(assignment.launch_id, folders, spec)
            except SpawnerRefused as refused:
                self._learn(image, refused, left)
            except SpawnerLost as lost:
                # The process may have been started. It must not run beside the next launch's.
                await self._end_strays(assignment.launch_id, folders.folder)
                raise LaunchFailed(Cause.RUNNER_FAILED, str(lost)) from lost
        raise AssertionError("the last try has its answer")

    async def _end_strays(self, launch_id: str, folder: Path) -> None:
        await asyncio.to_thread(end_strays, folder, self._container(launch_id))

    def _container(self, launch_id: str) -> Path:
        """Return the folder of a launch's container, whether or not the launch has one."""
        return self.settings.data_dir / "containers" / safe_name(launch_id)

    def _learn(self, image: Image, refused: SpawnerRefused, left: int) -> None:
        """Note that an image can't be forked; raise LaunchFailed if it can't be launched at all."""
        text = storable(str(refused))
        if refused.problem in ("threads", "sockets"):
            logger.info("image %s has no warm interpreter: %s", image.image_id, text)
            self._cold.add(image.image_id)
        elif refused.problem == "import":
            raise LaunchFailed(Cause.REFUSED, text, problem=text) from refused
        elif "[Errno 8]" in text:
            problem = f"its bytes are no program that this machine runs: {text}"
            raise LaunchFailed(Cause.REFUSED, problem, problem=problem) from refused
        elif refused.problem != "ended" or not left:
            raise LaunchFailed(Cause.RUNNER_FAILED, text) from refused

    async def _ask_start(self, launch_id: str, folders: LaunchFolders, spec: ProcessSpec) -> str:
        order = start_order(launch_id, folders, spec, container=self._container(launch_id))
        client = await self._spawner()
        ok = await client.ask("start", max_log_bytes=self.settings.max_log_bytes, **order)
        launched = self._launched.get(launch_id)
        if launched is not None:
            launched.pid, launched.start_time = ok["pid"], ok["start_time"]
        return json.dumps({**ok, "boot_id": self._boot_id})

    # While they live

    async def send(self, launch_id: str, signal: StopSignal) -> None:
        # A launch that the spawner doesn't know has no process. If the spawner has gone, the next
        # spawner takes the process over, and the engine looks at it again.
        with suppress(SpawnerRefused, SpawnerLost):
            client = await self._spawner()
            await client.ask("signal", launch_id=launch_id, signal=int(_SIGNALS[signal]))

    async def confirm(self, launch_id: str) -> None:
        self._launched.pop(launch_id, None)
        with suppress(SpawnerRefused, SpawnerLost):
            await (await self._spawner()).ask("confirm", launch_id=launch_id)

    def knows(self, launch_id: str) -> bool:
        """Before `take_up`: return whether the spawner has, or had, a process of this launch."""
        return launch_id in self._living or launch_id in self._unheard

    async def take_up(self, launches: Sequence[OpenLaunch]) -> None:
        for row in launches:
            await self._take_up_one(row)
        kept = {row.launch_id for row in launches}
        for launch_id in set(self._living) - kept:
            await self.send(launch_id, StopSignal.KILL)
        unheard, self._unheard = self._unheard, {}
        for launch_id, message in unheard.items():
            self._hear(launch_id, message)

    async def _take_up_one(self, row: OpenLaunch) -> None:
        folder = self.folder(row.tenant_id, row.instance_id, row.launch_id)
        launched = _Launched(folder, await self._reports(row.image_id), row.image_id)
        self._launched[row.launch_id] = launched
        if row.launch_id in self._living:
            launched.pid, launched.start_time = self._living[row.launch_id]
        elif row.launch_id not in self._unheard:
            await self._find_again(row, launched)

    async def _find_again(self, row: OpenLaunch, launched: _Launched) -> None:
        """Find the process of a launch that the spawner doesn't know."""
        handle = parsed_handle(row.handle)
        if handle is None:
            await self._end_strays(row.launch_id, launched.folder.path)
            failed = LaunchFailed(
                Cause.RUNNER_FAILED, "the environment ended before it was started"
            )
            self._tell(row.launch_id, failed.end)
        elif handle["boot_id"] != self._boot_id:
            self._gone(row.launch_id, launched, Cause.MACHINE_RESTARTED)
        else:
            launched.pid, launched.start_time = handle["pid"], handle["start_time"]
            await self._adopt(row.launch_id, launched)

    async def _adopt(self, launch_id: str, launched: _Launched) -> None:
        container = self._container(launch_id)
        try:
            ok = await (await self._spawner()).ask(
                "adopt",
                launch_id=launch_id,
                pid=launched.pid,
                start_time=launched.start_time,
                folder=str(launched.folder.path),
                max_log_bytes=self.settings.max_log_bytes,
                cgroup=safe_name(launch_id),
                container=str(container) if container.exists() else None,
            )
        except SpawnerRefused as refused:
            logger.warning("launch %s can't be taken over: %s", launch_id, refused)
            self._gone(launch_id, launched, Cause.UNKNOWN)
            return
        if ok["pid"] is None:
            self._gone(launch_id, launched, Cause.UNKNOWN)

    async def _reports(self, image_id: str | None) -> bool:
        image = None if image_id is None else await self.images.get(image_id)
        runner = None if image is None else self.runners.get(image.runner_type)
        return runner is not None and runner.reports

    # The spawner

    async def _spawner(self) -> SpawnerClient:
        await self._is_up.wait()
        assert self._client is not None, "what is up is there"
        return self._client

    async def _keep_spawner(self) -> None:
        """Keep a connection to a spawner; start another spawner when one is lost."""
        while True:
            try:
                client = await connect(
                    self.settings.data_dir,
                    *("--max-warm", str(self.settings.warm_images)),
                    *("--prepared", str(self.settings.prepared_processes)),
                )
            except (SpawnerLost, OSError) as error:
                logger.error("spawner can't be started, trying again: %s", error)
                await asyncio.sleep(1)
                continue
            listening = asyncio.create_task(client.listen(self._heard))
            try:
                await self._begin_with(client)
                await listening
            except SpawnerLost as lost:
                logger.warning("the spawner was lost: %s", lost)
            finally:
                listening.cancel()
            self._is_up.clear()

    async def _begin_with(self, client: SpawnerClient) -> None:
        is_first = self._client is None
        greeting = await client.greet()
        self._boot_id, self._living, self._client = greeting.boot_id, greeting.living, client
        self._is_up.set()
        if is_first:
            return
        logger.warning("the spawner was replaced: taking over its processes")
        for launch_id, launched in list(self._launched.items()):
            if launched.pid is not None and launch_id not in greeting.living:
                await self._adopt(launch_id, launched)

    # Ends

    def _heard(self, launch_id: str, message: Message) -> None:
        if launch_id in self._launched:
            self._hear(launch_id, message)
        else:
            # The spawner ran before this environment. `take_up` finds the launch of this end.
            self._unheard[launch_id] = message

    def _hear(self, launch_id: str, message: Message) -> None:
        launched = self._launched.get(launch_id)
        if launched is None:
            # The launch was closed while no environment ran here.
            self._tell(launch_id, end_of(message, False))
        else:
            self._spawn(self._judge(launch_id, launched, end_of(message, launched.reports)))

    def _gone(self, launch_id: str, launched: _Launched, cause: Cause) -> None:
        end = LaunchEnd(cause=cause, reports=launched.reports)
        self._spawn(self._judge(launch_id, launched, end))

    async def _judge(self, launch_id: str, launched: _Launched, end: LaunchEnd) -> None:
        output, stderr = await left_behind_soon(launched.folder)
        self._tell(launch_id, replace(end, output=output, stderr=stderr))

    def _tell(self, launch_id: str, end: LaunchEnd) -> None:
        if self._ended is not None:
            self._ended(launch_id, end)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
