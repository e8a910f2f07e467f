"""
Durable steps a second of an ordinary workflow: with us, with Restate and with DBOS, in one run.

    quic, embedded   what users have: a client and a worker (`serve`), the core behind servers or in
                     their own process
    engine           the engine alone, over QUIC: no starts, claims and verdicts

Each is a program of its own that runs so many workflows at once; all are measured in turn, round
after round. Read ratios, not numbers. What the others need comes from PyPI and npm at first use:
`uv` and `npx` are to be there.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import uvloop

from benchmarks.checkpoints import core
from benchmarks.databases import NAMES, bare, database
from benchmarks.echo import HOST, LOADS, connect_all, process, rate
from benchmarks.environments import environment
from benchmarks.rates import Rates

OURS = ("quic", "embedded", "engine")
PEERS = ("restate", "dbos")
FOLDER = Path(__file__).parent / "peers"
WITH_RESTATE = ("restate-sdk==1.3.*", "hypercorn==0.18.*", "httpx", "uvloop")
RESTATE_SERVER = ("npx", "--yes", "--package=@restatedev/restate-server@1.7", "restate-server")
WITH_DBOS = ("dbos==3.4.*", "uvloop")


class Program:
    """A program of `peers`."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def rate(self, at_once: int, seconds: float) -> float:
        """
        Run so many workflows at once, for about so long; the result is in steps a second.

        How many steps that is, shorter runs before tell.
        """
        # Not counted: it brings the program to speed.
        await self._rate(at_once, 10)
        # In a few steps, what begins and ends a workflow would be most of it.
        steps = 50
        while (reached := await self._rate(at_once, steps)) * seconds > 2 * at_once * steps:
            steps = round(reached * seconds / at_once)
        return reached

    async def _rate(self, at_once: int, steps: int) -> float:
        return at_once * steps / await self.seconds(at_once, steps)

    async def seconds(self, at_once: int, count: int) -> float:
        """Have it run so many; tells how long that took."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{at_once} {count}\n".encode())
        return float(await self.said())

    async def said(self) -> str:
        """Wait for a line; raises RuntimeError if it ends before."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("a program has ended: what it wrote is above")
        return line.decode().strip()


@asynccontextmanager
async def program(*command: str, **variables: str) -> AsyncIterator[Program]:
    """Run one until its input ends, with these variables and no other RUNTARA_ ones."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("RUNTARA_")
    }
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, env=inherited | variables
    )
    assert process.stdin is not None
    try:
        running = Program(process)
        assert await running.said() == "ready"
        yield running
    finally:
        process.stdin.close()
        await process.wait()


@asynccontextmanager
async def ours(name: str, where: str, url: str) -> AsyncIterator[Program]:
    """Run a program of ours, with the core on a database: embedded, or behind servers ("quic")."""
    command = (sys.executable, str(FOLDER / name))
    if where == "embedded":
        async with program(*command, RUNTARA_DATABASE_URL=url) as running:
            yield running
        return
    with tempfile.TemporaryDirectory() as folder:
        async with (
            environment(url, Path(folder)) as here,
            program(
                *command,
                RUNTARA_ENVIRONMENT_ADDR=here.address,
                RUNTARA_SERVER_ADDR=here.core,
                RUNTARA_TLS_CA=f"{folder}/authority/ca.pem",
            ) as running,
        ):
            yield running


@asynccontextmanager
async def dbos(name: str, url: str) -> AsyncIterator[Program]:
    """Run a program of DBOS's, on the same kind of database, of its own."""
    with tempfile.TemporaryDirectory() as folder:
        own = url.replace("/postgres?", "/dbos?")
        if url.startswith("sqlite:"):
            own = f"sqlite:///{folder}/dbos.db"
        async with program(*_elsewhere(name, WITH_DBOS), own) as running:
            yield running


@asynccontextmanager
async def subject(name: str, url: str) -> AsyncIterator[Program]:
    """Run what is measured by its name."""
    if name in ("quic", "embedded"):
        async with ours("with_serve.py", name, url) as running:
            yield running
    elif name == "engine":
        async with core(url) as server, _engine(server.port) as running:
            yield running
    elif name == "dbos":
        async with dbos("with_dbos.py", url) as running:
            yield running
    else:
        command = (*_elsewhere("with_restate.py", WITH_RESTATE), *RESTATE_SERVER)
        async with program(*command) as running:
            yield running


def _elsewhere(name: str, packages: Sequence[str]) -> list[str]:
    """Run a program in an environment that has these packages and none of ours."""
    given = [part for package in packages for part in ("--with", package)]
    return ["uv", "run", "--quiet", "--no-project", *given, "python", str(FOLDER / name)]


def _engine(port: int) -> AbstractAsyncContextManager[Program]:
    return program(
        *(sys.executable, str(FOLDER / "with_runtara.py")),
        RUNTARA_SERVER_ADDR=f"{HOST}:{port}",
        RUNTARA_TENANT_ID="bench",
        RUNTARA_SKIP_CERT_VERIFICATION="true",
    )


async def compare(url: str, options: argparse.Namespace) -> dict[int, Rates]:
    """Measure every load with all in turn, round after round, one at a time."""
    reports = {load: Rates() for load in options.loads}
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        if options.floors:
            await _floors(url, reports, options.seconds)
        for name in (*options.ours, *options.peers):
            async with subject(name, url) as running:
                for load, report in reports.items():
                    reached = await running.rate(load, options.seconds)
                    report.add(name, reached)
                    # Also a run that is cut off tells something.
                    print(f"  {name:<9} {load:>3} at once {reached:6.0f}", file=sys.stderr)
    return reports


async def _floors(url: str, reports: Mapping[int, Rates], seconds: float) -> None:
    async with core(url), process("ours") as server, bare(url) as alone:
        for load, report in reports.items():
            echoes = await connect_all(server.port, load)
            report.add("echo", await rate(echoes, bytes(250), seconds))
            report.add("commits", await alone.rate(seconds / 2, 1))
            for connection in echoes:
                await connection.aclose()


def _print(reports: Mapping[int, Rates], ours: Sequence[str], peers: Sequence[str]) -> None:
    print("Medians, a second; then ours beside each other one: median of the rounds (spread).\n")
    for load, report in reports.items():
        print(f"{load} at once:", *(f"{name} {report.median(name):.0f}" for name in report))
        for one in ours:
            beside = [f"{report.ratio(one, peer)} of {peer}" for peer in peers]
            if load == 1 and "echo" in report:
                floor = 1 / report.median("echo") + 1 / report.median("commits")
                beside.append(f"{report.median(one) * floor:.2f} of an echo and a commit")
            if beside:
                print(f"    {one:<9}", ", ".join(beside))


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", choices=NAMES, default=NAMES[0], help="ours and DBOS's")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="for each figure of a round")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    parser.add_argument("--loads", nargs="+", type=int, default=LOADS, help="workflows at once")
    parser.add_argument("--ours", nargs="*", choices=OURS, default=OURS)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS)
    parser.add_argument("--floors", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    with database(options.database) as url:
        reports = uvloop.run(compare(url, options))
    _print(reports, options.ours, options.peers)
    if options.json:
        options.json.write_text(json.dumps(reports, indent=2))


if __name__ == "__main__":
    main()
