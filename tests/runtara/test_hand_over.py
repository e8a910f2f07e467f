"""Two workers, one of which is asked to end: what the other goes on with, and how soon."""

import asyncio
import itertools
import os
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.runtara.conftest import ROOT, until
from tests.runtara.relay import WORD, relay, told

from runtara import Client, Handle, connect

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]

RUNNERS = 10
PAUSE = 0.15


@dataclass(frozen=True)
class Note:
    """A line that a step has written."""

    at: float
    pid: int
    runner: str
    number: int
    what: str


def notes_in(path: Path) -> list[Note]:
    lines = (line.split() for line in path.read_text().splitlines()) if path.exists() else ()
    return [
        Note(float(at), int(pid), runner, int(number), what)
        for at, pid, runner, number, what in lines
    ]


@asynccontextmanager
async def worker(notes: Path, concurrency: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a worker, which finds the core by variables."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.runtara.relay", str(concurrency)),
        cwd=ROOT,
        env={**os.environ, "RELAY_NOTES": str(notes), "PYTHONPATH": str(ROOT)},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def started(client: Client) -> list[Handle[Any]]:
    handles: list[Handle[Any]] = []
    for number in range(RUNNERS):
        handles.append(await client.start(relay.bind(f"r{number}", PAUSE)))
        handles.append(await client.start(told, f"t{number}", id=f"t{number}"))
    return handles


def gaps(notes: list[Note]) -> list[float]:
    """How long each runner stood between its last leg in one process and the next elsewhere."""
    by_runner: dict[str, list[Note]] = defaultdict(list)
    for one in notes:
        by_runner[one.runner].append(one)
    return [
        after.at - before.at
        for run in by_runner.values()
        for before, after in itertools.pairwise(run)
        if before.pid != after.pid and after.what == "begun"
    ]


async def test_a_worker_that_ends_hands_over(
    storm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No leg that ends within the grace is run twice, and no runner waits for a lease."""
    path = tmp_path / "relay"
    runners = {f"r{number}" for number in range(RUNNERS)}
    async with connect(storm) as client, worker(path, 2 * RUNNERS) as process:
        handles = await started(client)
        await until(lambda: {one.runner for one in notes_in(path)} == runners)
        [before] = {one.pid for one in notes_in(path)}
        # It is full, so that what comes now is run by the second one, which is begun only now.
        async with worker(path, 6 * RUNNERS):
            handles.append(await client.start(relay.bind("extra", PAUSE)))
            await until(lambda: len({one.pid for one in notes_in(path)}) == 2)
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
            for number in range(RUNNERS):
                await client.handle(told, f"t{number}").send(WORD, 7)
            await until(
                lambda: {one.runner for one in notes_in(path) if one.pid != before} >= runners
            )
            path.with_name("relay.over").touch()
            await asyncio.gather(*(handle.result("60s") for handle in handles))

    notes = notes_in(path)
    runs = Counter((one.runner, one.number) for one in notes if one.what == "begun")
    stood = sorted(gaps(notes))
    middle, most = stood[len(stood) // 2], stood[-1]
    said = f"{len(stood)} handed over, stood for {middle:.3f} s, at most {most:.3f} s"
    with capsys.disabled():
        sys.stdout.write(f"\n{said}\n")
    assert len(stood) >= RUNNERS
    assert set(runs.values()) == {1}
    assert {one.runner for one in notes if one.what == "ended"} == {one.runner for one in notes}
