"""The SQLite adapter through its ports: what it shares, what it promises, how it fails."""

import asyncio
import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import aiosqlite
import pytest
from tests.persistence.statements import Statements
from tests.support.clock import START

from runtara_domain.error import DatabaseError
from runtara_domain.model import Caller, CheckpointWrite, Registration, Saved
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import OPEN, WORKING
from runtara_migrations.migrate import migrate
from runtara_persistence.sqlite.checkpoints import SqliteCheckpoints
from runtara_persistence.sqlite.connection import set_up_writer
from runtara_persistence.sqlite.database import Database
from runtara_persistence.sqlite.persistence import SqlitePersistence

CALLERS = 64


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


async def register(persistence: Persistence, instance_id: str = "i") -> None:
    registration = Registration(instance_id, "t")
    await persistence.instances.register(registration, when=OPEN, at=START)


async def save(
    persistence: Persistence,
    checkpoint_id: str = "c",
    state: bytes = b"state",
    instance_id: str = "i",
) -> Saved:
    return await persistence.checkpoints.save(
        Caller(instance_id, 1), CheckpointWrite(checkpoint_id, state), when=WORKING, at=START
    )


def commits(path: Path) -> int:
    """Count the commits in the write-ahead log: its frames that tell the database's new size."""
    log = path.with_name(f"{path.name}-wal").read_bytes()
    [page_size] = struct.unpack_from(">I", log, 8)
    frames = range(32, len(log), 24 + page_size)
    return sum(struct.unpack_from(">I", log, frame + 4) != (0,) for frame in frames)


async def test_concurrent_callers_share_a_commit(path: Path) -> None:
    async with SqlitePersistence(str(path)) as persistence:
        for number in range(CALLERS):
            await register(persistence, f"i{number}")
        before = commits(path)

        saved = await asyncio.gather(
            *(save(persistence, instance_id=f"i{number}") for number in range(CALLERS))
        )

        assert commits(path) == before + 1
    assert all(outcome.kept is None for outcome in saved)


async def test_concurrent_callers_are_looked_up_together(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one statement, none of them waits for the event loop's thread once more."""
    statements = Statements()
    statements.watch(monkeypatch)
    async with SqlitePersistence(str(path)) as persistence:
        for number in range(CALLERS):
            await register(persistence, f"i{number}")
        statements.seen.clear()

        await asyncio.gather(
            *(save(persistence, instance_id=f"i{number}") for number in range(CALLERS))
        )

    assert len(statements.of("SELECT")) == 1
    assert len(statements.of("INSERT INTO checkpoints")) == CALLERS


async def test_finding_commits_nothing(path: Path) -> None:
    async with SqlitePersistence(str(path)) as persistence:
        await register(persistence)
        await save(persistence)
        before = commits(path)

        found = await save(persistence)

        assert found.kept == b"state"
        assert commits(path) == before


async def test_reads_go_on_while_another_process_holds_the_lock(path: Path) -> None:
    async with SqlitePersistence(str(path), lock_timeout=0.05) as persistence:
        await register(persistence)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")

            with pytest.raises(DatabaseError) as caught:
                await save(persistence)
            instance = await persistence.instances.get("i")

        assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
        assert str(caught.value) == (
            f"Failed to save a checkpoint in {path}: database is locked;"
            " another process holds it: find out which, or try again"
        )
        assert instance is not None
        assert (await save(persistence)).kept is None


async def test_a_full_disk_fails_what_does_not_fit_and_nothing_else(path: Path) -> None:
    database = Database(str(path), lock_timeout=1)
    checkpoints = SqliteCheckpoints(database)
    async with SqlitePersistence(str(path)) as persistence:
        await register(persistence)

    async with database.opened():
        await database.write("bound the file", lambda raw: raw.execute("PRAGMA max_page_count=40"))
        small, large, last = await asyncio.gather(
            *(
                checkpoints.save(
                    Caller("i", 1), CheckpointWrite(str(size), bytes(size)), when=WORKING, at=START
                )
                for size in [10, 1_000_000, 20]
            ),
            return_exceptions=True,
        )

        assert isinstance(small, Saved)
        assert isinstance(last, Saved)
        assert isinstance(large, DatabaseError)
        assert "database or disk is full; the disk is full: free space" in str(large)
        assert await checkpoints.get("i", "1000000") is None
        assert await checkpoints.get("i", "20") is not None


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + bytes(84)])
async def test_a_file_that_is_no_database_is_not_opened(path: Path, content: bytes) -> None:
    await asyncio.to_thread(path.write_bytes, content)

    with pytest.raises(DatabaseError, match=r"Failed to open the database in .*not a database"):
        async with SqlitePersistence(str(path)):
            pass

    assert await asyncio.to_thread(path.read_bytes) == content


async def test_a_rust_made_file_is_not_opened_nor_touched(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY)")
    before = await asyncio.to_thread(path.read_bytes)

    with pytest.raises(DatabaseError, match="made by the Rust server"):
        async with SqlitePersistence(str(path)):
            pass

    assert await asyncio.to_thread(path.read_bytes) == before


async def test_a_folder_in_place_of_the_file_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="unable to open database file; check that the path"):
        async with SqlitePersistence(str(tmp_path)):
            pass


async def test_a_folder_that_cannot_be_made_is_named(path: Path) -> None:
    await asyncio.to_thread(path.touch)

    with pytest.raises(DatabaseError, match=str(path)):
        async with SqlitePersistence(f"{path}/x.db"):
            pass


async def test_a_file_whose_journal_others_keep_from_changing_is_not_opened(path: Path) -> None:
    """The migration command leaves it with another journal; the first to open it changes that."""
    await migrate(f"sqlite:{path}")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM instances").fetchall()

        with pytest.raises(DatabaseError, match="another process holds it"):
            async with SqlitePersistence(str(path), lock_timeout=0.05):
                pass


async def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.db"

    async with SqlitePersistence(str(path)) as persistence:
        await register(persistence)

    assert await asyncio.to_thread(path.is_file)


async def test_a_database_that_does_not_write_ahead_is_refused() -> None:
    """SQLite takes another journal without a word, as it does in memory and on some networks."""
    async with aiosqlite.connect(":memory:") as connection:
        with pytest.raises(DatabaseError, match="journal_mode takes wal, but stays memory"):
            await set_up_writer(connection, "/network/x.db", 1)


async def test_durability_is_in_force(path: Path) -> None:
    database = Database(str(path), lock_timeout=1)

    async with database.opened():
        pragmas = await database.write("ask", durability)
        with pytest.raises(DatabaseError, match="readonly"):
            await database.read("write", lambda raw: raw.execute("DELETE FROM instances"))

    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def durability(connection: sqlite3.Connection) -> dict[str, object]:
    pragmas = ["journal_mode", "synchronous", "foreign_keys"]
    return {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas}


async def test_a_database_in_memory_lasts_as_long_as_it_is_open() -> None:
    persistence = SqlitePersistence(":memory:")
    async with persistence:
        await register(persistence)
        await asyncio.gather(*(save(persistence, str(number)) for number in range(8)))

        assert await persistence.checkpoints.get("i", "7") is not None

    async with persistence:
        assert await persistence.instances.get("i") is None


async def test_before_opening_and_after_closing_nothing_is_taken(path: Path) -> None:
    persistence = SqlitePersistence(str(path))
    with pytest.raises(DatabaseError, match="not open"):
        await save(persistence)

    async with persistence:
        await register(persistence)

    with pytest.raises(DatabaseError, match="not open"):
        await persistence.instances.get("i")


async def test_text_put_in_by_plain_sql_is_read_as_bytes(path: Path) -> None:
    async with SqlitePersistence(str(path)) as persistence:
        await register(persistence)
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("UPDATE instances SET output = 'out', input = 'in'")
            other.execute(
                "INSERT INTO pending_signals (instance_id, signal_type, payload)"
                " VALUES ('i', 'pause', 'why')"
            )
            other.execute(
                "INSERT INTO checkpoints (instance_id, checkpoint_id, state)"
                " VALUES ('i', 'c', 'text')"
            )
            other.execute(
                "INSERT INTO pending_checkpoint_signals VALUES (1, 'i', 'c', '2026', 'x')"
            )

        saved = await save(persistence)
        instance = await persistence.instances.get("i")

    assert (saved.kept, saved.custom_signal) == (b"text", b"x")
    assert saved.signal is not None
    assert saved.signal.payload == b"why"
    assert instance is not None
    assert instance.output == b"out"
