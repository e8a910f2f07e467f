"""Fill a PostgreSQL database: a million instances and ten million checkpoints, or fewer."""

import time
from pathlib import Path

import asyncpg
from tests.support.postgres import PostgresServer

from runtara_migrations.migrate import migrate

_FILL = Path(__file__).with_name("large_database.sql")
_INDEXES = """
SELECT
    format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS drop,
    format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, definition) AS add
FROM pg_constraint, pg_get_constraintdef(oid) AS definition
WHERE contype = 'u' AND connamespace = 'public'::regnamespace
UNION ALL
SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
FROM pg_index
JOIN pg_class ON pg_class.oid = indrelid AND relnamespace = 'public'::regnamespace
WHERE indexrelid NOT IN (SELECT conindid FROM pg_constraint)
"""


async def filled(server: PostgresServer, instances: int) -> str:
    """Give the URL of a database with so many instances, filled unless it is there already."""
    name = f"filled_{instances}"
    if not server.execute(f"SELECT 1 FROM pg_database WHERE datname = '{name}'").strip():
        server.execute("DROP DATABASE IF EXISTS filling")
        server.execute("CREATE DATABASE filling")
        await _fill(server.url("filling"), instances)
        server.execute(f"ALTER DATABASE filling RENAME TO {name}")
    return server.url(name)


async def _fill(url: str, instances: int) -> None:
    began = time.monotonic()
    await migrate(url)
    connection = await asyncpg.connect(url)
    async with connection.transaction():
        indexes = await connection.fetch(_INDEXES)
        for drop, _ in indexes:
            await connection.execute(drop)
        await connection.execute(_FILL.read_text().replace("{count}", str(instances)))
        for _, add in indexes:
            await connection.execute(add)
    # As autovacuum leaves it.
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")
    await connection.close()
    print(f"filled with {instances:,} instances in {time.monotonic() - began:.0f} s", flush=True)
