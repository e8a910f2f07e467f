"""The installed command, run as a process of its own."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
PATIENCE = 120.0  # seconds, for what takes one when the machine has nothing else to do

_PORT = re.compile(r"\bport\W+(?P<port>[0-9]+)")


class ServerProcess:
    """
    `python -m runtara_server` in a folder, with these variables and no other RUNTARA_ ones.

    The port is any free one, and stays the same when it is started again. Coverage is not measured
    in it if `is_measured` is False.
    """

    module = "runtara_server"
    listening = "RUNTARA_QUIC"
    # Not the name of a logger that ends so.
    listens = r"(?<![.\w])listening\b"

    def __init__(
        self,
        folder: Path,
        variables: Mapping[str, str],
        arguments: tuple[str, ...] = (),
        *,
        is_measured: bool = True,
    ) -> None:
        self.port = 0
        self.lines: list[str] = []
        self.output = b""
        self.folder = folder
        host, port = f"{self.listening}_HOST", f"{self.listening}_PORT"
        self._variables = {host: HOST, port: "0"} | dict(variables)
        self._arguments = arguments
        self._is_measured = is_measured
        self._stir = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def process(self) -> asyncio.subprocess.Process:
        """The process that runs, or ran last."""
        assert self._process is not None, "it was never started"
        return self._process

    @property
    def log(self) -> list[dict[str, Any]]:
        """What was logged since the start, where that is JSON."""
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    async def launch(self) -> None:
        """Start the process, and don't wait for anything."""
        assert self._process is None or self._process.returncode is not None, "it runs already"
        self.lines.clear()
        self.output = b""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", self.module, *self._arguments),
            cwd=self.folder,
            env=environment(self._variables, is_measured=self._is_measured),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.create_task(self._read(self._process))
        self._reading.add_done_callback(lambda _: self._stir.set())

    async def start(self) -> None:
        """Start the process and return once it listens."""
        await self.launch()
        port = _PORT.search(await self.said(self.listens))
        assert port is not None
        self.port = int(port["port"])
        self._variables[f"{self.listening}_PORT"] = port["port"]

    async def said(self, pattern: str) -> str:
        """Wait for a line of its log with this pattern in it."""
        await self.until(lambda: any(re.search(pattern, line) for line in self.lines))
        return next(line for line in self.lines if re.search(pattern, line))

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something to be true of what it has said so far."""
        async with asyncio.timeout(PATIENCE):
            while not is_so():
                assert not self._reader.done(), f"it has ended: {self.lines} {self.output!r}"
                self._stir.clear()
                await self._stir.wait()

    async def ended(self) -> int:
        """Wait for the process to end by itself; give its exit code."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.shield(self._reader)
            return await self.process.wait()

    async def terminate(self) -> int:
        """Tell it to end, wait until it has; give its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def kill(self) -> None:
        """End it as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        await self.ended()

    async def restart(self) -> None:
        """Kill it and start it again on the same port."""
        await self.kill()
        await self.start()

    async def close(self) -> None:
        """End it if it still runs, by force if it must be; its log is shown with a failing test."""
        try:
            if self.process.returncode is None:
                self.process.terminate()
            await self.ended()
        finally:
            if self.process.returncode is None:
                self.process.kill()
            sys.stdout.writelines(f"{line}\n" for line in self.lines)

    @property
    def _reader(self) -> asyncio.Task[None]:
        assert self._reading is not None, "it was never started"
        return self._reading

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        await asyncio.gather(
            self._take(process.stdout, self._printed), self._take(process.stderr, self._logged)
        )

    async def _take(self, pipe: asyncio.StreamReader, take: Callable[[bytes], None]) -> None:
        async for line in pipe:
            take(line)
            self._stir.set()

    def _printed(self, line: bytes) -> None:
        self.output += line

    def _logged(self, line: bytes) -> None:
        self.lines.append(line.decode().rstrip("\n"))


def environment(variables: Mapping[str, str], *, is_measured: bool = True) -> dict[str, str]:
    """
    Give this process's environment with these variables, and no other of the product's.

    `is_measured` has to be False for another version of the product, and for a process that may
    be unable to write a file to its end: half of what coverage has measured can't be read.
    """
    dropped = ("RUNTARA_",) if is_measured else ("RUNTARA_", "COVERAGE_")
    others = (item for item in os.environ.items() if not item[0].startswith(dropped))
    return dict(others) | dict(variables)


@asynccontextmanager
async def running(folder: Path, *arguments: str, **variables: str) -> AsyncIterator[ServerProcess]:
    """Run a server for the block's length, on `core.db` of the folder or what --dev takes."""
    database = {} if "--dev" in arguments else {"RUNTARA_DATABASE_URL": "sqlite:core.db"}
    async with _started(ServerProcess(folder, database | variables, arguments)) as server:
        yield server


@asynccontextmanager
async def running_unmeasured(folder: Path, **variables: str) -> AsyncIterator[ServerProcess]:
    """Do the same without coverage, which `environment` says when to do."""
    database = {"RUNTARA_DATABASE_URL": "sqlite:core.db"}
    async with _started(ServerProcess(folder, database | variables, is_measured=False)) as server:
        yield server


@asynccontextmanager
async def _started(server: ServerProcess) -> AsyncIterator[ServerProcess]:
    try:
        await server.start()
        yield server
    finally:
        await server.close()
