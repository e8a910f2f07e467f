"""A database that goes away, is slow, or is taken: an answer in bounded time, and well again."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import asyncpg
import pytest
from tests.support import postgres
from tests.support.clock import START

from runtara_domain.error import DatabaseError
from runtara_domain.model import (
    Caller,
    CheckpointWrite,
    Event,
    EventFilter,
    EventStep,
    EventType,
    Registration,
)
from runtara_domain.status import ANY, OPEN, WORKING, SignalType
from runtara_persistence.postgres import database
from runtara_persistence.postgres.persistence import PostgresPersistence

ME = Caller("i")
LATER = START + timedelta(minutes=1)
SOMEBODY_WAITS = """
SELECT count(*) FROM pg_sleep(0.01), pg_stat_activity
WHERE wait_event_type = 'Lock' AND datname = current_database()
"""


async def waiting(stranger: "asyncpg.Connection[asyncpg.Record]") -> int:
    """Count transactions that wait for a lock; in a transaction, the first count is kept."""
    await stranger.execute("SELECT pg_stat_clear_snapshot()")
    count: int = await stranger.fetchval(SOMEBODY_WAITS)
    return count


OUR_BACKEND = """
SELECT pid FROM pg_stat_activity
WHERE application_name = 'runtara' AND datname = current_database()
"""


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.migrated_database() as url:
        yield url


@pytest.fixture
async def persistence(url: str) -> AsyncIterator[PostgresPersistence]:
    async with PostgresPersistence(url, pool_size=4, patience=2, step_timeout=2) as persistence:
        await persistence.instances.register(Registration("i", "t"), when=OPEN, at=START)
        yield persistence


@pytest.fixture
async def stranger(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Another program on the same database."""
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


@pytest.fixture
def server() -> Iterator[postgres.PostgresServer]:
    """A server of the test's own, to stop as it likes."""
    server = postgres.PostgresServer()
    server.start()
    yield server
    server.remove()


async def save(persistence: PostgresPersistence, checkpoint_id: str, caller: Caller = ME) -> bool:
    write = CheckpointWrite(checkpoint_id, b"1")
    saved = await persistence.checkpoints.save(caller, write, when=WORKING, at=START)
    return saved.kept is None


async def kill_others(stranger: "asyncpg.Connection[asyncpg.Record]") -> None:
    await stranger.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'runtara' AND datname = current_database()"
    )


async def test_connections_that_were_ended_are_opened_again(
    persistence: PostgresPersistence, stranger: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """Later callers notice nothing of it."""
    await asyncio.gather(*(persistence.instances.get("i") for _ in range(4)))

    await kill_others(stranger)
    found = await asyncio.gather(*(persistence.instances.get("i") for _ in range(8)))

    assert all(found)
    assert await save(persistence, "c")


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_server_restarted_under_load_is_used_again(
    server: postgres.PostgresServer, mode: str
) -> None:
    """Every call ends, in success or DatabaseError; what was acknowledged is there."""
    acknowledged: list[str] = []
    failed: list[str] = []
    is_back = asyncio.Event()

    async def work(persistence: PostgresPersistence, worker: int) -> None:
        number = 0
        while not is_back.is_set():
            number += 1
            try:
                await save(persistence, f"{worker}-{number}")
            except DatabaseError:
                failed.append(f"{worker}-{number}")
            else:
                acknowledged.append(f"{worker}-{number}")

    async with PostgresPersistence(
        server.url("postgres"), migrates=True, patience=1
    ) as persistence:
        await persistence.instances.register(Registration("i", "t"), when=OPEN, at=START)
        async with asyncio.TaskGroup() as workers:
            for worker in range(8):
                workers.create_task(work(persistence, worker))
            await asyncio.to_thread(server.stop, mode)
            before = time.monotonic()
            with pytest.raises(DatabaseError):
                await persistence.check()
            waited = time.monotonic() - before
            await asyncio.to_thread(server.start)
            assert await save(persistence, "afterwards")
            is_back.set()
        kept = await persistence.checkpoints.page("i", limit=100_000)

    assert waited < 30
    assert acknowledged
    assert set(acknowledged) <= {entry.checkpoint_id for entry in kept.entries}


async def test_a_locked_row_keeps_no_other_caller_waiting(
    persistence: PostgresPersistence, stranger: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """A caller that needs it gets it when it is free, or an error in time."""
    other = Caller("other")
    await persistence.instances.register(Registration("other", "t"), when=OPEN, at=START)

    async with stranger.transaction():
        await stranger.execute("SELECT FROM instances WHERE instance_id = 'i' FOR UPDATE")
        held = asyncio.create_task(save(persistence, "c"))
        others = [asyncio.create_task(save(persistence, f"c{n}", other)) for n in range(8)]
        assert all(await asyncio.gather(*others))
        with pytest.raises(DatabaseError, match="another transaction holds a lock"):
            await held

    assert await save(persistence, "c")


async def test_many_that_need_a_locked_row_leave_connections_to_the_others(
    persistence: PostgresPersistence, stranger: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """They are more than the connections. Each fails in time, or gets the row when it is free."""
    held_up = [f"held-{number}" for number in range(8)]
    for each in (*held_up, "other"):
        await persistence.instances.register(Registration(each, "t"), when=OPEN, at=START)

    async with stranger.transaction():
        await stranger.execute("SELECT FROM instances WHERE instance_id LIKE 'held%' FOR UPDATE")
        began = time.monotonic()
        held = [
            asyncio.create_task(persistence.signals.acknowledge(Caller(each), kind, at=LATER))
            for each in held_up
            for kind in SignalType
        ]
        others = [await save(persistence, f"c{number}", Caller("other")) for number in range(50)]
        told = await asyncio.gather(*held, return_exceptions=True)
        took = time.monotonic() - began
        waiting = [
            asyncio.create_task(
                persistence.instances.register(Registration(each, "t"), when=OPEN, at=LATER)
            )
            for each in held_up
        ]
        while not await stranger.fetchval(SOMEBODY_WAITS):
            pass
    registered = await asyncio.gather(*waiting)

    assert all(others)
    assert {type(each) for each in told} == {DatabaseError}
    assert took < 10
    assert {each.run for each in registered} == {2}


async def test_a_pool_used_up_is_reported_in_time(
    url: str, stranger: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    async with PostgresPersistence(url, pool_size=1, patience=0.3, step_timeout=2) as persistence:
        await persistence.instances.register(Registration("i", "t"), when=OPEN, at=START)
        async with stranger.transaction():
            await stranger.execute("LOCK TABLE instance_events IN ACCESS EXCLUSIVE MODE")
            held = asyncio.create_task(persistence.events.count(EventFilter("i")))
            while not await waiting(stranger):
                pass
            with pytest.raises(DatabaseError, match="no connection or no answer in time"):
                await persistence.instances.get("i")

        assert await held == 1
        assert await persistence.instances.get("i") is not None


async def test_deadlocks_are_repeated(
    persistence: PostgresPersistence, stranger: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """Another program that locks in another order costs time, but no step."""
    await stranger.execute("SET deadlock_timeout = '10s'")
    await persistence.instances.register(Registration("a", "t"), when=OPEN, at=START)

    async with stranger.transaction():
        await stranger.execute("SELECT FROM instances WHERE instance_id = 'i' FOR UPDATE")
        event = Event(EventType.CUSTOM, b"", START)
        batch = [EventStep(Caller("a"), event, ANY), EventStep(ME, event, ANY)]
        told = asyncio.create_task(persistence.events.record_all(batch, at=LATER))
        while not await waiting(stranger):
            pass
        # Held by the one that waits for us: it is the one to give way.
        await stranger.execute("SELECT FROM instances WHERE instance_id = 'a' FOR UPDATE")

    assert all(recorded.after is not None for recorded in await told)


async def test_one_that_may_not_be_stored_fails_alone(persistence: PostgresPersistence) -> None:
    """The others of the same statement are kept."""
    good = [save(persistence, f"c{number}") for number in range(4)]
    # Surrogates can't be written: such an id never comes from a client, which checks it.
    bad = Caller("i")
    object.__setattr__(bad, "instance_id", "\ud800")

    *kept, refused = await asyncio.gather(
        *good, save(persistence, "c", bad), return_exceptions=True
    )

    assert kept == [True] * 4
    assert isinstance(refused, (DatabaseError, UnicodeError))


async def test_a_cancelled_caller_leaves_no_connection_behind(
    persistence: PostgresPersistence, stranger: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """No step is half done, and the next caller gets its turn."""
    async with stranger.transaction():
        await stranger.execute("SELECT FROM instances WHERE instance_id = 'i' FOR UPDATE")
        mine = Registration("i", "t")
        steps = [
            asyncio.create_task(persistence.instances.register(mine, when=OPEN, at=START))
            for _ in range(8)
        ]
        while await waiting(stranger) < 4:
            pass
        for step in steps:
            step.cancel()
        ended = await asyncio.gather(*steps, return_exceptions=True)

    assert all(isinstance(one, asyncio.CancelledError) for one in ended)
    assert all(await asyncio.gather(*(save(persistence, f"c{n}") for n in range(8))))


async def test_a_cancellation_stays_one_though_the_server_is_frozen(
    url: str, stranger: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """The statement can't be cancelled at the server: the caller gets the first error."""
    async with PostgresPersistence(url, pool_size=1, patience=0.5) as persistence:
        await persistence.instances.register(Registration("i", "t"), when=OPEN, at=START)
        async with stranger.transaction():
            await stranger.execute("SELECT FROM instances WHERE instance_id = 'i' FOR UPDATE")
            mine = Registration("i", "t")
            asking = asyncio.create_task(persistence.instances.register(mine, when=OPEN, at=LATER))
            while not await stranger.fetchval(SOMEBODY_WAITS):
                pass
            [backend] = await stranger.fetchrow(OUR_BACKEND) or []
            os.kill(backend, signal.SIGSTOP)
            try:
                asking.cancel()
                await asyncio.wait([asking])
            finally:
                os.kill(backend, signal.SIGCONT)

        assert asking.cancelled()
        assert await save(persistence, "c")


async def test_what_operators_see_of_an_instance_is_not_waited_for_on_a_frozen_server(
    url: str, stranger: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    async with PostgresPersistence(url, pool_size=1, step_timeout=0.2) as persistence:
        await persistence.instances.register(Registration("i", "t"), when=OPEN, at=START)
        [backend] = await stranger.fetchrow(OUR_BACKEND) or []
        os.kill(backend, signal.SIGSTOP)
        try:
            async with asyncio.timeout(20):
                with pytest.raises(DatabaseError, match="no answer in time"):
                    await persistence.launches.view("i", at=START)
        finally:
            os.kill(backend, signal.SIGCONT)


async def test_nor_is_the_rest_of_it_nor_the_rollback(
    url: str,
    stranger: "asyncpg.Connection[asyncpg.Record]",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server freezes in the middle of a transaction."""
    monkeypatch.setattr(database, "_LOCK_TIMEOUT", 30.0)
    async with PostgresPersistence(url, pool_size=1, step_timeout=3) as persistence:
        await persistence.instances.register(Registration("i", "t"), when=OPEN, at=START)
        async with stranger.transaction():
            await stranger.execute("LOCK TABLE holds IN ACCESS EXCLUSIVE MODE")
            reading = asyncio.create_task(persistence.launches.view("i", at=START))
            while not await stranger.fetchval(SOMEBODY_WAITS):
                pass
            [backend] = await stranger.fetchrow(OUR_BACKEND) or []
            os.kill(backend, signal.SIGSTOP)
            try:
                async with asyncio.timeout(60):
                    with pytest.raises(DatabaseError):
                        await reading
            finally:
                os.kill(backend, signal.SIGCONT)


async def test_a_database_that_forgets_is_warned_of(
    url: str,
    stranger: "asyncpg.Connection[asyncpg.Record]",
    caplog: pytest.LogCaptureFixture,
) -> None:
    name = await stranger.fetchval("SELECT current_database()")
    await stranger.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    try:
        with caplog.at_level(logging.WARNING):
            async with PostgresPersistence(url):
                pass
    finally:
        await stranger.execute(f"ALTER DATABASE {name} RESET synchronous_commit")

    [record] = caplog.records
    assert "synchronous_commit is off" in record.getMessage()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "postgresql://u:secret@127.0.0.1:1/x?sslmode=disable",
            "open the database in PostgreSQL 1",
        ),
        ("postgresql://u:secret@/x?host=/nowhere", "open the database in PostgreSQL /nowhere"),
    ],
)
async def test_what_cannot_be_opened_is_reported_in_one_line(url: str, message: str) -> None:
    """Where, and why; never the password."""
    with pytest.raises(DatabaseError, match=message) as refusal:
        async with PostgresPersistence(url):
            pass

    assert "\n" not in str(refusal.value)
    assert "secret" not in str(refusal.value)


async def test_a_database_that_holds_only_some_texts_is_refused() -> None:
    """Otherwise ids and error texts would fail one by one in operation."""
    server = postgres.shared_server()
    server.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")

    with pytest.raises(DatabaseError, match=r"encoding is LATIN1.*ENCODING 'UTF8'"):
        async with PostgresPersistence(server.url("latin")):
            pass


async def test_an_unknown_parameter_is_reported(url: str) -> None:
    with pytest.raises(DatabaseError, match='"connect_timeout"; if the URL names it, remove it'):
        async with PostgresPersistence(f"{url}&connect_timeout=3"):
            pass


async def test_the_first_host_that_can_write_is_used(url: str) -> None:
    """Several may be named, for a failover."""
    folder = url.partition("host=")[2]
    several = url.replace(f"host={folder}", f"host=/nowhere,{folder}")

    async with PostgresPersistence(f"{several}&target_session_attrs=read-write") as persistence:
        await persistence.check()
