"""How a PostgreSQL database is brought up to date."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
from tests.support import postgres

from runtara_domain.error import DatabaseError
from runtara_migrations.ledger import Migration, MigrationError, packaged
from runtara_migrations.migrate import migrate
from runtara_migrations.postgres import Pool, run_postgres
from runtara_persistence import connect

FIRST = Migration(1, "001_create_a", "CREATE TABLE a (x int);")
SECOND = Migration(2, "002_create_b", "CREATE TABLE b (x text); INSERT INTO b VALUES (';')")
BROKEN = Migration(2, "002_break", "CREATE TABLE b (x int); CREATE TABLE a (x int)")
ALL = tuple(migration.name for migration in packaged("postgres"))


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.empty_database() as url:
        yield url


@pytest.fixture
async def pool(url: str) -> AsyncIterator[Pool]:
    async with asyncpg.create_pool(url, min_size=1, max_size=2) as pool:
        yield pool


async def test_migrations_are_applied_once_in_order(pool: Pool) -> None:
    first = await run_postgres(pool, [FIRST])
    rest = await run_postgres(pool, [FIRST, SECOND])
    again = await run_postgres(pool, [FIRST, SECOND])

    assert (first, rest, again) == (("001_create_a",), ("002_create_b",), ())
    assert await pool.fetchval("SELECT checksum FROM runtara_migrations WHERE version = 1") == (
        FIRST.entry.checksum
    )


async def test_a_failing_migration_leaves_nothing_of_itself(pool: Pool) -> None:
    with pytest.raises(MigrationError, match='002_break failed: relation "a" already exists'):
        await run_postgres(pool, [FIRST, BROKEN])

    assert await pool.fetchval("SELECT to_regclass('b')") is None
    assert await run_postgres(pool, [FIRST, SECOND]) == ("002_create_b",)


async def test_a_failing_migration_is_reported_in_one_line(pool: Pool) -> None:
    twice = "CREATE TABLE b (x int UNIQUE); INSERT INTO b VALUES (1), (1)"

    with pytest.raises(MigrationError, match=r"002_twice failed: .* Key \(x\)=\(1\)") as caught:
        await run_postgres(pool, [FIRST, Migration(2, "002_twice", twice)])

    assert "\n" not in str(caught.value)


async def test_an_edited_or_missing_file_is_named(pool: Pool) -> None:
    await run_postgres(pool, [FIRST])

    with pytest.raises(MigrationError, match=r"001_create_a .* edited or renamed"):
        await run_postgres(pool, [Migration(1, "001_create_a", "CREATE TABLE c (x int)")])
    with pytest.raises(MigrationError, match=r"001_create_a was applied.* its file is missing"):
        await run_postgres(pool, [Migration(2, "002_create_b", "CREATE TABLE b (x int)")])


async def test_the_right_to_use_the_tables_is_enough(pool: Pool, url: str) -> None:
    """A server whose schema is up to date creates nothing."""
    await run_postgres(pool)
    await pool.execute("CREATE ROLE lesser LOGIN; GRANT SELECT ON runtara_migrations TO lesser")
    await pool.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    try:
        assert await migrate(url.replace("postgres@", "lesser@")) == ()
    finally:
        await pool.execute("DROP OWNED BY lesser; DROP ROLE lesser")


def test_of_ten_processes_at_once_one_applies_each(url: str) -> None:
    command = [sys.executable, "-m", "runtara_migrations", url]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(10)]
    outputs = [process.communicate(timeout=60)[0] for process in processes]

    applied = "".join(outputs).replace("up to date\n", "").splitlines()
    assert [process.returncode for process in processes] == [0] * 10
    assert sorted(applied) == [f"applied {name}" for name in ALL]


async def test_a_database_that_is_not_there_is_reported_in_one_line(url: str) -> None:
    missing = url.replace("@/", "@/no_")

    with pytest.raises(MigrationError, match=r'database "no_.*" does not exist') as caught:
        await migrate(missing)

    assert "\n" not in str(caught.value)


async def test_a_refused_connection_is_reported_without_the_password() -> None:
    with pytest.raises(MigrationError, match=r"PostgreSQL 127\.0\.0\.1:1, database 'x'") as caught:
        await migrate("postgresql://user:secret@127.0.0.1:1/x?sslmode=disable")

    assert "secret" not in str(caught.value)


async def test_packaged_migrations_are_numbered_from_one_and_say_why() -> None:
    migrations = packaged("postgres")

    assert [migration.version for migration in migrations] == list(range(1, len(migrations) + 1))
    assert all(migration.sql.startswith("-- ") for migration in migrations)


async def test_a_trigger_only_notifies(pool: Pool) -> None:
    """A program that inserts a signal by plain SQL needs only the right to insert."""
    await run_postgres(pool)
    heard: asyncio.Queue[object] = asyncio.Queue()

    def hear(connection: object, process: int, channel: str, payload: object) -> None:
        heard.put_nowait(payload)

    async with pool.acquire() as connection:
        await connection.add_listener("runtara_signals", hear)
        await pool.execute("INSERT INTO instances (instance_id, tenant_id) VALUES ('i', 't')")
        await pool.execute("INSERT INTO pending_signals VALUES ('i', 'pause')")

        assert await asyncio.wait_for(heard.get(), 60) == "i"
        await connection.remove_listener("runtara_signals", hear)


async def test_opening_alone_migrates_nothing(url: str) -> None:
    """A program that only opens the database gets an error: what is missing, and what to do."""
    with pytest.raises(DatabaseError, match=r"lacks migration 001_create_schema: .*URL") as told:
        async with connect(url):
            pass
    async with connect(url, migrates=True) as persistence:
        await persistence.check()
    async with connect(url) as persistence:
        await persistence.check()

    assert "\n" not in str(told.value)


async def test_a_schema_of_a_newer_version_is_used_as_it_is(pool: Pool, url: str) -> None:
    """A program opens a database that has had migrations the program doesn't know."""
    newer = Migration(999, "999_add_a", "ALTER TABLE instances ADD COLUMN a int; CREATE TABLE a ()")
    await run_postgres(pool, [*packaged("postgres"), newer])

    for migrates in (False, True):
        async with connect(url, migrates=migrates) as persistence:
            await persistence.check()
