"""What sequences of the engine are made of: stalls, outages, and clocks that are wrong."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from tests.contract.launching import put_image
from tests.domain.launching.world import TENANT, FakePlacement, World
from tests.support.clock import FrozenClock

from runtara_domain.error import DatabaseError
from runtara_domain.launching.launcher import Launcher, LauncherSettings
from runtara_domain.model.environments import NewEnvironment
from runtara_domain.model.launches import Assignment, InstanceStart
from runtara_domain.model.stored_environments import Environment
from runtara_persistence.memory import MemoryPersistence

_STEPS = ("launches", "environments", "images", "instances", "signals")


class Gate:
    """What passes here waits while it is shut, or fails while it is broken."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self.is_broken = False

    def shut(self) -> None:
        """Let nothing pass."""
        self._open.clear()

    def open(self) -> None:
        """Let everything pass, also what waits."""
        self._open.set()

    def cut(self, *, fails: bool) -> None:
        """Let nothing pass: it fails, or waits."""
        self.is_broken = fails
        if not fails:
            self.shut()

    def mend(self) -> None:
        """Let everything pass again."""
        self.is_broken = False
        self.open()

    async def passed(self) -> None:
        """Wait until it is open; raises DatabaseError while it is broken."""
        await self._open.wait()
        if self.is_broken:
            raise DatabaseError("the database is away")


class _Port:
    """A port of persistence whose steps pass a gate."""

    def __init__(self, port: Any, gate: Gate) -> None:
        self._port, self._gate = port, gate

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def step(*args: Any, **more: Any) -> Any:
            await self._gate.passed()
            return await getattr(self._port, name)(*args, **more)

        return step


class Gated:
    """Persistence as an environment sees it behind a gate."""

    def __init__(self, persistence: MemoryPersistence, gate: Gate) -> None:
        self._persistence = persistence
        for name in _STEPS:
            setattr(self, name, _Port(getattr(persistence, name), gate))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._persistence, name)


class GatedPlacement(FakePlacement):
    """A placement in which a launch passes a gate before its process is started."""

    def __init__(self, environment_id: str, gate: Gate) -> None:
        super().__init__(environment_id)
        self._gate = gate

    async def launch(
        self, assignment: Assignment, given: bytes | None, *, may_start: Callable[[], bool]
    ) -> str:
        await self._gate.passed()
        return await super().launch(assignment, given, may_start=may_start)


class WrongClock:
    """A clock whose wall time is off; its spans are right."""

    def __init__(self, clock: FrozenClock, off: timedelta) -> None:
        self._clock, self._off = clock, off

    def now(self) -> datetime:
        return self._clock.now() + self._off

    def uptime(self) -> timedelta:
        return self._clock.uptime()

    async def pause(self, span: timedelta) -> None:
        await self._clock.pause(span)

    async def sleep_until(self, moment: datetime) -> None:
        await self._clock.sleep_until(moment - self._off)


def launcher(
    world: World,
    environment_id: str,
    *,
    persistence: Any = None,
    clock: Any = None,
    capacity: int = 9,
) -> Launcher:
    """Make an environment's engine with another way to the database, or another clock."""
    environment = NewEnvironment(
        environment_id=environment_id, machine="machine", capacity=capacity
    )
    return Launcher(
        persistence or world.persistence,
        clock or world.clock,
        {"local": world.placement(environment_id)},
        LauncherSettings(environment=environment),
    )


async def start(world: World, instance_id: str) -> str:
    """Put an instance of an image in; gives the image's id."""
    image = await put_image(world.persistence, tenant_id=TENANT)
    started = InstanceStart(instance_id=instance_id, tenant_id=TENANT, image_id=image.image_id)
    await world.persistence.launches.start(started, at=world.clock.now())
    await world.settle()
    return image.image_id


async def gone(world: World) -> list[Environment]:
    """Give the environments whose lease is over."""
    now = world.clock.now()
    return [one for one in await world.persistence.environments.page() if one.lease_until <= now]


def living(world: World) -> list[str]:
    """Give the instances that have a living process anywhere, one for each."""
    return sorted(one for placement in world.placements.values() for one in placement.living())
