"""Limits while workers die a thousand times: what is taken is open, and never more than allowed."""

import asyncio
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from tests.runtara.conftest import ROOT
from tests.runtara.limited import TENANT, WORKFLOW, working

from runtara_domain.model.launches import InstanceStart
from runtara_domain.model.limits import Limit, Scope
from runtara_persistence.connect import connect

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

DEATHS = 1000
INSTANCES = 60
QUEUES: Mapping[str, Limit] = {
    "narrow": Limit(Scope.QUEUE, TENANT, "narrow", 2),
    "each": Limit(Scope.QUEUE, TENANT, "each", 7, 2),
    "wide": Limit(Scope.QUEUE, TENANT, "wide", 5),
}
ALL = Limit(Scope.TENANT, TENANT, "", 12)
LOOK = """
    SELECT l.queue, l.environment_id, l.launch_id, i.launch_id AS taken_by
    FROM (SELECT * FROM launches WHERE closed_at IS NULL) AS l
    FULL JOIN (SELECT * FROM instances WHERE launch_id IS NOT NULL) AS i
        ON i.launch_id = l.launch_id
"""

Row = Sequence[Any]
Look = Callable[[], Awaitable[list[Row]]]


@asynccontextmanager
async def looking(url: str) -> AsyncIterator[Look]:
    """Give what reads the open launches, each with the instance that it has, as of one commit."""
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:"))) as file:

            async def look() -> list[Row]:
                await asyncio.sleep(0.001)
                return file.execute(LOOK).fetchall()

            yield look
        return
    connection = await asyncpg.connect(url)
    try:

        async def fetch() -> list[Row]:
            return [tuple(row) for row in await connection.fetch(LOOK)]

        yield fetch
    finally:
        await connection.close()


def check(rows: list[Row]) -> None:
    """Whatever has just died: each open launch has its instance, and no limit is exceeded."""
    for queue, environment, launch, taken_by in rows:
        assert launch is not None, taken_by
        assert launch == taken_by, (queue, environment)
    assert len(rows) <= (ALL.max_concurrent or 0)
    for name, limit in QUEUES.items():
        mine = [environment for queue, environment, *_ in rows if queue == name]
        assert len(mine) <= (limit.max_concurrent or 0), (name, len(mine))
        if limit.per_environment is not None:
            most = max((mine.count(each) for each in mine), default=0)
            assert most <= limit.per_environment, (name, most)


async def prepare(url: str) -> None:
    async with connect(url, migrates=True) as persistence:
        for limit in (ALL, *QUEUES.values()):
            await persistence.limits.put(limit)
        for number in range(INSTANCES):
            queue = [*QUEUES][number % len(QUEUES)]
            start = InstanceStart(
                instance_id=f"i-{number}", tenant_id=TENANT, workflow=WORKFLOW, queue=queue
            )
            await persistence.launches.start(start, at=datetime.now(UTC))


async def test_no_death_of_a_worker_breaks_a_limit(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Soon after the last lease of the dead workers has run out, they hold no slot."""
    await prepare(database)
    deaths, looks, most = 0, 0, 0
    async with looking(database) as look, working(database, capacity=1):
        mother = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.runtara.limited", database, str(DEATHS)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert mother.stdout is not None
        over = asyncio.ensure_future(mother.stdout.read())
        while not over.done():
            rows = await look()
            check(rows)
            looks, most = looks + 1, max(most, len(rows))
        said = over.result().decode().splitlines()
        deaths = sum(line.endswith(" -9") for line in said)
        assert await mother.wait() == 0
        async with asyncio.timeout(60):
            while len({environment for _, environment, *_ in await look()}) > 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        freed = time.time() - float(said[-1].split()[1])
    with capsys.disabled():
        said_at_last = f"the last slots of the dead free {freed:.2f} s after the last death"
        sys.stdout.write(f"\n{deaths} deaths, {looks} looks, {most} slots; {said_at_last}\n")
    assert deaths == DEATHS
    assert most > 1
