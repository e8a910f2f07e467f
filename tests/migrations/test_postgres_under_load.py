"""A database is brought up to date while servers of the version before go on using it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import asyncpg
import pytest
from tests.support import postgres
from tests.support.clock import START

from runtara_domain.model import Caller, CheckpointWrite, Event, EventType, Registration
from runtara_domain.status import OPEN, WORKING
from runtara_migrations.ledger import MigrationError, packaged
from runtara_migrations.postgres import LockWait, Pool, run_postgres
from runtara_persistence.postgres.persistence import PostgresPersistence

WORKERS = 8
# The newest one adds no column: the code of after works on the schema of before.
BEFORE = packaged("postgres")[:-1]
SINCE = (packaged("postgres")[-1].name,)
AT_ONCE = LockWait(attempt=30.0, total=0.0)
WAITING = (
    "SELECT count(*) FROM pg_locks"
    " WHERE NOT granted AND mode = 'AccessExclusiveLock' AND relation = 'instances'::regclass"
)
WAITS_LONG = f"{WAITING} AND waitstart < clock_timestamp() - interval '0.2 s'"
SHORT = LockWait(attempt=0.2, pause=0.05, total=60.0)


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.empty_database() as url:
        yield url


@pytest.fixture
async def pool(url: str) -> AsyncIterator[Pool]:
    async with asyncpg.create_pool(url, min_size=1, max_size=4) as pool:
        yield pool


@pytest.fixture
async def server(url: str, pool: Pool) -> AsyncIterator[PostgresPersistence]:
    """A server of the version after, open on a schema of before."""
    async with PostgresPersistence(url, migrates=True) as server:
        await pool.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        await run_postgres(pool, BEFORE)
        for number in range(WORKERS):
            registration = Registration(f"i-{number}", "t")
            await server.instances.register(registration, when=OPEN, at=START)
        yield server


@dataclass
class Worker:
    """Saves and tells one thing after the other, until it is to stop."""

    server: PostgresPersistence
    caller: Caller
    stop: asyncio.Event
    steps: int = 0
    stepped: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self) -> None:
        while not self.stop.is_set():
            await save(self.server, self.caller, f"c-{self.steps}")
            event = Event(EventType.CUSTOM, b"x", START)
            await self.server.events.append(self.caller, event, when=WORKING, at=START)
            self.steps += 1
            self.stepped.set()


async def save(server: PostgresPersistence, caller: Caller, checkpoint_id: str) -> None:
    write = CheckpointWrite(checkpoint_id, b"x")
    saved = await server.checkpoints.save(caller, write, when=WORKING, at=START)
    assert saved.kept is None


async def test_no_step_fails_while_servers_go_on(pool: Pool, server: PostgresPersistence) -> None:
    # So many that the migration takes longer than a step.
    await pool.execute(
        "INSERT INTO instances (instance_id, tenant_id, status, sleep_until)"
        " SELECT 'asleep-' || g, 't', 'suspended', now() FROM generate_series(1, 20000) AS g"
    )
    stop = asyncio.Event()
    workers = [Worker(server, Caller(f"i-{number}"), stop) for number in range(WORKERS)]
    async with asyncio.TaskGroup() as group:
        for worker in workers:
            group.create_task(worker.work())
        await asyncio.gather(*(worker.stepped.wait() for worker in workers))
        applied = await run_postgres(pool, lock_wait=AT_ONCE)
        for worker in workers:
            worker.stepped.clear()
        await asyncio.gather(*(worker.stepped.wait() for worker in workers))
        stop.set()

    assert applied == SINCE
    assert await pool.fetchval("SELECT count(*) FROM checkpoints") == sum(
        worker.steps for worker in workers
    )


async def test_a_backup_delays_it_and_not_the_servers(
    pool: Pool, server: PostgresPersistence, caplog: pytest.LogCaptureFixture
) -> None:
    """No server waits longer than one of its attempts; two at once apply each migration once."""
    async with pool.acquire() as backup:
        transaction = backup.transaction()
        await transaction.start()
        await backup.execute("LOCK TABLE instances IN ACCESS SHARE MODE")
        migrating = [
            asyncio.create_task(run_postgres(pool, lock_wait=SHORT)),
            asyncio.create_task(run_postgres(pool, lock_wait=SHORT)),
        ]
        for number in range(3):
            await until_it_waits(backup)
            await save(server, Caller("i-0"), f"c-{number}")
        were_done = [each.done() for each in migrating]
        await transaction.rollback()
        applied = await asyncio.gather(*migrating)

    assert were_done == [False, False]
    assert sorted(name for names in applied for name in names) == sorted(SINCE)
    assert [level for _, level, _ in caplog.record_tuples] == [logging.WARNING]
    assert f"migration {SINCE[0]} waits up to" in caplog.text


async def test_between_two_attempts_no_statement_waits_behind_it(
    pool: Pool, server: PostgresPersistence, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise statements would crawl until a backup ends."""
    rare = LockWait(attempt=0.05, pause=3600.0, total=36000.0)
    async with pool.acquire() as backup, backup.transaction():
        await backup.execute("LOCK TABLE instances IN ACCESS SHARE MODE")
        migrating = asyncio.create_task(run_postgres(pool, lock_wait=rare))
        while not caplog.records:
            await backup.execute("SELECT 1")
        waiting = [await backup.fetchval(WAITING) for _ in range(200)]
        migrating.cancel()
        await asyncio.wait([migrating])

    assert waiting == [0] * 200


async def test_what_a_role_may_wait_for_does_not_bound_it(
    url: str, pool: Pool, server: PostgresPersistence
) -> None:
    """A `statement_timeout` of 50 ms serves queries well, and no migration."""
    settings = {"statement_timeout": "50"}
    async with (
        asyncpg.create_pool(url, min_size=1, max_size=1, server_settings=settings) as hasty,
        pool.acquire() as backup,
        asyncio.TaskGroup() as group,
        backup.transaction(),
    ):
        await backup.execute("LOCK TABLE instances IN ACCESS SHARE MODE")
        migrating = group.create_task(run_postgres(hasty, lock_wait=AT_ONCE))
        while not (await backup.fetchval(WAITS_LONG) or migrating.done()):
            pass

    assert migrating.result() == SINCE


async def until_it_waits(connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> None:
    while not await connection.fetchval(WAITING):
        pass


async def test_a_backup_without_end_is_reported_in_one_line(
    pool: Pool, server: PostgresPersistence
) -> None:
    async with pool.acquire() as backup, backup.transaction():
        await backup.execute("LOCK TABLE instances IN ACCESS SHARE MODE")
        with pytest.raises(MigrationError, match=r"locks on its tables for 0\.1 s; end") as caught:
            await run_postgres(pool, lock_wait=LockWait(attempt=0.05, pause=0.01, total=0.1))
        await save(server, Caller("i-0"), "c")

    assert "\n" not in str(caught.value)
    assert await run_postgres(pool) == SINCE
