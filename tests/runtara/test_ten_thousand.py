"""Ten thousand instances that wait, through one worker: its memory, and nothing is unwound."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runtara.conftest import ROOT
from tests.runtara.waiting import wait

from runtara import connect
from runtara_domain.model.instance_lists import InstanceQuery
from runtara_domain.status import InstanceStatus
from runtara_persistence.connect import connect as persistence_at

pytestmark = [pytest.mark.long, pytest.mark.timeout(500)]

INSTANCES = {"sqlite": 10_000, "postgresql": 4_000}
"""On PostgreSQL each takes three times as long; what it leaves in a process is the same."""
BOUND = 128 << 20
_AT_ONCE = 50


def tree(process: int) -> Iterator[int]:
    """Give a process and all that come from it."""
    yield process
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text()
    except OSError:
        return
    for child in children.split():
        yield from tree(int(child))


def memory(process: int) -> int:
    """Sum up the bytes of a process and all below it; what they share counts once."""
    total = 0
    for each in tree(process):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue  # It has just ended.
        total += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0) << 10
    return total


async def test_the_memory_of_a_worker_stays_flat(
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It grows by at most 128 MiB after the first hundred instances."""
    marker = tmp_path / "finally"
    monkeypatch.setenv("FINALLY", str(marker))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RUNTARA_DATABASE_URL", database)
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.runtara.waiting"), cwd=ROOT
    )
    suspended = InstanceQuery(status=InstanceStatus.SUSPENDED)
    sizes: list[tuple[int, int]] = []
    instances = INSTANCES[database.partition(":")[0]]
    try:
        async with connect(database) as client, persistence_at(database) as stored:
            started = 0
            while (count := await stored.launches.count_instances(suspended)) < instances:
                if count >= 100:
                    sizes.append((count, memory(worker.pid)))
                # What waits to be run is bounded, so that starts don't outrun the worker.
                more = min(instances - started, max(0, count + 1000 - started))
                for first in range(started, started + more, _AT_ONCE):
                    numbers = range(first, min(first + _AT_ONCE, started + more))
                    await asyncio.gather(
                        *(client.start(wait, number, id=f"i-{number}") for number in numbers)
                    )
                started += more
                await asyncio.sleep(0.25)
            sizes.append((instances, memory(worker.pid)))
    finally:
        worker.kill()
        await worker.wait()

    shown = " ".join(f"{count}:{size >> 20}" for count, size in sizes[:: len(sizes) // 30 + 1])
    with capsys.disabled():
        sys.stdout.write(f"\nMiB of the tree by suspended instances: {shown}\n")
    assert max(size for _, size in sizes) - sizes[0][1] <= BOUND
    assert not marker.exists()
