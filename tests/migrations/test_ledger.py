"""What a database has had must be what this program would give it."""

from pathlib import Path

import aiosqlite
import pytest

from runtara_migrations.ledger import Migration, MigrationError, packaged, read_folder
from runtara_migrations.sqlite import run_sqlite

FIRST = Migration(1, "001_create_a", "CREATE TABLE a (x);")
SECOND = Migration(2, "002_create_b", "CREATE TABLE b (x);\nINSERT INTO b VALUES (';');\n-- done")
THIRD = Migration(3, "003_create_c", "CREATE TABLE c (x)")


async def tables(connection: aiosqlite.Connection) -> list[str]:
    rows = await connection.execute_fetchall("SELECT name FROM sqlite_master ORDER BY name")
    return [name for (name,) in rows]


async def test_migrations_are_applied_once_in_order(connection: aiosqlite.Connection) -> None:
    first = await run_sqlite(connection, [FIRST])
    rest = await run_sqlite(connection, [FIRST, SECOND, THIRD])
    again = await run_sqlite(connection, [FIRST, SECOND, THIRD])

    assert first == ("001_create_a",)
    assert rest == ("002_create_b", "003_create_c")
    assert again == ()
    assert await tables(connection) == ["a", "b", "c", "runtara_migrations"]


async def test_the_ledger_keeps_name_checksum_and_time(connection: aiosqlite.Connection) -> None:
    await run_sqlite(connection, [FIRST])

    [[name, checksum, applied_at]] = await connection.execute_fetchall(
        "SELECT name, checksum, applied_at FROM runtara_migrations"
    )
    assert name == "001_create_a"
    assert checksum == FIRST.entry.checksum
    assert len(checksum) == 64
    assert len(applied_at) == len("2026-01-02T03:04:05.678Z")


@pytest.mark.parametrize(
    "known",
    [
        [Migration(1, "001_create_a", "CREATE TABLE a (x, y);"), SECOND],
        [Migration(1, "001_create_aa", "CREATE TABLE a (x);"), SECOND],
    ],
    ids=["edited", "renamed"],
)
async def test_an_edited_file_is_named(
    connection: aiosqlite.Connection, known: list[Migration]
) -> None:
    await run_sqlite(connection, [FIRST])

    with pytest.raises(MigrationError, match=f"{known[0].name} .* edited or renamed"):
        await run_sqlite(connection, known)

    assert "b" not in await tables(connection)


async def test_a_missing_file_is_named(connection: aiosqlite.Connection) -> None:
    await run_sqlite(connection, [FIRST, SECOND, THIRD])

    with pytest.raises(MigrationError, match=r"002_create_b was applied.* its file is missing"):
        await run_sqlite(connection, [FIRST, THIRD])


async def test_a_newer_database_is_taken_as_it_is(connection: aiosqlite.Connection) -> None:
    """A program accepts migrations beyond the newest it knows, and applies nothing."""
    await run_sqlite(connection, [FIRST, SECOND])

    assert await run_sqlite(connection, [FIRST]) == ()
    assert await tables(connection) == ["a", "b", "runtara_migrations"]


async def test_a_newer_database_is_still_checked(connection: aiosqlite.Connection) -> None:
    """A program refuses a newer database that lacks a migration the program knows."""
    await run_sqlite(connection, [FIRST, THIRD])

    with pytest.raises(MigrationError, match="002_create_b was never applied"):
        await run_sqlite(connection, [FIRST, SECOND])


async def test_a_file_added_out_of_order_is_named(connection: aiosqlite.Connection) -> None:
    await run_sqlite(connection, [FIRST, THIRD])

    with pytest.raises(MigrationError, match="002_create_b was never applied"):
        await run_sqlite(connection, [FIRST, SECOND, THIRD])


async def test_a_failing_migration_leaves_nothing_of_itself(
    connection: aiosqlite.Connection,
) -> None:
    broken = Migration(2, "002_break", "CREATE TABLE b (x);\nCREATE TABLE a (x);")

    with pytest.raises(MigrationError, match="002_break failed: table a already exists"):
        await run_sqlite(connection, [FIRST, broken])

    assert await tables(connection) == ["a", "runtara_migrations"]
    assert await run_sqlite(connection, [FIRST, SECOND]) == ("002_create_b",)


async def test_a_full_disk_leaves_nothing_of_a_migration(
    connection: aiosqlite.Connection,
) -> None:
    large = Migration(2, "002_fill_a", "INSERT INTO a VALUES (zeroblob(1000000));")
    await connection.execute_fetchall("PRAGMA max_page_count = 20")

    with pytest.raises(MigrationError, match="002_fill_a failed: database or disk is full"):
        await run_sqlite(connection, [FIRST, large])

    assert await tables(connection) == ["a", "runtara_migrations"]
    assert await connection.execute_fetchall("SELECT * FROM a") == []


async def test_a_trigger_is_one_statement(connection: aiosqlite.Connection) -> None:
    body = "BEGIN\n  INSERT INTO a VALUES (1);\n  DELETE FROM a WHERE x = 1;\nEND;"
    trigger = Migration(2, "002_add_trigger", f"CREATE TRIGGER t AFTER UPDATE ON a {body}")

    await run_sqlite(connection, [FIRST, trigger])

    assert "t" in await tables(connection)


def test_a_folder_is_read_in_order_of_number(tmp_path: Path) -> None:
    for name in ["010_c.sql", "002_b.sql", "001_a.sql"]:
        (tmp_path / name).write_text(f"-- {name}")

    migrations = read_folder(tmp_path)

    assert [migration.name for migration in migrations] == ["001_a", "002_b", "010_c"]
    assert migrations[2] == Migration(10, "010_c", "-- 010_c.sql")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["001_a.sql", "notes.txt"], "notes.txt: the name takes"),
        (["1_a.sql"], "1_a.sql: the name takes"),
        (["001_a.sql", "001_b.sql"], "001_a and 001_b.sql have the same number"),
    ],
)
def test_a_folder_in_disorder_is_refused(tmp_path: Path, names: list[str], message: str) -> None:
    for name in names:
        (tmp_path / name).touch()

    with pytest.raises(MigrationError, match=message):
        read_folder(tmp_path)


def test_packaged_migrations_are_numbered_from_one_and_say_why() -> None:
    migrations = packaged("sqlite")

    assert [migration.version for migration in migrations] == list(range(1, len(migrations) + 1))
    assert all(migration.sql.startswith("-- ") for migration in migrations)
