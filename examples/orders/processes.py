"""The processes of the demonstration: the Runtara server, the payment service, the import."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from payment_service import Fate

HERE = Path(__file__).parent
# The one instance that every life of the import is a life of.
INSTANCE_ID = "import-orders"
READY_TIMEOUT_S = 30


class ProcessFailed(Exception):
    """A process ended, or kept silent, where it should not have."""


@dataclass(frozen=True, slots=True)
class Said:
    """A line that a process printed; None is its last word: it has ended."""

    by: str
    line: str | None


class Process:
    """A child process: each line that it prints is passed on, and it is ready at the first one."""

    def __init__(
        self,
        name: str,
        child: asyncio.subprocess.Process,
        log: Path,
        tell: Callable[[Said], None],
    ) -> None:
        self.name = name
        self._child = child
        self._log = log
        self._first_line: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read(tell))

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str],
        settings: Mapping[str, str],
        folder: Path,
        tell: Callable[[Said], None],
    ) -> Self:
        """Start `python COMMAND` in the folder with only these RUNTARA_ variables."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("RUNTARA_")}
        log = folder / f"{name}.log"
        with log.open("ab") as stderr:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                *command,
                cwd=folder,
                env={**inherited, **settings},
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
            )
        return cls(name, child, log, tell)

    async def ready(self) -> str:
        """Return its first line; raise ProcessFailed if it ends before or takes too long."""
        done, _ = await asyncio.wait({self._first_line}, timeout=READY_TIMEOUT_S)
        if not done or not self._first_line.result():
            raise self.failure("did not start")
        return self._first_line.result()

    async def ended(self) -> int:
        """Wait until it has ended and its lines are passed on; return its exit code, -9: killed."""
        await self._reading
        return await self._child.wait()

    async def end(self, number: signal.Signals) -> int:
        """Send it a signal that ends it, unless it has ended already; return its exit code."""
        if self._child.returncode is None:
            self._child.send_signal(number)
        return await self.ended()

    def failure(self, what: str) -> ProcessFailed:
        """Say what it did, with the last line of its complaints."""
        last = self._log.read_text(errors="replace").rstrip().rpartition("\n")[2]
        return ProcessFailed(f"the {self.name} {what}: {last or 'and said nothing'}")

    async def _read(self, tell: Callable[[Said], None]) -> None:
        assert self._child.stdout is not None  # Asked for as a pipe.
        async for line in self._child.stdout:
            text = line.decode().rstrip("\n")
            if not self._first_line.done():
                self._first_line.set_result(text)
            tell(Said(self.name, text))
        if not self._first_line.done():
            self._first_line.set_result("")
        tell(Said(self.name, None))


class Stage:
    """Starts the processes in one folder and leaves none behind; what they say is in `said`."""

    def __init__(self, folder: Path, orders: Path) -> None:
        self.said: asyncio.Queue[Said] = asyncio.Queue()
        self.ledger = folder / "ledger.csv"
        self.books = folder / "payments.sqlite"
        self.database = folder / ".runtara" / "core.db"
        self._folder = folder
        self._orders = orders
        self._port = _free_udp_port()
        self._payments_url = ""
        self._processes: list[Process] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._processes:
            await process.end(signal.SIGKILL)

    async def start_payments(self, seed: int, faults: Mapping[str, Fate]) -> Process:
        """Start the payment service: a process and a file of its own, never killed."""
        command = [str(HERE / "payment_service.py"), str(self.books), f"--seed={seed}"]
        command += [f"--fault={order_id}={fate}" for order_id, fate in faults.items()]
        payments = await self._start("payments", command, {})
        port = json.loads(await payments.ready())["port"]
        self._payments_url = f"http://127.0.0.1:{port}"
        return payments

    async def start_server(self) -> Process:
        """Start the Runtara server as a newcomer does, on the same port each time."""
        settings = {
            "RUNTARA_QUIC_PORT": str(self._port),
            # Asked to stop, it waits so long for clients to confirm what it sent them, and the
            # ones that were killed never will.
            "RUNTARA_SHUTDOWN_GRACE_MS": "1000",
        }
        server = await self._start("server", ["-m", "runtara_server", "--dev"], settings)
        await server.ready()
        return server

    async def start_import(self) -> Process:
        """Start a life of the import; it is the same command each time."""
        settings = {
            "RUNTARA_INSTANCE_ID": INSTANCE_ID,
            "RUNTARA_TENANT_ID": "examples",
            "RUNTARA_SERVER_ADDR": f"127.0.0.1:{self._port}",
            "RUNTARA_TLS_CA": str(self.database.with_name("ca.pem")),
        }
        command = [HERE / "import_orders.py", self._orders, self.ledger, self._payments_url]
        return await self._start("import", [str(word) for word in command], settings)

    async def _start(
        self, name: str, command: Sequence[str], settings: Mapping[str, str]
    ) -> Process:
        process = await Process.start(name, command, settings, self._folder, self.said.put_nowait)
        self._processes.append(process)
        return process


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
