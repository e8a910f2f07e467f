"""The checks, on a database; nothing is written."""

import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import asyncpg

from runtara_cli.auditing.checks import CHECKS, KEPT_BY_KEYS, Check
from runtara_domain.record import record
from runtara_domain.values import MAX_SLEEP
from runtara_migrations.location import InvalidLocation, PostgresLocation, parse
from runtara_sdk.errors import ConfigurationError, ConnectionFailed

_EXAMPLES = 20
_OF_INSTANCES = [check for check in CHECKS if check.condition]
_KEYS = """
SELECT conrelid::regclass::text FROM pg_constraint
WHERE contype = 'f' AND confrelid = 'instances'::regclass AND convalidated
"""


@record
class Finding:
    """The result of a check: the number of rows found, and some of their ids."""

    check: str
    count: int
    ids: tuple[str, ...]
    problem: str
    remedy: str


async def audit(database_url: str, now: datetime) -> list[Finding]:
    """
    Execute every check, and return the findings.

    Raises ConfigurationError for an unusable URL, ConnectionFailed if the database can't be read,
    or lacks the tables.
    """
    try:
        place = parse(database_url)
    except InvalidLocation as error:
        raise ConfigurationError(f"--database-url: {error}") from error
    if not isinstance(place, PostgresLocation):
        return _on_sqlite(place.path, now)
    try:
        async with _connected(place.url) as connection:
            return await _on_postgres(connection, now)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise ConnectionFailed(f"the database can't be audited: {error}") from error


def _on_sqlite(path: str, now: datetime) -> list[Finding]:
    def literal(moment: datetime) -> str:
        return f"'{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}'"

    words = _words(now, literal) | {
        "yes": "1",
        "no": "0",
        "created": "strftime('%Y-%m-%dT%H:%M:%fZ', i.created_at, '-1 hour')",
    }
    found = []
    try:
        with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)) as connection:
            [counts] = connection.execute(_counting(words)).fetchall()
            for check in _left(counts):
                sql = _counted(check, words)
                found += _finding(check, connection.execute(sql).fetchall())
    except sqlite3.Error as error:
        raise ConnectionFailed(f"the database {path} can't be audited: {error}") from error
    return found


async def _on_postgres(connection: Any, now: datetime) -> list[Finding]:
    def literal(moment: datetime) -> str:
        return f"'{moment.isoformat()}'::timestamptz"

    words = _words(now, literal) | {
        "yes": "true",
        "no": "false",
        "created": "i.created_at - interval '1 hour'",
    }
    keyed = {f"orphans_in_{table}" for (table,) in await connection.fetch(_KEYS)}
    found = []
    [counts] = await connection.fetch(_counting(words))
    for check in _left(counts):
        if check.name not in keyed & KEPT_BY_KEYS:
            rows = await connection.fetch(_counted(check, words))
            found += _finding(check, [tuple(row) for row in rows])
    return found


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def _words(now: datetime, literal: Any) -> dict[str, str]:
    moments = {
        "now": now,
        "soon": now + timedelta(hours=1),
        "late": now - timedelta(minutes=5),
        "far": now + MAX_SLEEP + timedelta(days=1),
    }
    return {name: literal(moment) for name, moment in moments.items()}


def _counting(words: dict[str, str]) -> str:
    """Count in one scan the rows that each check of instances finds; mostly there are none."""
    counts = [f"count(*) FILTER (WHERE {check.condition})" for check in _OF_INSTANCES]
    return f"SELECT {', '.join(counts)} FROM instances AS i".format(**words)


def _left(counts: Iterable[int]) -> list[Check]:
    """Return the checks that must still be executed to get their rows."""
    sound = {check.name for check, count in zip(_OF_INSTANCES, counts, strict=True) if not count}
    return [check for check in CHECKS if check.name not in sound]


def _counted(check: Check, words: dict[str, str]) -> str:
    """Return a statement for ids that has their number in each row."""
    select = check.select.format(**words)
    return (
        f"SELECT found.id, count(*) OVER () FROM (SELECT DISTINCT * FROM ({select}) AS made (id))"
        f" AS found ORDER BY 1 LIMIT {_EXAMPLES}"
        if "timestamptz" in words["now"]
        else f"WITH made (id) AS ({select}), found AS (SELECT DISTINCT id FROM made)"
        f" SELECT id, count(*) OVER () FROM found ORDER BY 1 LIMIT {_EXAMPLES}"
    )


def _finding(check: Check, rows: Sequence[tuple[Any, ...]]) -> list[Finding]:
    if not rows:
        return []
    ids = tuple(str(row[0]) for row in rows)
    return [Finding(check.name, int(rows[0][1]), ids, check.problem, check.remedy)]
