"""Statements use the indexes meant for them, with the planner's default settings."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from tests.support import postgres

from runtara_domain.model.stored_launches import LaunchFilter
from runtara_persistence.connect import connect
from runtara_persistence.postgres.connection import SETTINGS
from runtara_persistence.queries import load, shared

# Small, but of the shape that matters: most instances are finished, a few asleep or running.
FILL = """
INSERT INTO instances (
    instance_id, tenant_id, status, created_at, finished_at, sleep_until, wake_claim_by
)
SELECT
    'i' || n,
    't' || n % 50,
    (
        CASE n % 100 WHEN 0 THEN 'suspended' WHEN 1 THEN 'running' ELSE 'completed' END
    )::instance_status,
    now() - n * interval '1 second',
    CASE WHEN n % 100 > 1 THEN now() END,
    CASE WHEN n % 200 = 0 THEN now() + n * interval '1 second' END,
    CASE WHEN n % 200 = 0 THEN 'owner' || n % 7 END
FROM generate_series(1, 10000) AS n;
INSERT INTO checkpoints (instance_id, checkpoint_id, state)
SELECT 'i' || n % 10000 + 1, 'c' || n, 'x' FROM generate_series(1, 50000) AS n;
INSERT INTO instance_events (instance_id, event_type)
SELECT 'i' || n % 10000 + 1, 'started' FROM generate_series(1, 20000) AS n;
INSERT INTO pending_signals (instance_id, signal_type, acknowledged_at)
SELECT 'i' || n, 'pause', now() FROM generate_series(1, 10000) AS n;
INSERT INTO pending_checkpoint_signals (instance_id, checkpoint_id)
SELECT 'i' || n % 10000 + 1, 'c' || n FROM generate_series(1, 20000) AS n;
ANALYZE;
"""
SCANS = "SELECT coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = 'launches'"
READ = """
SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)
FROM pg_stat_user_tables
WHERE relname = 'launches'
"""
TABLES = ("instances", "checkpoints", "instance_events", "pending")
INDEXES = {
    "saving": {
        "save.alone": "checkpoints_instance_id_checkpoint_id_key",
        "save.unless_held": "checkpoints_instance_id_checkpoint_id_key",
        "save.together": "checkpoints_instance_id_checkpoint_id_key",
    },
    "starting": {"start": "checkpoints_instance_id_checkpoint_id_key"},
    "checkpoints": {
        "get": "checkpoints_instance_id_checkpoint_id_key",
        "sleep": "instances_pkey",
        "record_retry": "instances_pkey",
        "page": "idx_checkpoints_instance",
    },
    "claims": {
        "claim_due": "idx_instances_due",
        "next_due": "idx_instances_due",
        "renew": "instances_pkey",
        "release": "instances_pkey",
        "wake": "instances_pkey",
    },
    "events": {
        "append": "instances_pkey",
        "end": "instances_pkey",
        "suspend": "instances_pkey",
        "page": "idx_instance_events_instance",
        "count": "idx_instance_events_instance",
    },
    "instances": {
        "register": "instances_pkey",
        "mark_active": "instances_pkey",
        "finish": "instances_pkey",
        "prune": "idx_instances_finished",
        "page.any": "idx_instances_created",
        "page.of_tenant": "idx_instances_tenant",
        "page.in_status": "idx_instances_status",
        "page.of_tenant_in_status": "idx_instances_tenant_status",
        "page.of_workflow": "idx_instances_workflow",
        "page.blocked": "idx_instances_blocked",
        "count.of_parent": "idx_instances_parent",
    },
    "signals": {
        "pending": "pending_checkpoint_signals_instance_id_checkpoint_id_key",
        "acknowledge": "instances_pkey",
        "send": "instances_pkey",
        "send_custom": "instances_pkey",
    },
}

SHARED_INDEXES = {
    "instances": {"run_state": "instances_pkey", "inactive_since": "idx_instances_status"},
    "reopening": {
        "children": "idx_instances_parent",
        "set_aside.attempts": "idx_checkpoints_retry_attempts",
    },
}


@pytest.fixture
async def connection() -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    with postgres.migrated_database() as url:
        connection = await asyncpg.connect(url, server_settings=dict(SETTINGS))
        await connection.execute(FILL)
        yield connection
        await connection.close()


async def plan(connection: "asyncpg.Connection[asyncpg.Record]", query: str) -> str:
    """The plan for values yet unknown, as a prepared statement has it."""
    parameters = (await connection.prepare(query)).get_parameters()
    await connection.execute(f"PREPARE explained AS {query}")
    nulls = ", ".join(["NULL"] * len(parameters))
    rows = await connection.fetch(f"EXPLAIN EXECUTE explained({nulls})")
    await connection.execute("DEALLOCATE explained")
    return "\n".join(line for (line,) in rows)


async def test_no_hot_statement_reads_a_table_through(
    connection: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    for noun, expected in INDEXES.items():
        queries = load("runtara_persistence.postgres", f"{noun}.sql")
        for name, index in expected.items():
            explained = await plan(connection, queries[name])

            assert index in explained, f"{noun} {name}\n{explained}"
            assert not any(f"Seq Scan on {table}" in explained for table in TABLES), explained
            is_list = name.startswith("page")
            assert not (is_list and "Sort" in explained), f"{noun} {name}\n{explained}"
    for file, names in SHARED_INDEXES.items():
        for name, index in names.items():
            query = shared(f"{file}.sql")[name].postgres
            assert query is not None
            explained = await plan(connection, query.text)

            assert index in explained, f"{file} {name}\n{explained}"
            assert not any(f"Seq Scan on {table}" in explained for table in TABLES), explained


async def test_a_claim_reads_no_more_than_it_takes(
    connection: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    """The number of due instances doesn't matter."""
    await connection.execute(
        "UPDATE instances SET status = 'suspended', sleep_until = created_at, finished_at = NULL;"
        "ANALYZE instances"
    )
    claim_due = load("runtara_persistence.postgres", "claims.sql")["claim_due"]
    await connection.execute(f"PREPARE claiming AS {claim_due}")

    [(explained,)] = await connection.fetch(
        "EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE claiming(now(), 7, now(), 'me')"
    )

    [scan] = (
        node
        for node in nodes(json.loads(explained)[0]["Plan"])
        if node.get("Index Name") == "idx_instances_due"
    )
    assert scan["Actual Rows"] == 7


async def test_a_claim_looks_at_what_was_given_back_by_its_own_index(
    connection: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    """Otherwise it would go through all sleeping instances."""
    await connection.execute(
        "UPDATE instances SET status = 'suspended', sleep_until = now() + interval '1 day',"
        " finished_at = NULL; ANALYZE instances"
    )
    claim_due = load("runtara_persistence.postgres", "claims.sql")["claim_due"]

    assert "idx_instances_given_back" in await plan(connection, claim_due)


async def test_the_next_moment_is_the_first_of_an_index(
    connection: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    """However many sleep, what is due next is one row of the index of what is due."""
    await connection.execute(
        "UPDATE instances SET status = 'suspended', sleep_until = now() + interval '1 day',"
        " finished_at = NULL; ANALYZE instances"
    )
    next_due = load("runtara_persistence.postgres", "claims.sql")["next_due"]
    await connection.execute(f"PREPARE next_due AS {next_due}")

    [(explained,)] = await connection.fetch(
        "EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE next_due(now())"
    )

    scans = {
        node["Index Name"]: node["Actual Rows"]
        for node in nodes(json.loads(explained)[0]["Plan"])
        if "Index Name" in node
    }
    assert scans["idx_instances_due"] == 1
    assert scans["idx_instances_given_back"] == 0


async def test_a_claim_of_launches_and_a_renewal_read_ends_of_indexes(
    connection: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    """The number of sleeping or backing-off instances of a lane doesn't matter."""
    await connection.execute(
        "UPDATE instances SET status = 'suspended', sleep_until = now() + interval '1 day',"
        " finished_at = NULL, image_id = 'image', tenant_id = 't'; ANALYZE instances"
    )
    claiming = load("runtara_persistence.postgres", "claiming.sql")
    renew = shared("environments.sql")["renew"].postgres
    assert renew is not None
    for name in ("lanes", "find_and_take"):
        await connection.execute(f"PREPARE {name} AS {claiming[name]}")
    await connection.execute(f"PREPARE renew AS {renew.text}")

    given = {
        "environment_id": "'e'",
        "ttl": "interval '30 s'",
        "clock_offset_ms": "0",
        "lost_silence": "interval '45 s'",
        "silence": "interval '120 s'",
    }
    renewed = f"renew ({', '.join(given[name] for name in renew.names)})"
    claimed = "find_and_take ('e', now(), '45 s', '120 s', 't', '{flow}', 9, 'inline')"
    for asked in ("lanes (now())", claimed, renewed):
        [(explained,)] = await connection.fetch(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE {asked}")
        scans = [
            node
            for node in nodes(json.loads(explained)[0]["Plan"])
            if node.get("Relation Name") == "instances" and "Scan" in node["Node Type"]
        ]
        assert scans
        for node in scans:
            assert "Index Name" in node, node
            assert node["Actual Rows"] * node["Actual Loops"] <= 2
            assert node.get("Rows Removed by Filter", 0) <= 2


async def test_launches_of_an_instance_are_found_without_reading_the_others(
    connection: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    """The number of open and newer launches doesn't matter."""
    await connection.execute(
        "INSERT INTO environments (environment_id, kind, machine, boot_id, version, capacity,"
        " workflows, started_at, lease_until)"
        " VALUES ('here', 'environment', 'm', 'b', '1', 9, '[]', now(), now());"
        "INSERT INTO launches (launch_id, instance_id, number, environment_id, tenant_id,"
        " created_at) SELECT 'l' || instance_id, instance_id, 1, 'here', tenant_id, created_at"
        " FROM instances; ANALYZE launches"
    )
    # The database has served other tests: their scans and reads are in its statistics.
    await connection.execute("SELECT pg_stat_force_next_flush()")
    scans, read = await connection.fetchval(SCANS), await connection.fetchval(READ)
    url = await connection.fetchval("SELECT current_setting('unix_socket_directories')")
    database = await connection.fetchval("SELECT current_database()")
    async with connect(f"postgresql://postgres@/{database}?host={url}") as persistence:
        found = await persistence.launches.page(LaunchFilter("i5000"))
        view = await persistence.launches.view("i5000", at=datetime.now(UTC))
    async with asyncio.timeout(20):
        # The scans are counted once the connection's process has ended.
        is_counted = False
        while not is_counted:
            await asyncio.sleep(0.02)
            is_counted = await connection.fetchval(SCANS) > scans

    assert ([one.launch_id for one in found], view is not None) == (["li5000"], True)
    assert await connection.fetchval(READ) - read <= 2


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


LISTS: list[tuple[dict[str, str], tuple[str, ...]]] = [
    ({}, ("idx_instances_created",)),
    ({"tenant_id": "t1"}, ("idx_instances_tenant",)),
    ({"status": "running"}, ("idx_instances_status",)),
    ({"error": "needle"}, ("idx_instances_error",)),
    ({"blocked": "true"}, ("idx_instances_blocked",)),
    ({"since": "2026-01-01"}, ("idx_instances_created",)),
    ({"workflow": "rare"}, ("idx_instances_workflow", "idx_instances_unnamed")),
]


async def test_lists_for_operators_go_along_an_index(
    connection: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    """A page begins where the one before has ended."""
    await connection.execute(
        "UPDATE instances SET workflow = 'w' || n % 50 FROM generate_series(10, 10000) AS n"
        " WHERE instance_id = 'i' || n;"
        "UPDATE instances SET error = 'broken' WHERE tenant_id = 't4'"
    )
    await connection.execute("VACUUM ANALYZE instances")
    page = shared("instance_lists.sql")["page.created_at_desc"].postgres
    assert page is not None
    await connection.execute("SET plan_cache_mode = force_custom_plan")
    # Of so few rows a scan costs about as much: without this the statistics of the day decide.
    await connection.execute("SET enable_seqscan = off")
    await connection.execute(f"PREPARE explained AS {page.text}")
    names = ("tenant_id", "status", "", "", "workflow", "", "", "error", "blocked", "since")

    for asked, indexes in LISTS:
        values = [f"'{asked[name]}'" if name in asked else "NULL" for name in names]
        given = ", ".join([*values, *["NULL"] * 3, "now()", "'i5'", "50", "0"])
        rows = await connection.fetch(f"EXPLAIN EXECUTE explained({given})")
        explained = "\n".join(line for (line,) in rows)

        assert "Seq Scan on instances" not in explained, explained
        assert all(index in explained for index in indexes), explained
        assert "(created_at <= '" in explained, explained


async def test_a_search_in_errors_reads_only_instances_with_an_error(
    connection: "asyncpg.Connection[asyncpg.Record]",
) -> None:
    """No index finds a part of a text; healthy instances, however many, cost nothing."""
    await connection.execute("UPDATE instances SET error = 'broken' WHERE tenant_id = 't4'")
    await connection.execute("VACUUM ANALYZE instances")
    with_an_error = await connection.fetchval("SELECT count(error) FROM instances")
    queries = shared("instance_lists.sql")
    await connection.execute("SET plan_cache_mode = force_custom_plan")
    for status in ("NULL", "'failed'"):
        given = f"NULL, {status}, NULL, NULL, NULL, NULL, NULL, 'needle', NULL, NULL, NULL"
        for name, more in (("page.created_at_desc", "NULL, NULL, 50, 0"), ("count", "50")):
            query = queries[name].postgres
            assert query is not None
            await connection.execute(f"PREPARE searched AS {query.text}")
            [(explained,)] = await connection.fetch(
                f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE searched({given}, NULL, NULL, {more})"
            )
            await connection.execute("DEALLOCATE searched")
            read = [
                node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
                for node in nodes(json.loads(explained)[0]["Plan"])
                if node.get("Relation Name") == "instances" and "Scan" in node["Node Type"]
            ]
            assert read, explained
            assert sum(read) <= with_an_error < 5000, (name, status, explained)
