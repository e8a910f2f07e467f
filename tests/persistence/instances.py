"""Instances by plain SQL, many at once."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PAST = START - timedelta(hours=1)
LATER = START + timedelta(hours=1)


def text(moment: datetime) -> str:
    """Write a moment as the columns hold it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def run_sql(path: str, statement: str, rows: Iterable[tuple[object, ...]] = ((),)) -> None:
    """Carry out a statement for each row, in one transaction of a program like any other."""
    with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.executemany(statement, rows)


def ask_sql(path: str, query: str) -> list[tuple[object, ...]]:
    """Read rows as a program like any other."""
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        return connection.execute(query).fetchall()


def put_running(path: str, *instance_ids: str) -> None:
    """Insert instances of a tenant in their first run."""
    run_sql(
        path,
        "INSERT INTO instances (instance_id, tenant_id, status, run_epoch)"
        " VALUES (?, 't', 'running', 1)",
        ((instance_id,) for instance_id in instance_ids),
    )


def put_asleep(path: str, count: int, until: datetime, *, claimed_by: str | None = None) -> None:
    """Insert so many instances that sleep until then, under a claim or none."""
    claimed_until = None if claimed_by is None else text(LATER)
    run_sql(
        path,
        "INSERT INTO instances (instance_id, tenant_id, status, run_epoch, sleep_until,"
        " wake_claim_until, wake_claim_by) VALUES (?, 't', 'suspended', 1, ?, ?, ?)",
        ((f"i{number:05}", text(until), claimed_until, claimed_by) for number in range(count)),
    )


def put_finished(path: str, count: int) -> None:
    """Insert so many that are completed, each a minute after the one before."""
    run_sql(
        path,
        "INSERT INTO instances (instance_id, tenant_id, status, finished_at)"
        " VALUES (?, 't', 'completed', ?)",
        (
            (f"i{number:05}", text(PAST - timedelta(minutes=count - number)))
            for number in range(count)
        ),
    )
