"""
Durable steps a second of an ordinary workflow: with us, with Restate and with DBOS, in one run.

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
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import uvloop

from benchmarks.checkpoints import core
from benchmarks.databases import NAMES, bare, database
from benchmarks.echo import HOST, LOADS, connect_all, process, rate
from benchmarks.rates import Rates

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
        # In a few steps, what begins and ends a workflow would be most of it.
        steps = 50
        # Not counted: it brings the program to speed.
        await self._rate(at_once, steps)
        while (reached := await self._rate(at_once, steps)) * seconds > 2 * at_once * steps:
            steps = round(reached * seconds / at_once)
        return reached

    async def _rate(self, at_once: int, steps: int) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{at_once} {steps}\n".encode())
        return at_once * steps / float(await self.said())

    async def said(self) -> str:
        """Wait for a line; raises RuntimeError if it ends before."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("a program has ended: what it wrote is above")
        return line.decode().strip()


@asynccontextmanager
async def program(*command: str, **variables: str) -> AsyncIterator[Program]:
    """Run one until its input ends."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, env=os.environ | variables
    )
    assert process.stdin is not None
    try:
        running = Program(process)
        assert await running.said() == "ready"
        yield running
    finally:
        process.stdin.close()
        await process.wait()


def _command(peer: str, url: str, folder: str) -> list[str]:
    if peer == "restate":
        return [*_elsewhere("with_restate.py", WITH_RESTATE), *RESTATE_SERVER]
    return [*_elsewhere("with_dbos.py", WITH_DBOS), _dbos_url(url, folder)]


def _elsewhere(name: str, packages: Sequence[str]) -> list[str]:
    """Run a program in an environment that has these packages and none of ours."""
    given = [part for package in packages for part in ("--with", package)]
    return ["uv", "run", "--quiet", "--no-project", *given, "python", str(FOLDER / name)]


def _dbos_url(url: str, folder: str) -> str:
    """Put DBOS on the same kind of database, of its own."""
    if url.startswith("sqlite:"):
        return f"sqlite:///{folder}/dbos.db"
    return url.replace("/postgres?", "/dbos?")


async def compare(url: str, peers: Sequence[str], rounds: int, seconds: float) -> dict[int, Rates]:
    """Measure every load with all in turn, round after round; nobody else runs meanwhile."""
    reports = {load: Rates() for load in LOADS}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        await _floors(url, reports, seconds)
        async with core(url) as server, _ours(server.port) as ours:
            await _measure("ours", ours, reports, seconds)
        for peer in peers:
            with tempfile.TemporaryDirectory() as folder:
                async with program(*_command(peer, url, folder)) as other:
                    await _measure(peer, other, reports, seconds)
    return reports


async def _floors(url: str, reports: dict[int, Rates], seconds: float) -> None:
    async with core(url), process("ours") as server, bare(url) as alone:
        for load, report in reports.items():
            echoes = await connect_all(server.port, load)
            report.add("echo", await rate(echoes, bytes(250), seconds))
            report.add("commits", await alone.rate(seconds / 2, 1))
            for connection in echoes:
                await connection.aclose()


async def _measure(name: str, program: Program, reports: dict[int, Rates], seconds: float) -> None:
    for load, report in reports.items():
        report.add(name, await program.rate(load, seconds))


def _ours(port: int) -> AbstractAsyncContextManager[Program]:
    return program(
        *(sys.executable, str(FOLDER / "with_runtara.py")),
        RUNTARA_SERVER_ADDR=f"{HOST}:{port}",
        RUNTARA_TENANT_ID="bench",
        RUNTARA_SKIP_CERT_VERIFICATION="true",
    )


def _print(reports: dict[int, Rates], peers: Sequence[str]) -> None:
    print("Medians, a second. The floor: an echo and a commit, one after the other.\n")
    columns = ("echo", "commits", "ours", *peers)
    print(f"{'':>10}", *(f"{column:>9}" for column in columns), end="  ")
    print(*(f"{f'of {peer}':<20}" for peer in peers), "of the floor")
    for load, report in reports.items():
        print(f"{load:>3} at once", end="")
        for column in columns:
            print(f"{report.median(column):>10.0f}", end="")
        print("  ", *(f"{report.ratio('ours', peer):<20}" for peer in peers), end="")
        print(f" {_of_floor(report):.2f}" if load == 1 else "")


def _of_floor(report: Rates) -> float:
    """Compare ours with one echo and one commit after the other."""
    return report.median("ours") * (1 / report.median("echo") + 1 / report.median("commits"))


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=NAMES, default=NAMES[0], help="ours and DBOS's")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="for each figure of a round")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS)
    options = parser.parse_args()
    with database(options.database) as url:
        reports = uvloop.run(compare(url, options.peers, options.rounds, options.seconds))
    _print(reports, options.peers)
    if options.json:
        options.json.write_text(json.dumps(reports, indent=2))


if __name__ == "__main__":
    main()
