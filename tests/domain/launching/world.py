"""A placement whose processes end when a test says so, and environments that launch there."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from tests.support.clock import FrozenClock

from runtara_domain.launching.launcher import Launcher, LauncherSettings
from runtara_domain.model import (
    Caller,
    Claim,
    Ending,
    Event,
    EventType,
    Registered,
    Registration,
    Sleep,
)
from runtara_domain.model.environments import NewEnvironment
from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.model.launches import Assignment, Claims, OpenLaunch
from runtara_domain.model.stored_environments import EnvironmentKind
from runtara_domain.model.stored_images import Image
from runtara_domain.model.stored_launches import Launch, LaunchFilter
from runtara_domain.ports.placements import HasEnded, LaunchFailed, StopSignal
from runtara_domain.ports.schedules import Calendar
from runtara_domain.status import OPEN, State
from runtara_persistence.memory import MemoryPersistence

TENANT = "tenant"
WORKFLOW = "orders"


@dataclass(slots=True)
class Process:
    """One process; heeds: whether it ends at SIGTERM; is_stuck: no signal ends it."""

    assignment: Assignment
    environment_id: str
    heeds: bool = True
    is_stuck: bool = False
    sent: list[StopSignal] = field(default_factory=list)
    end: LaunchEnd | None = None


class FakePlacement:
    """
    Fits `runtara_domain.ports.placements.Placement`; outlives the environments that use it.

    failure: what launching raises, while it is set. events: what happened in which order: "start"
    and "kill" with the instance.
    """

    def __init__(self, environment_id: str = "here") -> None:
        self.environment_id = environment_id
        self.processes: dict[str, Process] = {}
        self.started: list[str] = []
        self.confirmed: list[str] = []
        self.failure: Exception | None = None
        self.turn: asyncio.Event | None = None
        self.events: list[tuple[str, str]] = []
        self._watches: list[HasEnded] = []

    def can_run(self, image: Image) -> bool:
        return True

    def sends_launch_id(self, image: Image) -> bool:
        return True

    @asynccontextmanager
    async def watch(self, ended: HasEnded) -> AsyncIterator[None]:
        self._watches.append(ended)
        try:
            yield
        finally:
            self._watches.remove(ended)

    async def launch(
        self, assignment: Assignment, given: bytes | None, *, may_start: Callable[[], bool]
    ) -> str:
        if self.failure is not None:
            raise self.failure
        if self.turn is not None:
            await self.turn.wait()
        if not may_start():
            raise LaunchFailed(Cause.RUNNER_FAILED, "the lease is over")
        if assignment.launch_id not in self.processes:
            process = Process(assignment, self.environment_id)
            self.processes[assignment.launch_id] = process
            self.started.append(assignment.instance_id)
            self.events.append(("start", assignment.instance_id))
        return "handle"

    async def send(self, launch_id: str, signal: StopSignal) -> None:
        process = self.processes.get(launch_id)
        if process is None or process.end is not None:
            return
        process.sent.append(signal)
        if process.is_stuck:
            return
        if signal is StopSignal.KILL:
            self.events.append(("kill", process.assignment.instance_id))
            self.finish(launch_id, Cause.KILLED, signal=9)
        elif process.heeds:
            self.finish(launch_id, Cause.EXITED, exit_code=4)

    async def take_up(self, launches: Sequence[OpenLaunch]) -> None:
        kept = {row.launch_id for row in launches}
        for launch_id in set(self.processes) - kept:
            await self.send(launch_id, StopSignal.KILL)
        for row in launches:
            process = self.processes.get(row.launch_id)
            if process is None:
                self._tell(row.launch_id, LaunchEnd(cause=Cause.UNKNOWN, reports=False))
            elif process.end is not None:
                self._tell(row.launch_id, process.end)

    async def confirm(self, launch_id: str) -> None:
        self.confirmed.append(launch_id)
        self.processes.pop(launch_id, None)

    def of(self, instance_id: str) -> Process:
        """Give the living process of an instance."""
        (found,) = (
            one
            for one in self.processes.values()
            if one.assignment.instance_id == instance_id and one.end is None
        )
        return found

    def living(self) -> list[str]:
        """Give the instances that have a living process."""
        return sorted(
            one.assignment.instance_id for one in self.processes.values() if one.end is None
        )

    def finish(
        self,
        launch_id: str,
        cause: Cause,
        *,
        exit_code: int | None = None,
        signal: int | None = None,
        is_closed: bool = False,
    ) -> None:
        """Let a process end; is_closed: it has closed its launch."""
        process = self.processes[launch_id]
        process.end = LaunchEnd(
            cause=cause, reports=True, exit_code=exit_code, signal=signal, is_closed=is_closed
        )
        self._tell(launch_id, process.end)

    def crash(self, instance_id: str) -> None:
        """Let an instance's process be killed by something else."""
        self.finish(self.of(instance_id).assignment.launch_id, Cause.KILLED, signal=9)

    def exit(self, instance_id: str, code: int) -> None:
        """Let an instance's process exit."""
        self.finish(self.of(instance_id).assignment.launch_id, Cause.EXITED, exit_code=code)

    def _tell(self, launch_id: str, end: LaunchEnd) -> None:
        for ended in list(self._watches):
            ended(launch_id, end)


class SlowClaim:
    """A claim that is carried out at once, and answered once it may be."""

    def __init__(self, claim: Callable[..., Awaitable[Claims]]) -> None:
        self.is_done, self.may_answer = asyncio.Event(), asyncio.Event()
        self._claim = claim

    async def __call__(self, *args: object, **more: object) -> Claims:
        found = await self._claim(*args, **more)
        self.is_done.set()
        await self.may_answer.wait()
        return found


class Counted:
    """A port of which each call is counted."""

    def __init__(self, port: object, calls: Counter[str]) -> None:
        self._port, self._calls = port, calls

    def __getattr__(self, name: str) -> object:
        self._calls[name] += 1
        return getattr(self._port, name)


class World:
    """A database in memory with a frozen clock, and environments on it."""

    def __init__(self) -> None:
        self.clock = FrozenClock()
        self.persistence = MemoryPersistence(clock=self.clock)
        self.placements: dict[str, FakePlacement] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "World":
        await self._stack.enter_async_context(self.persistence)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    def placement(self, environment_id: str = "here") -> FakePlacement:
        """Give the placement of an environment."""
        return self.placements.setdefault(environment_id, FakePlacement(environment_id))

    def launcher(
        self,
        environment_id: str = "here",
        *,
        capacity: int = 9,
        calendar: Calendar | None = None,
        kind: EnvironmentKind = EnvironmentKind.ENVIRONMENT,
        **more: object,
    ) -> Launcher:
        """Make an environment's engine."""
        is_worker = kind is EnvironmentKind.WORKER
        environment = NewEnvironment(
            environment_id=environment_id,
            machine="machine",
            capacity=capacity,
            kind=kind,
            tenant_id=TENANT if is_worker else None,
            workflows=frozenset({WORKFLOW} if is_worker else ()),
        )
        settings = LauncherSettings(environment=environment, **more)  # type: ignore[arg-type]  # Fields by name.
        placement = self.placement(environment_id)
        return Launcher(self.persistence, self.clock, {"local": placement}, settings, calendar)

    def count_calls(self) -> Counter[str]:
        """Count the calls of steps by name, for environments that are made from now on."""
        calls: Counter[str] = Counter()
        for name in ("launches", "environments", "instances", "claims", "schedules", "signals"):
            counted = Counted(getattr(self.persistence, name), calls)
            setattr(self.persistence, name, counted)
        return calls

    def slow_claim(self) -> "SlowClaim":
        """Make the database carry out claims from now on, and answer when it may."""
        slow = SlowClaim(self.persistence.launches.claim)
        self.persistence.launches.claim = slow  # type: ignore[method-assign]  # Slowed down.
        return slow

    async def settle(self, iterations: int = 60) -> None:
        """Let everything happen that needs no time to pass."""
        for _ in range(iterations):
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float, *, step: float = 0.5) -> None:
        """Let time pass, in steps in which everything due happens."""
        left = seconds
        while left > 0:
            self.clock.advance(timedelta(seconds=min(step, left)))
            left -= step
            await self.settle()

    async def register(self, process: Process, *, by_hand: bool = False) -> Registered:
        """Begin the run of a launched process; by_hand: of one that no environment launched."""
        registration = Registration(
            process.assignment.instance_id,
            process.assignment.tenant_id,
            launch_id=None if by_hand else process.assignment.launch_id,
        )
        return await self.persistence.instances.register(
            registration, when=OPEN, at=self.clock.now()
        )

    async def complete(self, process: Process, run: int, exit_code: int | None = None) -> None:
        """Let a registered process say that its instance is complete; exit_code: of a worker's."""
        event = Event(EventType.COMPLETED, b"1", self.clock.now(), exit_code=exit_code)
        await self.persistence.events.end(
            Caller(process.assignment.instance_id, run),
            event,
            Ending(State.COMPLETED, b"1"),
            when=OPEN,
            at=self.clock.now(),
        )

    async def fall_asleep(
        self, process: Process, run: int, seconds: float, *, holder: str | None = None
    ) -> None:
        """Let a registered process begin a durable sleep; holder: the core that holds it."""
        now = self.clock.now()
        sleep = Sleep("nap", b"", timedelta(seconds=seconds), detach=holder is None)
        claim = Claim(holder or "core", now + timedelta(seconds=3600))
        caller = Caller(process.assignment.instance_id, run)
        await self.persistence.checkpoints.sleep(
            caller, sleep, when=OPEN, claim=claim, earliest=None, at=now
        )
        if holder is None:
            await self.settle()

    async def state(self, instance_id: str) -> State:
        """Read an instance's state."""
        instance = await self.persistence.instances.get(instance_id)
        assert instance is not None
        return instance.state

    async def launches(self, instance_id: str) -> list[Launch]:
        """Read the launches of an instance, the first one first."""
        page = await self.persistence.launches.page(LaunchFilter(instance_id=instance_id))
        return list(reversed(page))
