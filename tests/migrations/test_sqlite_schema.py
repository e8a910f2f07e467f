"""The schema as other programs find it: names, defaults, constraints."""

import re

import aiosqlite
import pytest

from runtara_migrations.ledger import packaged
from runtara_migrations.sqlite import run_sqlite

TABLES = {
    "instances": """
        instance_id tenant_id definition_version status checkpoint_id attempt max_attempts
        created_at started_at finished_at sleep_until output error memory_peak_bytes
        cpu_usage_usec stderr input run_epoch last_activity_at wake_claim_until wake_claim_by
        workflow code_version parent_id launch_id waits blocked_signal_at image_id priority queue
        dedupe_key launch_after timeout_ms launch_count launch_sends_id ended_run lost_run crashes
        backoff_ms judged_checkpoint_id stop_at stop_reason env progress
    """,
    "checkpoints": """
        id instance_id checkpoint_id state created_at is_retry_attempt attempt_number
        error_message wake_at
    """,
    "instance_events": "id instance_id event_type checkpoint_id payload subtype created_at",
    "pending_signals": "instance_id signal_type payload created_at acknowledged_at",
    "pending_checkpoint_signals": "id instance_id checkpoint_id payload created_at",
    "images": """
        image_id tenant_id name description binary_path bundle_path runner_type created_at
        updated_at metadata version sha256 size_bytes is_current deleted_at upload_id problem
    """,
    "instance_images": "instance_id image_id tenant_id created_at env",
}
INSTANCE = "INSERT INTO instances (instance_id, tenant_id) VALUES ('i', 't')"


@pytest.fixture
async def schema(connection: aiosqlite.Connection) -> aiosqlite.Connection:
    await run_sqlite(connection)
    await connection.execute("PRAGMA foreign_keys = ON")
    await connection.execute(INSTANCE)
    return connection


@pytest.mark.parametrize("table", TABLES)
async def test_a_table_has_the_columns_people_query(
    schema: aiosqlite.Connection, table: str
) -> None:
    rows = await schema.execute_fetchall(f"SELECT name FROM pragma_table_info('{table}')")

    assert {name for (name,) in rows} == set(TABLES[table].split())


async def test_a_plain_insert_gets_the_defaults(schema: aiosqlite.Connection) -> None:
    [row] = await schema.execute_fetchall(
        "SELECT definition_version, status, attempt, max_attempts, run_epoch, created_at"
        " FROM instances"
    )

    assert tuple(row)[:-1] == (1, "pending", 1, 3, 0)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row[-1])


@pytest.mark.parametrize(
    "insert",
    [
        "checkpoints (instance_id, checkpoint_id, state) VALUES ('i', 'c', x'00')",
        "instance_events (instance_id, event_type) VALUES ('i', 'custom')",
        "pending_signals (instance_id, signal_type) VALUES ('i', 'cancel')",
        "pending_checkpoint_signals (instance_id, checkpoint_id) VALUES ('i', 'c')",
    ],
)
async def test_what_belongs_to_an_instance_goes_with_it(
    schema: aiosqlite.Connection, insert: str
) -> None:
    table = insert.split()[0]
    await schema.execute(f"INSERT INTO {insert}")
    [[created_at]] = await schema.execute_fetchall(f"SELECT created_at FROM {table}")

    await schema.execute("DELETE FROM instances")

    assert created_at.endswith("Z")
    assert await schema.execute_fetchall(f"SELECT 1 FROM {table}") == []


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        (
            "INSERT INTO instances (instance_id, tenant_id) VALUES ('', 't')",
            "instance_id_not_empty",
        ),
        ("UPDATE instances SET attempt = 0", "valid_attempt"),
        ("UPDATE instances SET attempt = 4", "valid_attempt"),
        ("UPDATE instances SET status = 'asleep'", "instance_status"),
        (
            "INSERT INTO instance_events (instance_id, event_type) VALUES ('i', 'ended')",
            "instance_event_type",
        ),
        (
            "INSERT INTO pending_signals (instance_id, signal_type) VALUES ('i', 'stop')",
            "signal_type",
        ),
        (INSTANCE, "UNIQUE constraint failed: instances.instance_id"),
        (
            "INSERT INTO checkpoints (instance_id, checkpoint_id, state)"
            " VALUES ('i', 'c', x''), ('i', 'c', x'')",
            "UNIQUE constraint failed: checkpoints.instance_id, checkpoints.checkpoint_id",
        ),
        (
            "INSERT INTO pending_checkpoint_signals (instance_id, checkpoint_id)"
            " VALUES ('i', 'c'), ('i', 'c')",
            "UNIQUE constraint failed: pending_checkpoint_signals",
        ),
        (
            "INSERT INTO checkpoints (instance_id, checkpoint_id, state)"
            " VALUES ('unknown', 'c', x'')",
            "FOREIGN KEY",
        ),
    ],
)
async def test_what_makes_no_sense_is_refused(
    schema: aiosqlite.Connection, statement: str, constraint: str
) -> None:
    with pytest.raises(aiosqlite.IntegrityError, match=constraint):
        await schema.execute(statement)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("SELECT 1 FROM instances ORDER BY created_at DESC, instance_id", "_created"),
        (
            "SELECT 1 FROM instances WHERE tenant_id = ? ORDER BY created_at DESC, instance_id",
            "_tenant",
        ),
        (
            "SELECT 1 FROM instances WHERE status = ? ORDER BY created_at DESC, instance_id",
            "_status",
        ),
        (
            "SELECT 1 FROM instances INDEXED BY idx_instances_sleep_until"
            " WHERE status = 'suspended' AND sleep_until <= ?",
            "_sleep_until",
        ),
        ("SELECT 1 FROM instances WHERE finished_at < ? ORDER BY finished_at", "_finished"),
        (
            "SELECT instance_id, signal_type, created_at FROM pending_signals"
            " WHERE acknowledged_at IS NULL",
            "COVERING INDEX idx_pending_signals_unacknowledged",
        ),
        ("SELECT 1 FROM instances WHERE wake_claim_by = ?", "idx_instances_wake_claim"),
        (
            "SELECT 1 FROM checkpoints WHERE instance_id = ? AND id > ? ORDER BY id",
            "idx_checkpoints_instance ",
        ),
        (
            "SELECT 1 FROM instance_events WHERE instance_id = ? AND id > ? ORDER BY id",
            "idx_instance_events_instance ",
        ),
    ],
)
async def test_an_index_serves_each_path_without_sorting(
    schema: aiosqlite.Connection, query: str, index: str
) -> None:
    rows = await schema.execute_fetchall(f"EXPLAIN QUERY PLAN {query}", ["?"] * query.count("?"))
    [plan] = [detail for *_, detail in rows]

    assert index in f"{plan} "
    assert "INDEX" in plan


async def test_what_may_be_large_lies_behind_the_columns_that_were_there_when_it_moved(
    connection: aiosqlite.Connection,
) -> None:
    """The move keeps every value, and its type; migrations that only add come behind it."""
    first, *rest = packaged("sqlite")[:2]
    await run_sqlite(connection, [first])
    given = ("i", "t", "an error", "its stderr", b"\0given", b"\xffdone")
    await connection.execute(
        "INSERT INTO instances (instance_id, tenant_id, error, stderr, input, output)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        given,
    )

    await run_sqlite(connection, [first, *rest])

    columns = await connection.execute_fetchall("SELECT name FROM pragma_table_info('instances')")
    [row] = await connection.execute_fetchall(
        "SELECT instance_id, tenant_id, error, stderr, input, output FROM instances"
    )
    assert [name for (name,) in columns][-4:] == ["error", "stderr", "input", "output"]
    assert tuple(row) == given
