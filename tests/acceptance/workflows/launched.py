"""The examples in an environment, which launches again what the world kills, until it has ended."""

import asyncio
import json
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from tests.acceptance.workflows.world import World, world
from tests.environment.conftest import Here, zipped

from runtara_domain.launching.crashes import CrashPolicy
from runtara_domain.model import CustomSignal, Instance, Signal
from runtara_domain.model.stored_images import Image, RunnerType
from runtara_domain.status import OPEN, SignalType, State
from runtara_environment.placement_suite.core import running_core
from runtara_sdk.workflow import successor_in

ROOT = Path(__file__).parents[3]
PATIENCE = 120.0  # seconds, for what takes ten when the machine has nothing else to do
KILLED, SUSPENDED = -signal.SIGKILL, 75
_SOON = CrashPolicy(maximum=100, first=timedelta(milliseconds=10), longest=timedelta(seconds=1))


@dataclass
class Examples:
    """Examples that act on a world, launched by an environment on a core and a SQLite file."""

    world: World
    here: Here

    async def deploy(self, target: str) -> Image:
        """Register an image of `module:workflow`, which serves the workflow by that name, too."""
        module, _, name = target.partition(":")
        source = (ROOT / f"examples/workflows/{module}.py").read_text()
        return await self.here.image(
            zipped(**{module: source}),
            RunnerType.PYTHON,
            target=target,
            workflow=name,
            env={"SERVICE_URL": self.world.url},
        )

    async def start(self, target: str, instance_id: str, value: object) -> None:
        """Start an instance of an example."""
        image = await self.deploy(target)
        await self.here.start(image, instance_id, json.dumps(value).encode())

    async def ended(self, instance_id: str) -> Instance:
        """Wait until an instance, and those that it goes on as, have ended; gives the last."""
        ended = await self.here.ended(instance_id)
        successor = successor_in(instance_id, ended.output or b"")
        return ended if successor is None else await self.ended(successor)

    async def exits(self, instance_id: str) -> list[int | None]:
        """Give how the processes of an instance ended: codes, and signals as negative numbers."""
        return [
            one.exit_code if one.exit_signal is None else -one.exit_signal
            for one in await self.here.launches(instance_id)
        ]

    async def send(self, instance_id: str, name: str, value: object) -> None:
        """Send the value of a promise."""
        sent = CustomSignal(name, json.dumps(value).encode())
        await self.here.persistence.signals.send_custom(
            instance_id, sent, when=OPEN, at=self.here.launcher.now()
        )

    async def cancel(self, instance_id: str) -> None:
        """Send a cancel."""
        cancel = Signal(SignalType.CANCEL)
        signals = self.here.persistence.signals
        await signals.send(instance_id, cancel, when=OPEN, at=self.here.launcher.now())

    async def until_asleep(self, instance_id: str) -> None:
        """Wait until an instance sleeps without a process."""
        await self.here.rests(instance_id, State.ASLEEP)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something of the world."""

        async def now() -> bool:
            return is_so()

        await self.here.until(now)


@asynccontextmanager
async def launched(folder: Path, seed: int, kills: int = 3) -> AsyncIterator[Examples]:
    """Run a core, an environment and a world; a failing test shows the seed of the kills."""
    sys.stdout.write(f"seed {seed}\n")
    with world(random.Random(seed), kills) as served:
        async with running_core(f"sqlite:{folder / 'core.db'}") as core:
            here = Here(folder / "data", core.persistence, core.address)
            try:
                async with here.environment(crashes=_SOON), asyncio.timeout(PATIENCE):
                    yield Examples(served, here)
            finally:
                # None has come up where the environment has failed, which is the error to show.
                here.end_spawner()
