"""An audit finds nothing in what real workers make, of every kind that there is."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from tests.cli.test_direct import run
from tests.contract.launching import KILLED, claim, close, hold_lease, put_image
from tests.contract.launching import start as start_of_image
from tests.runtara.conftest import GENEROUS, Ways
from tests.support.postgres import cloned_database

from runtara import Client, Instance, Promise, Queue, Tick, Worker, connect, sleep, workflow
from runtara import start_child as started
from runtara_cli import codes
from runtara_domain.model import Caller
from runtara_domain.status import OPEN
from runtara_domain.system_clock import SystemClock
from runtara_management_sdk import Status
from runtara_persistence.connect import connect as database

GO = Promise("go", bool)
FULL = Queue("full", concurrency=1)


@workflow
async def done() -> str:
    return "done"


@workflow
async def broken() -> None:
    raise ValueError("broken")


@workflow(suspend_after="10ms")
async def asleep() -> None:
    await sleep("2d")


@workflow(suspend_after="10ms")
async def waiting() -> bool:
    return await GO.get()


@workflow(suspend_after="10ms")
async def parent(child_id: str) -> bool:
    return await (await started(waiting.bind(), id=child_id)).result()


@workflow
async def busy() -> None:
    await asyncio.get_running_loop().create_future()


@workflow
async def held() -> None:
    """It is never launched."""


@workflow(cron="@daily")
async def daily(tick: Tick) -> str:
    return str(tick.at)


SERVED = (done, broken, asleep, waiting, parent, busy, held, daily)
TENANT = "default"
KINDS = 16
AGED = {
    "instances": ("created_at", "started_at", "finished_at"),
    "launches": ("created_at", "started_at", "closed_at"),
}
"""Moments of rows that are put back by an hour: what is overdue would be found."""


class Made:
    """Instances of every kind, in a database with a worker and an environment."""

    def __init__(self, url: str, folder: Path, client: Client) -> None:
        self._url, self._folder, self._client = url, folder, client

    async def command(self, *arguments: str) -> str:
        """Give a command that succeeds; gives what it prints."""
        result = await asyncio.to_thread(run, *arguments, "--database-url", self._url)
        assert result.exit_code == codes.DONE, result.output
        return result.stdout

    async def fill(self, number: int) -> None:
        """Make one instance of each kind, which ends, waits or runs."""
        start, until = self._client.start, Ways.until_state
        completed = await start(done, id=f"done-{number}")
        failed = await start(broken, id=f"broken-{number}")
        retried = await start(broken, id=f"retried-{number}")
        sleeper = await start(asleep, id=f"asleep-{number}")
        blocked = await start(asleep, id=f"blocked-{number}")
        waiter = await start(waiting, id=f"waiting-{number}")
        paused = await start(waiting, id=f"paused-{number}")
        cancelled = await start(waiting, id=f"cancelled-{number}")
        moved = await start(waiting, id=f"moved-{number}")
        family = await start(parent, f"child-{number}", id=f"parent-{number}")
        running = await start(busy, id=f"busy-{number}")
        await start(done, id=f"delayed-{number}", delay="2d")
        for handle in (sleeper, blocked, waiter, paused, cancelled, moved, family):
            await until(handle, _is_at_rest)
        await until(self._client.handle(waiting, f"child-{number}"), _is_at_rest)
        await until(running, lambda found: found.status is Status.RUNNING)
        for ended in (completed, failed, retried):
            await until(ended, _is_final)
        await paused.pause()
        await cancelled.cancel()
        await until(cancelled, _is_final)
        await retried.retry()
        await until(retried, lambda found: _is_final(found) and (found.run or 0) > 1)
        await completed.fork(id=f"fork-{number}")
        await until(self._client.handle(done, f"fork-{number}"), _is_final)
        await moved.pause()
        await self._until_left(moved.id)
        file = str(self._folder / moved.id)
        await self.command("export", moved.id, file)
        await self.command("rm", "--exported", moved.id)
        await self.command("import", file)
        clock = SystemClock()
        async with database(self._url) as stored:
            await stored.instances.block(
                Caller(blocked.id), "its code has changed", when=OPEN, at=clock.now()
            )
            image = await put_image(stored)
            names = {f"launched-{number}", f"crashed-{number}"}
            for name in names:
                await start_of_image(stored, name, image_id=image.image_id)
            for launched in await claim(stored, at=clock.now()):
                if launched.instance_id.startswith("crashed"):
                    await close(stored, launched.launch_id, KILLED, at=clock.now())

    async def _until_left(self, instance_id: str) -> None:
        """Wait until no launch of an instance is open: a suspended one's may still be ending."""
        async with database(self._url) as stored, asyncio.timeout(GENEROUS):
            while (  # noqa: ASYNC110
                found := await stored.launches.copy(instance_id)
            ) and found.open_launch_id:
                await asyncio.sleep(0.01)

    async def bound(self) -> None:
        """Let some more wait for a hold and for a place of a queue."""
        await self.command("hold", "--tenant", TENANT, "--workflow", "held")
        await self._client.start(held, id="held")
        for number in range(3):
            await self._client.start(busy, id=f"queued-{number}", queue=FULL)
        ticked = await self.command("schedules", "trigger", "daily", "--tenant", TENANT)
        await Ways.until_state(self._client.handle(daily, ticked.strip()), _is_final)


def _is_at_rest(found: Instance) -> bool:
    return found.status is Status.SUSPENDED and bool(found.waiting_for)


def _is_final(found: Instance) -> bool:
    return found.status.is_final


async def age(url: str) -> None:
    """Put what has been made back by an hour."""
    for table, columns in AGED.items():
        if url.startswith("sqlite"):
            sets = ", ".join(
                f"{one} = strftime('%Y-%m-%dT%H:%M:%fZ', {one}, '-1 hour')" for one in columns
            )
            path = url.removeprefix("sqlite:")
            with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
                connection.execute(f"UPDATE {table} SET {sets}")
            continue
        sets = ", ".join(f"{one} = {one} - interval '1 hour'" for one in columns)
        connected = await asyncpg.connect(url)
        try:
            await connected.execute(f"UPDATE {table} SET {sets}")
        finally:
            await connected.close()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path}/core.db"
        return
    with cloned_database() as one:
        yield one


async def audited(url: str, folder: Path, rounds: int) -> int:
    """Make so many of each kind, and audit them; gives how many there are."""
    async with database(url, migrates=True) as stored:
        await hold_lease(stored, "e", ttl=timedelta(minutes=50))
        async with (
            connect(url) as client,
            Worker(*SERVED, where=url, isolate="none", concurrency=9999),
        ):
            made = Made(url, folder, client)
            for number in range(rounds):
                await made.fill(number)
            await age(url)
            assert await made.command("audit") == ""
            await made.bound()
            await age(url)
            assert await made.command("audit") == ""
            return len((await made.command("list", "--limit", "0")).splitlines())


async def test_what_a_worker_makes_raises_no_alarm(url: str, tmp_path: Path) -> None:
    assert await audited(url, tmp_path, 1) >= KINDS


@pytest.mark.long
@pytest.mark.timeout(280)
async def test_a_thousand_of_all_kinds_raise_no_alarm(url: str, tmp_path: Path) -> None:
    assert await audited(url, tmp_path, 1000 // KINDS + 1) >= 1000
