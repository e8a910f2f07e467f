"""A launcher that kills what it launches, and launches it again until it has ended."""

import asyncio
import json
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from tests.acceptance.workflows.world import Doom, World, world
from tests.support.server_process import environment, running

from runtara_persistence import (
    Claim,
    CustomSignal,
    Instance,
    InstanceStatus,
    Persistence,
    SendCustomSignal,
    SendSignal,
    Signal,
    SignalType,
    SystemClock,
    connect,
)

ROOT = Path(__file__).parents[3]
PATIENCE = 120.0  # seconds, for what takes ten when the machine has nothing else to do
ENDED = {InstanceStatus.COMPLETED, InstanceStatus.FAILED, InstanceStatus.CANCELLED}
SUSPENDED, KILLED = 75, -signal.SIGKILL

T = TypeVar("T")
Draw = Callable[[int, random.Random], Doom]


class Launcher:
    """
    Runs the examples on a server and a world; each instance gets up to `kills` SIGKILLs.

    The first time is certain for an instance that asks anything of the world.
    """

    def __init__(
        self, folder: Path, port: int, world: World, core: Persistence, seed: int, kills: int
    ) -> None:
        self.world = world
        self.core = core
        self.codes: list[int] = []
        self.plan: list[tuple[int, str]] = []  # Kills that are not by lot, and come first.
        self._folder = folder
        self._kills = kills
        self._chance = random.Random(seed)
        self._clock = SystemClock()
        self._variables = {
            "RUNTARA_TENANT_ID": "acme",
            "RUNTARA_SERVER_ADDR": f"127.0.0.1:{port}",
            "RUNTARA_SKIP_CERT_VERIFICATION": "true",
            "RUNTARA_DATABASE_URL": f"sqlite:{folder / 'core.db'}",
            "SERVICE_URL": world.url,
        }

    async def until_ended(self, target: str, instance_id: str, value: object = None) -> Instance:
        """Run an instance, and those that it restarts as, until the last one has ended."""
        kills = self._kills
        async with asyncio.timeout(PATIENCE):
            while (last := await self.last_of(instance_id)) is None or last.status not in ENDED:
                if last is not None and last.status is InstanceStatus.SUSPENDED:
                    await self._until_due(last.instance_id)
                is_first = last is None or last.instance_id == instance_id
                name = instance_id if last is None else last.instance_id
                draw = Doom.draw if kills < self._kills else Doom.certain
                given = value if is_first else None
                code = await self._life(target, name, given, draw if kills > 0 else None)
                kills -= code == KILLED
        return last

    async def last_of(self, instance_id: str) -> Instance | None:
        """The instance, or the last of those that it has restarted as; None: not known yet."""
        found = await self.core.instances.get(instance_id)
        while found is not None and b"restarted_as" in (found.output or b""):
            found = await self.core.instances.get(json.loads(found.output or b"")["restarted_as"])
        return found

    async def until_known(self, instance_id: str) -> None:
        """Wait until the core knows an instance."""
        async with asyncio.timeout(PATIENCE):
            # A table has no event for a new row.
            while await self.core.instances.get(instance_id) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def until_status(self, instance_id: str, status: InstanceStatus) -> None:
        """Wait until an instance has a status."""
        async with asyncio.timeout(PATIENCE):
            # A table has no event for a change.
            while (one := await self.last_of(instance_id)) is None or one.status is not status:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def python(
        self, *arguments: str, stderr: int | None = None, is_measured: bool = True
    ) -> asyncio.subprocess.Process:
        """Start a Python in the repository's root, with the variables that a run takes."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, *arguments),
            cwd=ROOT,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=stderr,
            env=environment(self._variables, is_measured=is_measured),
        )

    async def send(self, instance_id: str, name: str, value: object) -> None:
        """Send the value of a promise."""
        send = SendCustomSignal(self.core.signals, self._clock)
        signal = CustomSignal(name, json.dumps(value).encode())
        await send(instance_id=instance_id, signal=signal)

    async def cancel(self, instance_id: str) -> None:
        """Send a cancel."""
        send = SendSignal(self.core.signals, self._clock)
        await send(instance_id=instance_id, signal=Signal(SignalType.CANCEL))

    async def _until_due(self, instance_id: str) -> None:
        while True:
            # Short: one that is killed before it has registered is due again only after that.
            claim = Claim(instance_id, until=self._clock.now() + timedelta(seconds=1))
            due = await self.core.claims.claim_due(claim, limit=10, at=self._clock.now())
            others = [one.instance_id for one in due if one.instance_id != instance_id]
            if others:
                now = self._clock.now()
                await self.core.claims.release(claim.token, others, at=now)
            if len(due) > len(others):
                return
            await asyncio.sleep(0.05)

    def _doom(self, pid: int, draw: Draw | None) -> Doom | None:
        if draw is None:
            return None
        if self.plan:
            return Doom(pid, *self.plan.pop(0))
        return draw(pid, self._chance)

    async def _life(self, target: str, instance_id: str, value: object, draw: Draw | None) -> int:
        arguments = ["run", f"examples.workflows.{target}", "--instance-id", instance_id]
        if value is not None:
            path = self._folder / f"{target.partition(':')[0]}.json"
            path.write_text(json.dumps(value))
            arguments += ["--input", str(path)]
        process = await self.python(
            *("-m", "runtara_sdk", *arguments),
            stderr=asyncio.subprocess.PIPE,
            is_measured=draw is None,
        )
        try:
            with self.world.doomed(self._doom(process.pid, draw)):
                _, said = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode in (0, 1, 130, SUSPENDED, KILLED), said.decode()
        sys.stdout.write(f"{instance_id}: {process.returncode} {said.decode()}\n")
        self.codes.append(process.returncode)
        return process.returncode


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, T]) -> AsyncIterator["asyncio.Task[T]"]:
    """Do something while the block runs, and no longer: a test that fails leaves no process."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def launching(folder: Path, seed: int, kills: int = 3) -> AsyncIterator[Launcher]:
    """Run a server and a world; the seed of the kills is shown with a failing test."""
    sys.stdout.write(f"seed {seed}\n")
    async with running(folder) as server, connect(f"sqlite:{folder / 'core.db'}") as core:
        with world() as served:
            yield Launcher(folder, server.port, served, core, seed, kills)
