"""
Brings the database of a URL up to date.

A driver is imported only for its own kind of database, because the import takes time.
"""

import asyncio
import sqlite3

from runtara_migrations import location
from runtara_migrations.ledger import MigrationError
from runtara_migrations.location import PostgresLocation

_LOCK_TIMEOUT = 30.0
"""Seconds to wait for locks of other programs that migrate or use the same SQLite file."""


async def migrate(url: str) -> tuple[str, ...]:
    """
    Bring the database up to date, and return the names of the applied migrations.

    A missing SQLite file and its folder are created, a missing PostgreSQL database is not. Raises
    InvalidLocation for an unusable URL, and MigrationError if the database can't be opened or a
    migration fails.
    """
    place = location.parse(url)
    if isinstance(place, PostgresLocation):
        return await _migrate_postgres(place)
    return await _migrate_sqlite(place.path)


async def _migrate_postgres(place: PostgresLocation) -> tuple[str, ...]:
    try:
        import asyncpg
        from asyncpg.connect_utils import SessionAttribute
    except ModuleNotFoundError as error:
        raise MigrationError(
            f"{place.shown}: PostgreSQL needs the driver asyncpg, which is not installed:"
            " pip install 'runtara-migrations[postgres]'"
        ) from error

    from runtara_migrations.postgres import in_one_line, run_postgres

    try:
        async with asyncpg.create_pool(
            place.url, min_size=1, max_size=1, target_session_attrs=SessionAttribute.read_write
        ) as pool:
            return await run_postgres(pool)
    except asyncpg.TargetServerAttributeNotMatched as error:
        raise MigrationError(
            f"{place.shown}: this server accepts no writes; name the primary in the URL"
        ) from error
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise MigrationError(f"{place.shown}: {in_one_line(error)}") from error


async def _migrate_sqlite(path: str) -> tuple[str, ...]:
    import aiosqlite

    from runtara_migrations.sqlite import run_sqlite

    try:
        await asyncio.to_thread(location.create_missing, path)
        async with aiosqlite.connect(
            path, isolation_level=None, timeout=_LOCK_TIMEOUT
        ) as connection:
            return await run_sqlite(connection)
    except (OSError, sqlite3.Error) as error:
        raise MigrationError(f"{path}: {error}") from error
