"""Workflows run as processes against the installed server, as a launcher would."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from tests.support.server_process import ServerProcess, environment, running

from runtara_persistence import (
    OPEN,
    Caller,
    CustomSignal,
    Ending,
    Instance,
    SendCustomSignal,
    SendSignal,
    Signal,
    SignalType,
    State,
    SystemClock,
    connect,
)

ROOT = Path(__file__).parents[3]
PATIENCE = 120.0  # seconds, for what takes one when the machine has nothing else to do


class Launcher:
    """
    Starts runs of one instance: of workflows in `process_workflows`, or in MODULE:.

    They write to `output`.
    """

    def __init__(
        self,
        folder: Path,
        server: ServerProcess,
        url: str | None = None,
        instance_id: str = "i-1",
    ) -> None:
        self.instance_id = instance_id
        self.notes = folder / "notes"
        self.notes.touch()
        self.output = PIPE
        self._folder = folder
        self._server = server
        self._url = url or f"sqlite:{server.folder / 'core.db'}"

    async def start(
        self, workflow: str, value: object = None, **variables: str
    ) -> asyncio.subprocess.Process:
        """Start a run; with an input if there is one."""
        module, _, name = workflow.rpartition(":")
        target = f"tests.sdk.workflow.{module or 'process_workflows'}:{name}"
        arguments = ["run", target, "--instance-id", self.instance_id]
        if value is not None:
            (self._folder / "input.json").write_text(json.dumps(value))
            arguments += ["--input", str(self._folder / "input.json")]
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "runtara_sdk", *arguments),
            cwd=ROOT,
            stdout=self.output,
            stderr=PIPE,
            env=self.environment(**variables),
            # A shell that starts the tests in the background has them, and theirs, ignore it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def environment(self, **variables: str) -> dict[str, str]:
        """The variables of a run's process."""
        return environment(
            {
                "RUNTARA_TENANT_ID": "t-1",
                "RUNTARA_SERVER_ADDR": f"127.0.0.1:{self._server.port}",
                "RUNTARA_SKIP_CERT_VERIFICATION": "true",
                "NOTES": str(self.notes),
            }
            | variables
        )

    async def run(
        self, workflow: str, value: object = None, **variables: str
    ) -> tuple[int, str, str]:
        """Run to the end of the process: its exit code and what it said."""
        return await ended(await self.start(workflow, value, **variables))

    async def noted(self, count: int) -> list[str]:
        """Wait for so many lines of notes."""
        async with asyncio.timeout(PATIENCE):
            # A file has no event.
            while len(lines := self.notes.read_text().splitlines()) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            return lines

    async def until_known(self) -> None:
        """Wait until the core knows the instance."""
        async with asyncio.timeout(PATIENCE), connect(self._url) as persistence:
            # Nor does a table.
            while await persistence.instances.get(self.instance_id) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def shown_life(self, after: datetime) -> datetime:
        """Wait until the core has a sign of life after a moment; return its time."""
        async with asyncio.timeout(PATIENCE), connect(self._url) as persistence:
            while True:
                found = await persistence.instances.get(self.instance_id)
                if found is not None and (found.last_activity_at or after) > after:
                    assert found.last_activity_at is not None
                    return found.last_activity_at
                # Nor does a row.
                await asyncio.sleep(0.05)

    async def instance(self, suffix: str = "") -> Instance:
        """Read the instance, or the successor with this suffix."""
        async with connect(self._url) as persistence:
            found = await persistence.instances.get(f"{self.instance_id}{suffix}")
        assert found is not None
        return found

    async def tell(self, kind: SignalType) -> None:
        """Send a signal."""
        async with connect(self._url) as persistence:
            send = SendSignal(persistence.signals, SystemClock())
            await send(instance_id=self.instance_id, signal=Signal(kind))

    async def terminate(self, error: str) -> None:
        """End it without asking."""
        async with connect(self._url) as persistence:
            ending = Ending(State.CANCELLED, error=error)
            now = SystemClock().now()
            await persistence.instances.finish(Caller(self.instance_id), ending, when=OPEN, at=now)

    async def send(self, name: str, value: bytes) -> None:
        """Send a promise's value."""
        async with self.sending() as send:
            await send(name, value)

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[Callable[[str, bytes], Awaitable[None]]]:
        """Send the values of promises, one after the other."""
        async with connect(self._url) as persistence:
            send = SendCustomSignal(persistence.signals, SystemClock())

            async def one(name: str, value: bytes) -> None:
                await send(instance_id=self.instance_id, signal=CustomSignal(name, value))

            yield one


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    """Wait for a process: its exit code, and what it said on both outputs."""
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, (out or b"").decode(), err.decode()


@asynccontextmanager
async def launching(folder: Path, url: str | None = None) -> AsyncIterator[Launcher]:
    """Run a server, on SQLite unless a URL is given, and give a launcher for it."""
    variables = {} if url is None else {"RUNTARA_DATABASE_URL": url}
    async with running(folder, **variables) as server:
        yield Launcher(folder, server, url)
