"""Workflows that end once with the right result, whatever is killed while they run."""

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import SOCK_DGRAM, socket

import pytest
from tests.environment.real.fleet import Fleet, opened
from tests.support.environment_process import EnvironmentProcess

from runtara_domain.model import CustomSignal
from runtara_domain.model.stored_images import Image
from runtara_domain.model.stored_launches import Launch, LaunchFilter
from runtara_domain.status import OPEN, State

FLOW = """
import os
from runtara_sdk import promise, sleep, step, workflow

@step
async def note(folder: str, name: str, number: int) -> int:
    with open(f"{folder}/{name}", "a") as notes:
        notes.write(f"{number} {os.environ['RUNTARA_LAUNCH_ID']}\\n")
    return number

@workflow
async def run(folder: str, name: str, kind: int) -> int:
    total = await note(folder, name, 1)
    if kind % 2:
        await sleep(0.3 + kind % 5 * 0.4)
    total += await note(folder, name, 2)
    if kind % 3 == 0:
        total += await promise("go", int)
    total += await note(folder, name, 4)
    return total * 10
"""

_ALL = 10_000
"""More launches than there are."""


@dataclass
class Storm:
    """
    What is killed, and what is known of it afterwards.

    loses_cores: whether a core is killed. killed: launches whose process was killed while its
    spawner lived. unsure: launches that were open when a spawner or a whole machine was killed, or
    that began and ended around that: of their ends nothing may be known. over: launches that had
    ended before the last kill of an environment.
    """

    fleet: Fleet
    chance: random.Random
    loses_cores: bool = False
    killed: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    over: set[str] = field(default_factory=set)
    deaths: list[str] = field(default_factory=list)

    async def kill_process(self) -> None:
        """Kill a workflow's process."""
        rows = [row for row in await self.fleet.open_launches() if row.handle is not None]
        if not rows:
            return
        row = self.chance.choice(rows)
        with suppress(ProcessLookupError):
            os.kill(json.loads(row.handle or "")["pid"], signal.SIGKILL)
            self.killed.add(row.launch_id)
            self.deaths.append("process")

    async def kill_environment(self) -> None:
        """Kill an environment alone, and start it again after a moment."""
        environment = await self._stricken()
        await environment.kill()
        self.deaths.append("environment")
        await asyncio.sleep(self.chance.random())
        await self._restart(environment)

    async def kill_spawner(self) -> None:
        """Kill a spawner alone: its environment takes its processes over."""
        environment = await self._stricken()
        if environment.kill_spawner() is not None:
            self.deaths.append("spawner")
        await self._note_unsure(environment)

    async def kill_core(self) -> None:
        """Kill the core, and start it again: processes go on when it is back."""
        await self.fleet.core.restart()
        self.deaths.append("core")

    async def kill_machine(self) -> None:
        """Kill an environment with its spawner and all its processes."""
        environment = await self._stricken()
        await environment.kill()
        environment.kill_everything()
        self.deaths.append("machine")
        await self._note_unsure(environment)
        await self._restart(environment)

    async def _stricken(self) -> EnvironmentProcess:
        environment = self.chance.choice(self.fleet.environments)
        launches = await self._launches_of(environment)
        self.over = {one.launch_id for one in launches if one.closed_at is not None}
        return environment

    async def _note_unsure(self, environment: EnvironmentProcess) -> None:
        # Not only those that are open: one may have begun after `over` was read, and ended by now.
        launches = await self._launches_of(environment)
        self.unsure |= {one.launch_id for one in launches} - self.over

    async def _launches_of(self, environment: EnvironmentProcess) -> Sequence[Launch]:
        which = LaunchFilter(environment_id=environment.environment_id)
        return await self.fleet.persistence.launches.page(which, limit=_ALL)

    async def _restart(self, environment: EnvironmentProcess) -> None:
        await environment.start()
        await self._note_unsure(environment)


async def workflows(storm: Storm, image: Image, folder: Path, count: int) -> dict[str, int]:
    """Start workflows bit by bit, and send those that wait what they wait for."""
    fleet, expected = storm.fleet, {}
    for number in range(count):
        name = f"i{number}"
        await fleet.start(image, name, {"folder": str(folder), "name": name, "kind": number})
        value = 100 if number % 3 == 0 else 0
        expected[name] = (7 + value) * 10
        await asyncio.sleep(storm.chance.random() * 0.05)
    for number in range(0, count, 3):
        signal_ = CustomSignal("go", b"100")
        await fleet.persistence.signals.send_custom(
            f"i{number}", signal_, when=OPEN, at=fleet.clock.now()
        )
        await asyncio.sleep(storm.chance.random() * 0.05)
    return expected


async def check(storm: Storm, folder: Path, expected: dict[str, int]) -> set[str]:
    """Hold what ended against what should have; gives the launches there were."""
    fleet, known = storm.fleet, set[str]()
    causes: dict[str, int] = {}
    may_be = {("exited", 0, None), ("exited", 75, None)}
    if storm.loses_cores:
        # What it asked the core for was too long without an answer.
        may_be.add(("exited", 4, None))
    for name, result in expected.items():
        ended = await fleet.rests(name)
        launches = await fleet.launches(name)
        assert (ended.state, ended.output) == (State.COMPLETED, str(result).encode()), (
            name,
            ended,
            launches,
        )
        assert await fleet.endings(name) == {"completed": 1}
        notes = [line.split() for line in (folder / name).read_text().splitlines()]
        assert {number for number, _ in notes} == {"1", "2", "4"}
        known |= {launch.launch_id for launch in launches}
        for launch in launches:
            causes[launch.cause or "?"] = causes.get(launch.cause or "?", 0) + 1
            told = (launch.cause, launch.exit_code, launch.exit_signal)
            if launch.launch_id in storm.unsure:
                continue
            if launch.launch_id in storm.killed:
                # It may have ended by itself just before.
                assert told in {("killed", None, 9), *may_be}
            else:
                assert told in may_be, (name, launches)
    deaths = {one: storm.deaths.count(one) for one in storm.deaths}
    sys.stdout.write(f"{len(expected)} workflows, deaths {deaths}, causes {causes}\n")
    assert list(await fleet.persistence.launches.page(LaunchFilter(open_only=True))) == []
    return known


async def nothing_is_left(fleet: Fleet, known: set[str]) -> None:
    """Environments that end leave no process but their idle spawner, and no stray folder."""
    codes = await asyncio.gather(*(each.terminate() for each in fleet.environments))
    assert set(codes) == {0}
    for environment in fleet.environments:
        assert environment.processes() == []
        folders = environment.data_dir.glob("runs/*/*/*/input.json")
        assert {one.parent.name for one in folders} <= known, "a folder of no launch"
        spawner = environment.kill_spawner()
        assert spawner is not None


def free_port() -> int:
    """Give a UDP port that nothing listens on."""
    with socket(type=SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


async def execute(
    fleet: Fleet, folder: Path, count: int, seed: int, kinds: list[str], *, embeds: bool = False
) -> None:
    """embeds: the core lives in the process of one of both environments, and dies with it."""
    storm = Storm(fleet, random.Random(seed), loses_cores=embeds or "core" in kinds)
    port = free_port() if embeds else fleet.core.port
    made = [
        fleet.environment(
            name,
            RUNTARA_ENV_CAPACITY="6",
            RUNTARA_CORE_ADDR=f"127.0.0.1:{port}",
            RUNTARA_EMBED_CORE=str(embeds and name == "a").lower(),
        )
        for name in ("a", "b")
    ]
    await asyncio.gather(*(each.start() for each in made))
    image = await fleet.image(FLOW)
    started = asyncio.create_task(workflows(storm, image, folder, count))
    for kind in kinds:
        await asyncio.sleep(storm.chance.random() * 0.6)
        await getattr(storm, f"kill_{kind}")()
    known = await check(storm, folder, await started)
    await nothing_is_left(fleet, known)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder in which workflows note what they do."""
    made = tmp_path / "notes"
    made.mkdir()
    return made


@pytest.fixture
async def on_sqlite(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with opened(tmp_path, "sqlite") as fleet:
        yield fleet


async def test_a_few_workflows_outlive_a_death_of_each_kind(on_sqlite: Fleet, notes: Path) -> None:
    """Each ends once with its result, each death has its cause, and nothing is left over."""
    kinds = ["process", "environment", "spawner", "process"]
    await execute(on_sqlite, notes, 6, 1, kinds)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 7))
async def test_two_hundred_workflows_outlive_a_storm(fleet: Fleet, notes: Path, seed: int) -> None:
    """
    The same of 200 workflows under two environments that are killed all the time.

    With every second seed the core is a process of its own and killed, else one of them has it.
    """
    chance, embeds = random.Random(seed), seed % 2 == 0
    weights = {"process": 8, "environment": 3, "spawner": 2, "machine": 1}
    if not embeds:
        weights["core"] = 2
    kinds = chance.choices(list(weights), list(weights.values()), k=40)
    await execute(fleet, notes, 200, seed, kinds, embeds=embeds)
