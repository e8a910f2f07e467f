"""
A Ray cluster on two machines: two hundred workflows, while everything dies and the cable is pulled.

The machines are network namespaces; PostgreSQL, the core and both environments are on the first.
"""

import asyncio
import hashlib
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import socket

import pytest
from tests.support.machines import HERE, THERE, OtherMachine, other_machine
from tests.support.postgres import PostgresServer

from runtara_domain.model import CustomSignal
from runtara_domain.model.images import NewImage
from runtara_domain.model.launches import InstanceStart
from runtara_domain.model.stored_images import RunnerType
from runtara_domain.model.stored_launches import Launch, LaunchFilter
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import OPEN, State
from runtara_persistence.connect import connect

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

FLOW = """
import os
from runtara_sdk import promise, sleep, step, workflow

@step
async def double(number: int) -> int:
    return 2 * number

@workflow
async def run(number: int) -> int:
    number = await double(number)
    await sleep("1s")
    if number % 3 == 0:
        number += await promise("go", int)
    await sleep("2s")
    return await double(number + 1)
"""
COUNT = 200
TENANT = "acme"
HEAD_PORT, CORE_PORT, DATABASE_PORT = 6399, 8301, 5433
RAY = str(Path(sys.executable).with_name("ray"))


def expected(number: int) -> int:
    doubled = 2 * number
    return 2 * ((doubled + 7 if doubled % 3 == 0 else doubled) + 1)


class Machines:
    """All processes of the test, by name, each of which can be killed and started again."""

    def __init__(self, folder: Path, there: OtherMachine, url: str) -> None:
        self.folder, self.there, self.url = folder, there, url
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RUNTARA_", "COVERAGE_")) and name != "PYTHONDONTWRITEBYTECODE"
        }
        self._variables = {
            **kept,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_prestart_worker_first_driver": "0",
            "RUNTARA_DATABASE_URL": url,
            "RUNTARA_SKIP_CERT_VERIFICATION": "true",
        }

    def start(self, name: str, argv: list[str], **variables: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                argv,
                cwd=self.folder,
                env={**self._variables, **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def head(self) -> None:
        resources = ["--num-cpus=2", "--memory=4000000000", "--object-store-memory=80000000"]
        self.start(
            "head",
            [
                RAY, "start", "--head", "--block", f"--node-ip-address={HERE}",
                f"--port={HEAD_PORT}", "--include-dashboard=false", *resources,
            ],
        )  # fmt: skip

    def node(self) -> None:
        resources = ["--num-cpus=2", "--memory=4000000000", "--object-store-memory=80000000"]
        argv = [
            RAY, "start", "--block", f"--address={HERE}:{HEAD_PORT}",
            f"--node-ip-address={THERE}", *resources,
        ]  # fmt: skip
        self.start("node", self.there.command(*argv))

    def core(self) -> None:
        self.start(
            "core",
            [sys.executable, "-m", "runtara_server"],
            RUNTARA_QUIC_HOST=HERE,
            RUNTARA_QUIC_PORT=str(CORE_PORT),
            RUNTARA_MAX_CONCURRENT_INSTANCES="1000",
        )

    def environment(self, name: str) -> None:
        self.start(
            name,
            [sys.executable, "-m", "runtara_environment"],
            DATA_DIR=str(self.folder / name),
            RUNTARA_ENV_QUIC_PORT="0",
            RUNTARA_CORE_ADDR=f"{HERE}:{CORE_PORT}",
            RUNTARA_RAY_ADDRESS=f"{HERE}:{HEAD_PORT}",
            RUNTARA_RAY_DATA_DIR=str(self.folder / "nodes"),
            RUNTARA_RAY_NODE_IP=HERE,
            RUNTARA_MAX_CRASHES="100",
            RUNTARA_ENV_CAPACITY="24",
        )

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(180):
            while not is_so():  # noqa: ASYNC110  # Processes tell this one nothing.
                await asyncio.sleep(0.2)

    async def until_agents(self, count: int) -> None:
        """Wait until there are so many agents, of all environments and nodes."""
        await self.until(lambda: len(list(self.folder.glob("nodes/*/spawner-*"))) >= count)

    def end_ray(self) -> None:
        """Kill what is left of a cluster on both machines."""
        for name in ("head", "node"):
            self.kill(name)
        for pid in self.pids("raylet|gcs_server"):
            os.kill(pid, signal.SIGKILL)

    def end(self) -> None:
        for name in list(self._running):
            self.kill(name)
        for pid in self.pids("ray::|raylet|gcs_server|runtara_environment|runtara_sdk|ray/"):
            os.kill(pid, signal.SIGKILL)

    def pids(self, pattern: str) -> list[int]:
        """Give the processes of this test whose arguments match."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                arguments = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                variables = (entry / "environ").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if re.search(pattern, arguments) and self.url in variables:
                found.append(int(entry.name))
        return found

    def workflows(self) -> list[int]:
        """Give the processes that work in the folder of a launch."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    where = os.readlink(entry / "cwd")
                except OSError:
                    continue
                if where.startswith(f"{self.folder}/nodes/") and "/runs/" in where:
                    found.append(int(entry.name))
        return found


def answers(port: int) -> bool:
    """Tell whether something listens on this machine."""
    with socket() as asking:
        return asking.connect_ex((HERE, port)) == 0


@contextmanager
def database() -> Iterator[str]:
    server = PostgresServer(
        "max_connections=400", f"listen_addresses={HERE}", f"port={DATABASE_PORT}"
    )
    with (server.folder / "data/pg_hba.conf").open("a") as rules:
        rules.write("host all all 10.77.0.0/24 trust\n")
    try:
        server.start()
        yield f"postgresql://postgres@{HERE}:{DATABASE_PORT}/postgres"
    finally:
        server.remove()


@pytest.fixture
async def machines(tmp_path: Path) -> AsyncIterator[Machines]:
    with ExitStack() as stack:
        there = stack.enter_context(other_machine())
        url = stack.enter_context(database())
        machines = Machines(tmp_path, there, url)
        stack.callback(machines.end)
        machines.core()
        machines.head()
        await machines.until(lambda: answers(HEAD_PORT))
        machines.node()
        yield machines


async def start_all(persistence: Persistence, count: int = COUNT) -> dict[str, int]:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("flow.py", FLOW)
    content, now = made.getvalue(), datetime.now(UTC).replace(microsecond=0)
    await persistence.images.put_chunk("upload", 0, content, at=now)
    new = NewImage(
        image_id="image",
        tenant_id=TENANT,
        name="flow",
        runner_type=RunnerType.PYTHON,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        metadata={"target": "flow:run", "placement": "ray", "memory_mb": 128},
    )
    await persistence.images.register(new, "upload", at=now)
    numbers = {f"i-{number}": number for number in range(count)}
    for instance_id, number in numbers.items():
        start = InstanceStart(
            instance_id=instance_id,
            tenant_id=TENANT,
            image_id="image",
            input=json.dumps(number).encode(),
        )
        await persistence.launches.start(start, at=now)
    return numbers


class Storm:
    """Kills at random, for a while; each kind of death at least once."""

    def __init__(self, machines: Machines) -> None:
        self.machines = machines
        self.done: Counter[str] = Counter()
        self.cut_at = datetime.now(UTC)

    async def blow(self, rounds: int) -> None:
        dice = random.Random(19)
        for number in range(rounds):
            await asyncio.sleep(2)
            if number == 2:
                await self._cut()
            elif number == rounds // 2:
                self._raylet()
            else:
                dice.choice([self._workflow, self._workflow, self._agent, self._environment,
                             self._helper])(dice)  # fmt: skip

    def _workflow(self, dice: random.Random) -> None:
        self._one_of("workflow", self.machines.workflows(), dice)

    def _agent(self, dice: random.Random) -> None:
        self._one_of("agent", self.machines.pids("ray::NodeAgent"), dice)

    def _helper(self, dice: random.Random) -> None:
        self._one_of("helper", self.machines.pids("ray_cluster.helper"), dice)

    def _environment(self, dice: random.Random) -> None:
        name = dice.choice(["one", "two"])
        self.machines.kill(name)
        self.machines.environment(name)
        self.done["environment"] += 1

    def _one_of(self, what: str, pids: list[int], dice: random.Random) -> None:
        if pids:
            try:
                os.kill(dice.choice(pids), signal.SIGKILL)
            except ProcessLookupError:
                return
            self.done[what] += 1

    def _raylet(self) -> None:
        """The other machine's raylet dies, and Ray is started there again."""
        self.machines.kill("node")
        for pid in self.machines.pids(f"raylet/raylet.*{THERE}"):
            os.kill(pid, signal.SIGKILL)
        self.machines.node()
        self.done["raylet"] += 1

    async def _cut(self) -> None:
        self.cut_at = datetime.now(UTC)
        self.machines.there.cut()
        await asyncio.sleep(40)
        self.machines.there.mend()
        self.done["cut"] += 1


async def signal_all(persistence: Persistence, numbers: dict[str, int]) -> None:
    for instance_id in numbers:
        await persistence.signals.send_custom(
            instance_id,
            CustomSignal("go", b"7"),
            when=OPEN,
            at=datetime.now(UTC).replace(microsecond=0),
        )


async def all_end(persistence: Persistence, numbers: dict[str, int]) -> None:
    """Wait until all instances have ended, and look at their results."""
    left = set(numbers)
    async with asyncio.timeout(600):
        while left:
            await asyncio.sleep(1)
            for instance_id in list(left):
                found = await persistence.instances.get(instance_id)
                if found is not None and found.state.is_final:
                    left.discard(instance_id)
    for instance_id, number in numbers.items():
        found = await persistence.instances.get(instance_id)
        assert found is not None
        result = str(expected(number)).encode()
        assert (found.state, found.output) == (State.COMPLETED, result), found


async def test_two_hundred_workflows_survive_everything(machines: Machines) -> None:
    """Each ends once, with the right result; a lost node is noticed in 45 s."""
    async with connect(machines.url, migrates=True) as persistence:
        machines.environment("one")
        machines.environment("two")
        await machines.until_agents(4)
        numbers = await start_all(persistence)
        storm = Storm(machines)
        blowing = asyncio.create_task(storm.blow(24))
        await signal_all(persistence, numbers)
        await all_end(persistence, numbers)
        await blowing
        # Twins on the machine that was cut off, too, are ended.
        await machines.until(lambda: not machines.workflows())
        causes: Counter[str | None] = Counter()
        noticed: list[timedelta] = []
        for instance_id in numbers:
            for launch in await persistence.launches.page(LaunchFilter(instance_id=instance_id)):
                causes[launch.cause] += 1
                was_lost = launch.cause == "environment_lost" and launch.created_at < storm.cut_at
                if was_lost and launch.closed_at is not None:
                    noticed.append(launch.closed_at - storm.cut_at)
    print(storm.done, causes, sorted(noticed))  # noqa: T201  # For the page of times.
    assert min(storm.done.values()) >= 1
    assert noticed
    assert sorted(noticed)[len(noticed) // 2] <= timedelta(seconds=45)


async def launches_of(persistence: Persistence, numbers: dict[str, int]) -> list[Launch]:
    found: list[Launch] = []
    for instance_id in numbers:
        found += await persistence.launches.page(LaunchFilter(instance_id=instance_id))
    return found


async def test_a_dead_head_ends_no_workflow(machines: Machines) -> None:
    """Launches of its cluster are known to have ended, and go on in the next one."""
    async with connect(machines.url, migrates=True) as persistence:
        machines.environment("one")
        await machines.until_agents(2)
        numbers = await start_all(persistence, 12)
        waiting = {id_: number for id_, number in numbers.items() if 2 * number % 3 == 0}

        async def all_wait() -> bool:
            launches = await launches_of(persistence, waiting)
            registered = [one for one in launches if one.run is not None and one.cause is None]
            return len(registered) == len(waiting)

        async def all_lost() -> bool:
            return all(one.cause is not None for one in await launches_of(persistence, waiting))

        await until_so(all_wait)
        for pid in machines.pids("gcs_server"):
            os.kill(pid, signal.SIGKILL)
        killed_at = datetime.now(UTC)
        await until_so(all_lost)
        noticed = {
            one.closed_at - killed_at
            for one in await launches_of(persistence, waiting)
            if one.closed_at is not None and one.closed_at > killed_at
        }
        machines.end_ray()
        machines.head()
        await machines.until(lambda: answers(HEAD_PORT))
        machines.node()
        begun_at = datetime.now(UTC)
        await signal_all(persistence, numbers)
        await all_end(persistence, numbers)
    print(sorted(noticed), datetime.now(UTC) - begun_at)  # noqa: T201  # For the page of times.


async def until_so(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(180):
        while not await is_so():  # noqa: ASYNC110  # Processes tell this one nothing.
            await asyncio.sleep(0.2)
