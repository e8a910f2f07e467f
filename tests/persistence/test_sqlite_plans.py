"""How SQLite finds what is asked for: by indexes, never by walking through a large table."""

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime

import pytest

from runtara_domain.model.launches import Offer
from runtara_persistence import queries
from runtara_persistence.sqlite import claiming
from runtara_persistence.sqlite.persistence import SqlitePersistence

SQLITE = "runtara_persistence.sqlite"
FILES = ("instances", "checkpoints", "events", "signals", "claims")
SHARED = (
    *("copying", "deleting", "forking", "instances", "intervening", "launches", "moves"),
    *("instance_views", "reopening"),
)
EVERY = [
    *((file, name) for file in FILES for name in queries.load(SQLITE, f"{file}.sql")),
    *((file, name) for file in SHARED for name in queries.shared(f"{file}.sql")),
]
WALKS = {
    *(("instances", "count.any"), ("instances", "count.blocked"), ("intervening", "tell")),
    *(("launches", "page"), ("instance_views", "holds")),
}
"""Statements that must read every row of an index or of a small table."""


@pytest.fixture
async def schema(persistence: SqlitePersistence, path: str) -> AsyncIterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as connection:
        yield connection


def plan(connection: sqlite3.Connection, file: str, name: str) -> list[str]:
    """Tell the steps SQLite will take for a query."""
    shared = queries.shared(f"{file}.sql") if file in SHARED else {}
    query = shared[name].sqlite if name in shared else queries.load(SQLITE, f"{file}.sql")[name]
    assert query is not None
    values = dict.fromkeys(re.findall(r":([a-z_]+)", query))
    return [detail for *_, detail in connection.execute(f"EXPLAIN QUERY PLAN {query}", values)]


@pytest.mark.parametrize(("file", "name"), EVERY)
async def test_no_table_is_walked_through(schema: sqlite3.Connection, file: str, name: str) -> None:
    """Every statement of the adapter, those not yet written too."""
    scans = [step for step in plan(schema, file, name) if step.startswith("SCAN")]

    few = re.compile(r"SCAN (due|unclaimed|json_each|CONSTANT ROW)\b")
    walked = [step for step in scans if not few.match(step)]
    assert (walked != []) is ((file, name) in WALKS)


@pytest.mark.parametrize(
    ("file", "name", "index"),
    [
        ("checkpoints", "page", "idx_checkpoints_instance (instance_id=? AND rowid>?)"),
        ("events", "page", "idx_instance_events_instance (instance_id=? AND rowid>?)"),
        ("instances", "page.any", "idx_instances_created (created_at<?)"),
        ("instances", "page.of_tenant", "idx_instances_tenant (tenant_id=? AND created_at<?)"),
        ("instances", "page.in_status", "idx_instances_status (status=? AND created_at<?)"),
        (
            "instances",
            "page.of_tenant_in_status",
            "idx_instances_status (status=? AND created_at<?)",
        ),
        ("instances", "page.of_workflow", "idx_instances_workflow (workflow=? AND created_at<?)"),
        ("instances", "page.blocked", "idx_instances_blocked (created_at<?)"),
        ("instances", "prune.find", "idx_instances_finished (finished_at<?)"),
    ],
)
async def test_a_page_is_read_in_order_from_its_first_row(
    schema: sqlite3.Connection, file: str, name: str, index: str
) -> None:
    """Nothing is sorted, so what comes before and after the page costs nothing."""
    found = "; ".join(plan(schema, file, name))

    assert index in found
    assert "TEMP B-TREE" not in found


@pytest.mark.parametrize(
    ("file", "name", "index"),
    [
        (
            "claims",
            "renew.take",
            "SEARCH instances USING INDEX sqlite_autoindex_instances_1",
        ),
        ("claims", "renew.bring_forward", "SEARCH instances USING INDEX sqlite_autoindex_inst"),
        ("claims", "release", "idx_instances_wake_claim (wake_claim_by=?)"),
        ("claims", "claim_due.find", "idx_instances_sleep_until (sleep_until<?)"),
        ("claims", "claim_due.find", "COVERING INDEX idx_pending_signals_unacknowledged"),
        ("signals", "watch.pending", "COVERING INDEX idx_pending_signals_unacknowledged"),
        ("signals", "watch.custom", "INTEGER PRIMARY KEY (rowid>?)"),
        ("instances", "inactive_since", "idx_instances_status (status=?)"),
        ("instances", "page.of_parent", "idx_instances_parent (parent_id=?)"),
        ("instances", "count.of_parent", "idx_instances_parent (parent_id=?)"),
        ("instances", "count.of_workflow", "idx_instances_workflow (workflow=?)"),
        ("instances", "count.of_tenant", "COVERING INDEX idx_instances_tenant"),
        ("instances", "count.in_status", "COVERING INDEX idx_instances_status"),
        ("instances", "count.of_tenant_in_status", "COVERING INDEX idx_instances_"),
    ],
)
async def test_a_search_walks_through_what_it_may_find(
    schema: sqlite3.Connection, file: str, name: str, index: str
) -> None:
    """The number of other rows doesn't matter."""
    assert index in "; ".join(plan(schema, file, name))


async def test_the_next_moment_is_read_from_the_ends_of_indexes(
    schema: sqlite3.Connection,
) -> None:
    """However many sleep, what is due next is found in a few hundred steps of SQLite's machine."""
    schema.execute(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100000)"
        " INSERT INTO instances (instance_id, tenant_id, status, sleep_until)"
        " SELECT 'i' || n, 't', 'suspended', strftime('%Y-%m-%dT%H:%M:%fZ', 'now', n || ' seconds')"
        " FROM n"
    )
    next_due = queries.load("runtara_persistence.sqlite", "claims.sql")["next_due"]
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    schema.set_progress_handler(step, 1)
    [moment] = schema.execute(next_due, {"at": "2026"}).fetchone()

    assert moment > "2026"
    assert 0 < steps < 500


async def test_a_claim_of_launches_and_a_renewal_read_ends_of_indexes(
    schema: sqlite3.Connection,
) -> None:
    """The number that sleep, back off, or wait in a full or held lane doesn't matter."""
    schema.executescript(
        """
        INSERT INTO images (image_id, tenant_id, name)
        VALUES ('a', 't', 'a'), ('full', 't', 'full'), ('held', 't', 'held');
        INSERT INTO limits (scope, tenant_id, name, max_concurrent)
        VALUES ('image', 't', 'full', 0);
        INSERT INTO holds VALUES ('image', 't', 'held', '', '2026-01-01');
        INSERT INTO environments VALUES (
            'e', 'environment', NULL, 'm', '', '', 9, '[]', '2026-01-01', '3000-01-01', 0, 0, NULL
        );
        WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 40000)
        INSERT INTO instances (
            instance_id, tenant_id, status, created_at, image_id, sleep_until, launch_after
        )
        SELECT
            'i' || n,
            't',
            CASE WHEN n % 4 = 0 THEN 'suspended' ELSE 'pending' END,
            '2026-01-01T00:00:00.000Z',
            CASE n % 4 WHEN 1 THEN 'full' WHEN 2 THEN 'held' ELSE 'a' END,
            CASE WHEN n % 4 = 0 THEN '2999-01-01T00:00:00.000Z' END,
            CASE WHEN n % 4 = 3 AND n > 100 THEN '2999-01-01T00:00:00.000Z' END
        FROM n;
        """
    )
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    offer = Offer(environment_id="e", can_run=lambda image: True)
    schema.set_progress_handler(step, 10)
    claims = claiming.claim(schema, offer, 5, datetime(2026, 2, 1, tzinfo=UTC))

    assert len(claims.assignments) == 5
    assert 0 < steps < 1000

    renew = queries.shared("environments.sql")["renew"].sqlite
    assert renew is not None
    steps = 0
    now = "2026-02-01T00:00:00.000Z"
    renewed = {"environment_id": "e", "now": now, "ttl": "+0 seconds", "clock_offset_ms": 0}
    silence = {"silence": "+120 seconds", "lost_silence": "+45 seconds"}
    cursor = schema.execute(renew, renewed | silence)
    names = [column[0] for column in cursor.description]
    moment = dict(zip(names, cursor.fetchone(), strict=True))["next_launchable_at"]

    assert moment == "2999-01-01T00:00:00.000Z"
    assert 0 < steps < 100
