"""The environment's side of launches on a Slurm cluster."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.model.launches import Assignment, OpenLaunch
from runtara_domain.model.stored_images import Image
from runtara_domain.ports.persistence import Persistence
from runtara_domain.ports.placements import HasEnded, LaunchFailed, LogPiece, StopSignal
from runtara_domain.system_clock import SystemClock
from runtara_environment.folders import LaunchFolder, safe_name
from runtara_environment.images.cache import ImageCache
from runtara_environment.placements.endings import end_of, left_behind
from runtara_environment.placements.local import LocalSettings
from runtara_environment.placements.slurm_cluster.commands import (
    Job,
    Slurm,
    SlurmRefused,
    asked,
    in_words,
    script_of,
)
from runtara_environment.placements.slurm_cluster.job import BEGUN, ENDED, KILL, ORDER
from runtara_environment.placements.sweeping import Folders
from runtara_environment.placements.waiting import WaitingLine
from runtara_environment.runners.port import LaunchFolders, ProcessSpec, Runner
from runtara_environment.runners.variables import base_variables, launch_variables

SLURM = "slurm"
"""The placement's name in the metadata of images."""

logger = logging.getLogger(__name__)

_LOOK_S = 0.5
_ON_ITS_WAY = timedelta(seconds=5)
"""The longest time until a job's writes to the shared folder are visible on this machine."""
_MODULE = "runtara_environment.placements.slurm_cluster.job"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmSettings:
    """
    local: the settings of files; its `data_dir` is a folder that this machine and all nodes share.
    booking_wait: how long a job may wait for a node before the launch is given back. missed: a job
    that Slurm does not know, and that gave no sign of life for this time, counts as lost.
    """

    environment_id: str
    local: LocalSettings
    slurm: Slurm = field(default_factory=Slurm)
    booking_wait: timedelta = timedelta(seconds=60)
    missed: timedelta = timedelta(seconds=20)


@dataclass(slots=True)
class _Submitted:
    """
    A launch with a submitted job. heard_at: when the job was last known to wait or to run.
    touched: the last seen time of its sign of life. was_killed: whether a KILL was sent.
    """

    name: str
    instance_id: str
    image_id: str | None
    folder: LaunchFolder
    reports: bool
    since: timedelta
    heard_at: timedelta
    touched: int = 0
    was_killed: bool = False


@dataclass(slots=True)
class SlurmPlacement:
    """
    Implements `runtara_domain.ports.placements.Placement`; used while its `watch` is open.

    A job is identified by its name, made of environment, instance and launch number: after a crash
    of its controller Slurm may give the same job id again. The job's comment is the launch id. It
    tells the job from an older job of a deleted instance with the same id.
    """

    persistence: Persistence
    runners: Mapping[str, Runner]
    settings: SlurmSettings
    _cache: ImageCache = field(init=False)
    _clock: SystemClock = field(default_factory=SystemClock)
    _ended: HasEnded | None = None
    _submitted: dict[str, _Submitted] = field(default_factory=dict)
    _starting: dict[str, asyncio.Lock] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)
    _line: WaitingLine = field(init=False)

    def __post_init__(self) -> None:
        folder = self.settings.local.data_dir / "images"
        self._cache = ImageCache(self.persistence.images, folder)
        self._line = WaitingLine(self.persistence.launches)

    def can_run(self, image: Image) -> bool:
        return image.sha256 is not None and image.runner_type in self.runners

    def sends_launch_id(self, image: Image) -> bool:
        runner = self.runners.get(image.runner_type)
        return runner is not None and runner.sends_launch_id

    async def read_log(
        self, tenant_id: str, instance_id: str, launch_id: str, offset: int, limit: int
    ) -> LogPiece | None:
        folder = self._folder(tenant_id, instance_id, launch_id)
        return await asyncio.to_thread(folder.read_log, offset, limit)

    async def sweep(
        self, is_known: Callable[[str], Awaitable[bool]], older_than: timedelta | None
    ) -> int:
        """Remove folders that no launch needs from the shared folder; returns their number."""
        submitted = self._submitted.values()
        folders = Folders(
            data_dir=self.settings.local.data_dir,
            cache=self._cache,
            launches={one.folder.path for one in submitted},
            containers=(),
            images={one.image_id for one in submitted if one.image_id is not None},
        )
        return await folders.sweep(is_known, older_than)

    @asynccontextmanager
    async def watch(self, ended: HasEnded) -> AsyncIterator[None]:
        self._ended = ended
        looking = asyncio.create_task(self._keep_looking())
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    @property
    def _prefix(self) -> str:
        # No safe name has a colon, so no two environments, and no two instances, share a name.
        return f"runtara:{safe_name(self.settings.environment_id)}:"

    def _name(self, one: Assignment | OpenLaunch) -> str:
        return f"{self._prefix}{safe_name(one.instance_id)}:{one.number}"

    # Launching

    async def launch(
        self, assignment: Assignment, given: bytes | None, *, may_start: Callable[[], bool]
    ) -> str:
        launch_id, image = assignment.launch_id, assignment.image
        runner = None if image is None else self.runners.get(image.runner_type)
        if image is None or runner is None:
            raise LaunchFailed(Cause.RUNNER_FAILED, "there is no runner for it on the cluster")
        async with self._starting.setdefault(launch_id, asyncio.Lock()):
            if launch_id not in self._submitted:
                await self._submit(assignment, image, runner, given, may_start)
        return json.dumps({"job": self._name(assignment)})

    async def _submit(
        self,
        assignment: Assignment,
        image: Image,
        runner: Runner,
        given: bytes | None,
        may_start: Callable[[], bool],
    ) -> None:
        folder = self._folder(assignment.tenant_id, assignment.instance_id, assignment.launch_id)
        try:
            code = await self._cache.installed(image, runner)
            await asyncio.to_thread(folder.make, given)
            folders = LaunchFolders(code=code, folder=folder.path, workspace=folder.workspace)
            spec = self._spec(assignment, image, runner, folders)
            if spec.container is not None:
                raise LaunchFailed(Cause.RUNNER_FAILED, "a job of Slurm runs no container")
            await asyncio.to_thread(self._write_order, folder, assignment.launch_id, spec)
        except OSError as error:
            raise LaunchFailed(Cause.RUNNER_FAILED, f"its folder can't be made: {error}") from error
        if not may_start():
            raise LaunchFailed(Cause.RUNNER_FAILED, "the environment's lease had expired")
        self._line.begin(assignment.instance_id)
        script = script_of([sys.executable, "-m", _MODULE, str(folder.path)])
        try:
            await self.settings.slurm.submit(
                self._name(assignment),
                safe_name(assignment.launch_id),
                [f"--chdir={folder.path}", *asked(image)],
                script,
            )
        except SlurmRefused as refused:
            await self._line.go_on(assignment.instance_id)
            raise LaunchFailed(Cause.WAITING, f"{in_words(image)}: {refused}") from refused
        self._watch(assignment, image)

    def _spec(
        self, assignment: Assignment, image: Image, runner: Runner, folders: LaunchFolders
    ) -> ProcessSpec:
        settings = self.settings.local
        variables = {
            **base_variables(settings.keeps_dont_write_bytecode),
            **launch_variables(assignment, image, folders, settings.core_variables()),
        }
        return runner.spec(image, folders, variables, warm=False)

    def _write_order(self, folder: LaunchFolder, launch_id: str, spec: ProcessSpec) -> None:
        order = {
            "launch_id": launch_id,
            "argv": list(spec.argv),
            "env": dict(spec.env),
            "cwd": str(spec.cwd),
            "max_log_bytes": self.settings.local.max_log_bytes,
            "cgroup": safe_name(launch_id),
            "limits": {"memory_bytes": spec.memory_bytes, "cpus": spec.cpus},
        }
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(folder.path / ORDER, flags, 0o600), "w") as file:
            json.dump(order, file)

    def _folder(self, tenant_id: str, instance_id: str, launch_id: str) -> LaunchFolder:
        runs = self.settings.local.data_dir / "runs"
        return LaunchFolder(runs, tenant_id, instance_id, launch_id)

    def _watch(self, one: Assignment | OpenLaunch, image: Image | None) -> None:
        runner = None if image is None else self.runners.get(image.runner_type)
        now = self._clock.uptime()
        self._submitted[one.launch_id] = _Submitted(
            name=self._name(one),
            instance_id=one.instance_id,
            image_id=None if image is None else image.image_id,
            folder=self._folder(one.tenant_id, one.instance_id, one.launch_id),
            reports=runner is not None and runner.reports,
            since=now,
            heard_at=now,
        )

    # While jobs run

    async def send(self, launch_id: str, signal: StopSignal) -> None:
        submitted = self._submitted.get(launch_id)
        if submitted is None:
            return
        try:
            if signal is StopSignal.KILL:
                # The job itself sees this file, even if Slurm no longer knows the job.
                submitted.was_killed = True
                await asyncio.to_thread((submitted.folder.path / KILL).touch)
                await self._signal(submitted.name, "--state=PENDING")
            else:
                await self._signal(submitted.name, "--batch", "--signal=TERM")
        except OSError as error:
            logger.warning("launch %s can't be signalled: %s", launch_id, error)

    async def _signal(self, name: str, *arguments: str) -> None:
        try:
            await self.settings.slurm.signal(name, *arguments)
        except SlurmRefused as refused:
            logger.warning("job %s: %s", name, refused)

    async def confirm(self, launch_id: str) -> None:
        self._submitted.pop(launch_id, None)
        self._starting.pop(launch_id, None)
        self._told.discard(launch_id)
        await self._line.closed(launch_id)

    async def take_up(self, launches: Sequence[OpenLaunch]) -> None:
        images = self.persistence.images
        for row in launches:
            found = None if row.image_id is None else await images.get(row.image_id)
            self._watch(row, found)
        try:
            jobs = await self.settings.slurm.jobs(self._prefix)
        except SlurmRefused as refused:
            logger.warning("jobs of closed launches may run on: %s", refused)
            return
        kept = {safe_name(row.launch_id) for row in launches}
        for launch_id, job in jobs.items():
            if launch_id not in kept and not job.is_over:
                await self._signal(job.name, "--full", "--signal=KILL", job.job_id)
                await self._signal(job.name, job.job_id)

    # Ends

    async def _keep_looking(self) -> None:
        idle: int | None = None
        while True:
            await asyncio.sleep(_LOOK_S)
            idle = await self._look_for_room(idle)
            looked_at = {
                launch_id: one
                for launch_id, one in self._submitted.items()
                if launch_id not in self._told
            }
            if looked_at:
                await self._look(looked_at)

    async def _look_for_room(self, before: int | None) -> int | None:
        """
        If more CPUs are idle than before, let the instances that wait for room try again.

        before: the former count, None if it is unknown: CPUs may then have been freed since an
        instance was given back. Returns the count; None if no instance waits, or Slurm gave none.
        """
        if self._line.is_empty:
            return None
        try:
            idle = await self.settings.slurm.idle_cpus()
        except SlurmRefused as refused:
            logger.warning("idle CPUs can't be read from Slurm: %s", refused)
            return None
        if idle > (before or 0):
            await self._line.freed()
        return idle

    async def _look(self, launches: Mapping[str, _Submitted]) -> None:
        # Jobs are listed before the folders are read: a job that is over has written its end.
        jobs: Mapping[str, Job] | None = None
        try:
            jobs = await self.settings.slurm.jobs(self._prefix)
        except SlurmRefused as refused:
            logger.warning("jobs can't be read from Slurm: %s", refused)
        for launch_id, submitted in launches.items():
            end = await asyncio.to_thread(self._written, submitted)
            if end is None and jobs is not None:
                end = await self._judged(launch_id, submitted, jobs.get(safe_name(launch_id)))
            if end is not None and launch_id in self._submitted and self._ended is not None:
                self._told.add(launch_id)
                if end.cause is not Cause.WAITING:
                    await self._line.go_on(submitted.instance_id)
                    # The number of idle CPUs may not rise: another job may take them at once.
                    await self._line.freed()
                self._ended(launch_id, end)

    def _written(self, submitted: _Submitted) -> LaunchEnd | None:
        """Return the end that the job has written; None if there is none."""
        path = submitted.folder.path
        try:
            message = json.loads((path / ENDED).read_text())
        except FileNotFoundError:
            touched = _touched(path / BEGUN)
            if touched != submitted.touched:
                submitted.touched, submitted.heard_at = touched, self._clock.uptime()
            return None
        if "refused" in message:
            problem = f"its bytes are no program that the node runs: {message['refused']}"
            return LaunchEnd(cause=Cause.REFUSED, reports=False, reason=problem)
        output, stderr = left_behind(submitted.folder)
        return replace(end_of(message, submitted.reports), output=output, stderr=stderr)

    async def _judged(
        self, launch_id: str, submitted: _Submitted, job: Job | None
    ) -> LaunchEnd | None:
        """Return the end that follows from Slurm's state of the job; None if it may still run."""
        now = self._clock.uptime()
        patience = self.settings.missed
        if job is not None and not job.is_over:
            submitted.heard_at = now
            is_waiting = job.state == "PENDING"
            if not is_waiting:
                await self._line.go_on(submitted.instance_id)
            if is_waiting and now - submitted.since >= self.settings.booking_wait:
                await self._signal(submitted.name, "--state=PENDING")
                self._line.give_back(launch_id, submitted.instance_id)
                return _given_back(job.reason)
            return None
        if job is not None:
            patience = min(patience, _ON_ITS_WAY)
        if now - submitted.heard_at < patience:
            return None
        if job is None and not submitted.touched:
            reason = "it was never started, or Slurm no longer knows its job"
            return LaunchEnd(cause=Cause.RUNNER_FAILED, reports=False, reason=reason)
        if submitted.was_killed or (job is not None and job.state == "CANCELLED"):
            return LaunchEnd(cause=Cause.KILLED, reports=False, signal=9)
        if job is not None and job.state == "OUT_OF_MEMORY":
            return LaunchEnd(cause=Cause.OUT_OF_MEMORY, reports=submitted.reports)
        word = "unknown to Slurm" if job is None else job.state
        reason = f"its node was lost: its job is {word}, and gave no sign of life"
        return LaunchEnd(cause=Cause.ENVIRONMENT_LOST, reports=False, reason=reason)


def _touched(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _given_back(reason: str) -> LaunchEnd:
    text = f"no node has enough free for its image: Slurm says {reason}"
    return LaunchFailed(Cause.WAITING, text).end
