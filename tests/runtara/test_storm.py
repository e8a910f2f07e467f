"""Four workers that die again and again, and two hundred workflows that end once all the same."""

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.runtara.conftest import ROOT
from tests.runtara.shop import APPROVAL, Decision, Order, fulfil, nap, steps

from runtara import Client, Handle, connect
from runtara_domain.model.stored_launches import Launch, LaunchFilter
from runtara_persistence.connect import connect as persistence_at

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

WORKERS = 4
WORKFLOWS = 200
DEATHS = 12


async def worker() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.runtara.shop", "20"), cwd=ROOT
    )


@asynccontextmanager
async def dying_workers() -> AsyncIterator["asyncio.Task[None]"]:
    """Keep four workers, and end one of them at random now and then, as many times as asked."""
    alive = [await worker() for _ in range(WORKERS)]
    chance = random.Random(7)

    async def kill() -> None:
        for _ in range(DEATHS):
            await asyncio.sleep(chance.uniform(0.5, 2.0))
            victim = chance.randrange(WORKERS)
            alive[victim].send_signal(chance.choice([signal.SIGKILL, signal.SIGTERM]))
            await alive[victim].wait()
            alive[victim] = await worker()

    killing = asyncio.create_task(kill())
    try:
        yield killing
    finally:
        killing.cancel()
        await asyncio.wait([killing])
        for one in alive:
            one.kill()
            await one.wait()


async def started(client: Client, number: int) -> Handle[Any]:
    match number % 3:
        case 0:
            return await client.start(steps, 3, 0.05, id=f"i-{number}")
        case 1:
            return await client.start(nap, 0.5, id=f"i-{number}")
        case _:
            handle = await client.start(fulfil, Order(f"o{number}", number), id=f"i-{number}")
            await handle.send(APPROVAL, Decision(True, "Ann"))
            return handle


async def open_after_their_end(database: str) -> list[Launch]:
    """Read the open launches of instances that have ended; ends are read after launches."""
    async with persistence_at(database) as stored:
        opened = await stored.launches.page(LaunchFilter(open_only=True), limit=WORKFLOWS)
        found = await stored.instances.run_states([one.instance_id for one in opened])
        again = await stored.launches.page(LaunchFilter(open_only=True), limit=WORKFLOWS)
    still = {one.launch_id for one in again}
    return [
        one
        for one in opened
        # A launch that has not registered has taken over from a run that was lost, and has ended.
        if one.run is not None and one.launch_id in still and found[one.instance_id].state.is_final
    ]


async def test_each_workflow_ends_once_whatever_dies(
    storm: str, database: str, tmp_path: Path
) -> None:
    """
    Steps may be repeated by a death in them; what was shipped was charged before. The end of a
    run closes its launch.
    """
    left: list[Launch] = []
    async with connect(storm) as client, dying_workers() as killing:
        handles = [await started(client, number) for number in range(WORKFLOWS)]
        waiting = asyncio.gather(*(handle.result("4m") for handle in handles))
        while not waiting.done():
            left += await open_after_their_end(database)
            await asyncio.sleep(0.1)
        results = await waiting
        await killing
    assert left == []

    for number, result in enumerate(results):
        if number % 3 == 0:
            assert result == 3
        elif number % 3 == 1:
            assert result == "rested"
    noted = (tmp_path / "notes").read_text().splitlines()
    for number in range(2, WORKFLOWS, 3):
        assert noted.index(f"charged o{number}") < noted.index(f"shipped o{number}")
