"""
Bring a database up to date, by URL.

Each database's driver is imported where it is used: the other's would only cost time.
"""

import asyncio
import sqlite3

from runtara_migrations import location
from runtara_migrations.ledger import MigrationError
from runtara_migrations.location import PostgresLocation

_LOCK_TIMEOUT = 30.0
"""Seconds to wait for other programs that migrate, or use, the same database."""


async def migrate(url: str) -> tuple[str, ...]:
    """
    Bring the database up to date, and tell what was applied.

    A SQLite file and its folder are created if missing, a PostgreSQL database is not. Raises
    InvalidLocation for a URL it doesn't take, MigrationError when it could not be done.
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
        raise MigrationError(f"{place.shown}: it takes no writes: name the primary") from error
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
