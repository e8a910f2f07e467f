"""A placement under test, with the part of the engine of launches that it talks to."""

import asyncio
import fcntl
import hashlib
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from runtara_domain.launching.crashes import CrashPolicy
from runtara_domain.launching.verdicts import judge
from runtara_domain.model.environments import NewEnvironment
from runtara_domain.model.images import NewImage
from runtara_domain.model.launch_ends import LaunchEnd
from runtara_domain.model.launches import (
    Assignment,
    Closing,
    InstanceStart,
    Offer,
    OpenLaunch,
    new_launch_id,
)
from runtara_domain.model.stored_images import Image, RunnerType
from runtara_domain.ports.persistence import Persistence
from runtara_domain.ports.placements import Placement, StopSignal
from runtara_domain.status import State
from runtara_domain.system_clock import SystemClock

TENANT = "tenant / ../ü"
ENVIRONMENT = "the-rig"


@dataclass(slots=True)
class Launched:
    """A launch of the rig; handle: None until it is started."""

    assignment: Assignment
    handle: str | None = None

    @property
    def launch_id(self) -> str:
        """The launch's id."""
        return self.assignment.launch_id

    def row(self) -> OpenLaunch:
        """Return the row that the next environment reads for it."""
        one = self.assignment
        return OpenLaunch(
            launch_id=one.launch_id,
            instance_id=one.instance_id,
            tenant_id=one.tenant_id,
            environment_id=ENVIRONMENT,
            number=one.number,
            created_at=one.created_at,
            state=State.PENDING,
            image_id=None if one.image is None else one.image.image_id,
            handle=self.handle,
        )


class Rig:
    """
    Opens a placement as an environment does, and keeps the ends that it reports.

    persistence: open, and reachable by the placement's nodes. make: returns the placement of an
    environment that has just started; each call stands for a new process of the same environment.
    placement_name: the name in images. folder: a folder that launched processes see. patience: the
    longest time of any single wait, in seconds.
    """

    def __init__(
        self,
        persistence: Persistence,
        make: Callable[[], Placement],
        folder: Path,
        *,
        placement_name: str = "local",
        patience: float = 60,
    ) -> None:
        self.persistence, self.folder, self.patience = persistence, folder, patience
        self.ends: dict[str, LaunchEnd] = {}
        self.placement: Placement
        self._make, self._placement_name = make, placement_name
        self._clock = SystemClock()
        self._changed = asyncio.Event()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._open(())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    async def reopen(self, left: Sequence[Launched]) -> None:
        """End the environment without a word to its processes, and begin the next one."""
        await self._stack.aclose()
        self.ends.clear()
        await self._open(left)

    async def _open(self, left: Sequence[Launched]) -> None:
        self.placement = self._make()
        self._stack = AsyncExitStack()
        await self._stack.enter_async_context(self.placement.watch(self._heard))
        await self.placement.take_up([one.row() for one in left])

    def _heard(self, launch_id: str, end: LaunchEnd) -> None:
        self.ends[launch_id] = end
        self._changed.set()

    # Launching

    async def image(
        self, content: bytes, runner_type: RunnerType = RunnerType.NATIVE, **metadata: object
    ) -> Image:
        """Register an image for this placement."""
        upload, at = uuid4().hex, self._clock.now()
        await self.persistence.images.put_chunk(upload, 0, content, at=at)
        new = NewImage(
            image_id=upload,
            tenant_id=TENANT,
            name=f"image-{upload}",
            runner_type=runner_type,
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            metadata={"placement": self._placement_name, **metadata},
        )
        return (await self.persistence.images.register(new, upload, at=at)).image

    def assigned(self, image: Image, instance_id: str | None = None) -> Launched:
        """Return a launch as a claim returns it."""
        return Launched(
            Assignment(
                launch_id=new_launch_id(),
                number=1,
                instance_id=instance_id or f"i-{uuid4().hex}",
                tenant_id=TENANT,
                run=0,
                created_at=self._clock.now(),
                image=image,
            )
        )

    async def instance(self, image: Image, given: bytes | None = None) -> str:
        """Store an instance of an image, which `claimed` launches; gives its id."""
        start = InstanceStart(
            instance_id=f"i-{uuid4().hex}", tenant_id=TENANT, image_id=image.image_id, input=given
        )
        await self.persistence.launches.start(start, at=self._clock.now())
        return start.instance_id

    async def claimed(self) -> list[Launched]:
        """Claim launchable instances, as an environment does."""
        environment = NewEnvironment(environment_id=ENVIRONMENT, machine="the rig's", capacity=99)
        await self.persistence.environments.open(environment, ttl=timedelta(hours=1))
        offer = Offer(
            environment_id=ENVIRONMENT,
            can_run=self.placement.can_run,
            sends_launch_id=self.placement.sends_launch_id,
            lost_silence=timedelta(0),
        )
        claims = await self.persistence.launches.claim(offer, limit=99, at=self._clock.now())
        return [Launched(one) for one in claims.assignments]

    async def closed(
        self, launched: Launched, end: LaunchEnd, backoff: timedelta = timedelta(0)
    ) -> None:
        """Store the verdict on a launch, as the engine does before it confirms the end."""
        policy = CrashPolicy(first=backoff)
        await self.persistence.launches.close(
            Closing(launched.launch_id, end),
            lambda end, instance: judge(end, instance, policy),
            at=self._clock.now(),
        )

    async def start(self, launched: Launched, given: bytes | None = None) -> Launched:
        """Start its process."""
        launched.handle = await self.placement.launch(
            launched.assignment, given, may_start=lambda: True
        )
        return launched

    async def shell(
        self, script: str, *, given: bytes | None = None, **metadata: object
    ) -> Launched:
        """Launch a shell program."""
        image = await self.image(f"#!/bin/sh\n{script}\n".encode(), **metadata)  # type: ignore[arg-type]  # Metadata by name.
        return await self.start(self.assigned(image), given)

    # Ends

    async def ended(self, launched: Launched) -> LaunchEnd:
        """Wait for a launch's end, and confirm it as the engine does once the verdict is stored."""
        end = await self.end_of(launched)
        await self.placement.confirm(launched.launch_id)
        return end

    async def end_of(self, launched: Launched) -> LaunchEnd:
        """Wait for a launch's end."""
        async with asyncio.timeout(self.patience):
            while launched.launch_id not in self.ends:
                self._changed.clear()
                await self._changed.wait()
        return self.ends[launched.launch_id]

    async def killed(self, launched: Launched) -> LaunchEnd:
        """Kill a launch as often as the engine would, until its end is reported; confirm it."""
        async with asyncio.timeout(self.patience):
            while launched.launch_id not in self.ends:
                await self.placement.send(launched.launch_id, StopSignal.KILL)
                await asyncio.sleep(0.05)
        return await self.ended(launched)

    def mark(self) -> Path:
        """Return the path of a missing file for a process to write."""
        return self.folder / uuid4().hex

    async def until_there(self, mark: Path) -> str:
        """Wait until a process has written a file; gives its text."""
        async with asyncio.timeout(self.patience):
            while not (text := _text(mark)):  # noqa: ASYNC110  # It tells nothing.
                await asyncio.sleep(0.01)
        return text

    async def until_unlocked(self, mark: Path) -> None:
        """Wait until no process holds a lock of this file any more."""
        async with asyncio.timeout(self.patience):
            with open(mark, "rb") as file:  # noqa: ASYNC230  # It is a lock's name.
                while True:
                    try:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        await asyncio.sleep(0.01)
                    else:
                        return


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""
