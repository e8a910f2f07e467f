"""A database made by the Rust server is taken over as it is."""

from collections.abc import Iterator

import asyncpg
import pytest
from tests.contract.launching import hold_lease, offer_all, put_image, start
from tests.migrations import rust_made
from tests.support import postgres
from tests.support.clock import START

from runtara_domain.model import Caller, CheckpointWrite, Claim, InstanceFilter, Registration
from runtara_domain.model.images import ImageFilter
from runtara_domain.model.stored_images import RunnerType
from runtara_domain.status import OPEN, WORKING, InstanceStatus, SignalType
from runtara_migrations.ledger import MigrationError
from runtara_migrations.migrate import migrate
from runtara_persistence.postgres.persistence import PostgresPersistence

FIVE = dict.fromkeys(range(1, 6), True)
ENVIRONMENT = {20250101000000: True, 20250105000000: True}
TABLES = (
    "instances",
    "checkpoints",
    "instance_events",
    "pending_signals",
    "pending_checkpoint_signals",
)
OURS = (
    "{run_epoch, last_activity_at, wake_claim_until, wake_claim_by, wake_at, workflow,"
    " code_version, parent_id, launch_id, waits, blocked_signal_at, image_id, priority, queue,"
    " dedupe_key, launch_after, timeout_ms, launch_count, launch_sends_id, ended_run, lost_run,"
    " crashes, backoff_ms, judged_checkpoint_id, stop_at, stop_reason, env, progress}"
)
OURS_OF_IMAGES = "{version, sha256, size_bytes, is_current, deleted_at, upload_id, problem}"


@pytest.fixture
def url() -> Iterator[str]:
    with postgres.empty_database() as url:
        yield url


async def make(url: str, versions: dict[int, bool]) -> None:
    connection = await asyncpg.connect(url)
    await rust_made.make(connection, versions)
    await connection.close()


async def fetch(url: str, query: str) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(query)
    await connection.close()
    return [tuple(row) for row in rows]


async def contents(url: str) -> dict[str, list[tuple[object, ...]]]:
    """All there is in the columns the Rust server knows."""
    return {
        table: await fetch(
            url, f"SELECT to_jsonb(t) - '{OURS}'::text[] FROM {table} AS t ORDER BY 1"
        )
        for table in (*TABLES, "_sqlx_migrations")
    }


async def of_the_environment(url: str) -> dict[str, list[tuple[object, ...]]]:
    """All there is in the tables of a Rust environment, as far as it knows them."""
    return {
        table: await fetch(
            url, f"SELECT to_jsonb(t) - '{OURS_OF_IMAGES}'::text[] FROM {table} AS t ORDER BY 1"
        )
        for table in rust_made.ENVIRONMENT_TABLES
    }


@pytest.mark.parametrize("ledger", [FIVE, FIVE | ENVIRONMENT], ids=["alone", "environment"])
async def test_no_row_is_changed_or_lost(url: str, ledger: dict[int, bool]) -> None:
    await make(url, ledger)
    before = await contents(url)

    applied = await migrate(url)

    assert "001_create_schema" not in applied
    assert applied
    assert await contents(url) == before
    assert await migrate(url) == ()


async def test_all_of_it_works_afterwards(url: str) -> None:
    await make(url, FIVE)

    async with PostgresPersistence(url, migrates=True) as adopted:
        page = await adopted.instances.page(InstanceFilter("t"))
        pending = await adopted.signals.pending(Caller("running"), ["c"])
        found = await adopted.checkpoints.save(
            Caller("running"), CheckpointWrite("c", b"second"), when=WORKING, at=START
        )
        attempts = await adopted.checkpoints.page("running")
        due = await adopted.claims.claim_due(Claim("me", START), limit=10, at=START)
        resumed = await adopted.instances.register(Registration("paused", "t"), when=OPEN, at=START)
        refused = await adopted.instances.register(Registration("failed", "t"), when=OPEN, at=START)

    assert {summary.status for summary in page} == set(InstanceStatus)
    assert pending.signal is not None
    assert (pending.signal.type, pending.custom_signals) == (SignalType.PAUSE, {"c": b"sent"})
    assert found.kept == b"first"
    assert [entry.failed_attempts for entry in attempts.entries] == [1]
    assert [claimed.instance_id for claimed in due] == ["asleep", "paused"]
    assert (resumed.run, refused.run) == (1, 0)


async def test_an_environments_tables_are_taken_over_as_they_are(url: str) -> None:
    """No row is lost, and what it launched is launched with its image and variables."""
    await make(url, FIVE | ENVIRONMENT)
    before = await of_the_environment(url)

    async with PostgresPersistence(url, migrates=True) as adopted:
        after = await of_the_environment(url)
        images = await adopted.images.page(ImageFilter("t"))
        await hold_lease(adopted, "e")
        claimed = await adopted.launches.claim(offer_all("e"), limit=9, at=START)
        view = await adopted.launches.view("failed", at=START)

    assert after == before
    assert {(one.image_id, one.runner_type, one.binary_path) for one in images} == {
        ("used", RunnerType.OCI, "/opt/orders"),
        ("odd", RunnerType.OCI, "/opt/old"),
    }
    [launch] = claimed.assignments
    assert (launch.instance_id, launch.env) == ("asleep", {"MODE": "fast"})
    assert launch.image is not None
    assert launch.image.name == "orders"
    assert view is not None
    assert view.image is not None


async def test_an_adopted_name_gets_versions_and_its_image_can_be_deleted(url: str) -> None:
    """Theirs was one image a name; an image that history names is hidden, an unused one gone."""
    await make(url, FIVE | ENVIRONMENT)

    async with PostgresPersistence(url, migrates=True) as adopted:
        second = await put_image(adopted, "orders", tenant_id="t")
        in_use = await adopted.images.delete("used", "t", at=START)
        unused = await adopted.images.delete("odd", "t", at=START)
        await fetch(url, "DELETE FROM instances WHERE instance_id = 'asleep'")
        hidden = await adopted.images.delete("used", "t", at=START)

    assert second.version == 2
    assert (in_use.open_instances, unused.is_hidden, hidden.is_hidden) == (1, False, True)
    rows = await fetch(url, "SELECT image_id FROM images ORDER BY version")
    assert rows == [("used",), (second.image_id,)]


async def test_other_programs_still_put_in_and_delete_images_plainly(url: str) -> None:
    """Every column of ours has a default, and what is ours goes with what is deleted."""
    await make(url, FIVE | ENVIRONMENT)

    async with PostgresPersistence(url, migrates=True) as adopted:
        await fetch(
            url,
            "INSERT INTO images (image_id, tenant_id, name, binary_path, runner_type)"
            " VALUES ('mock', 't', 'mock', '/none', 'mock')",
        )
        started = await start(adopted, "i", image_id="mock", tenant_id="t")
        await hold_lease(adopted, "e")
        await adopted.launches.claim(offer_all("e"), limit=9, at=START)
        await fetch(url, "DELETE FROM images WHERE image_id = 'mock'")
        await fetch(url, "DELETE FROM instances WHERE instance_id = 'i'")

    assert started.created
    assert await fetch(url, "SELECT 1 FROM instance_images WHERE instance_id = 'i'") == []
    assert await fetch(url, "SELECT 1 FROM launches WHERE instance_id = 'i'") == []


async def test_a_fresh_and_an_adopted_schema_are_equal(url: str) -> None:
    """Tables of the Rust server that we don't use stay as they are."""
    await make(url, FIVE)
    await migrate(url)

    with postgres.migrated_database() as fresh:
        expected = await schema(fresh)
        adopted = await schema(url)

    assert adopted == expected


@pytest.mark.parametrize(
    ("ledger", "message"),
    [
        ({1: True, 2: True}, r"lacks that server's migrations 3, 4, 5: bring it to version"),
        (FIVE | {5: False}, r"its migrations 5 failed"),
        (FIVE | {6: True}, r"newer than 1\.4\.1 \(it has the migrations 6\)"),
        ({}, r"lacks that server's migrations 1, 2, 3, 4, 5"),
    ],
    ids=["older", "broken", "newer", "empty"],
)
async def test_another_version_is_refused_and_left_alone(
    url: str, ledger: dict[int, bool], message: str
) -> None:
    await make(url, ledger)
    before = await contents(url)

    with pytest.raises(MigrationError, match=message):
        await migrate(url)

    assert await contents(url) == before
    assert await fetch(url, "SELECT to_regclass('runtara_migrations')") == [(None,)]


async def schema(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Columns, constraints, indexes and triggers, as the database describes them."""
    unused = ", ".join(f"'{table}'" for table in rust_made.UNUSED_TABLES)
    ours = f"NOT IN ({unused})"
    public = "'public'::regnamespace"
    queries = {
        "columns": "SELECT table_name, column_name, data_type, udt_name, is_nullable,"
        " column_default FROM information_schema.columns"
        f" WHERE table_schema = 'public' AND table_name {ours} ORDER BY 1, 2",
        "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)"
        f" FROM pg_constraint WHERE connamespace = {public} AND contype <> 'n'"
        f" AND conrelid::regclass::text {ours} ORDER BY 1, 2",
        "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes"
        f" WHERE schemaname = 'public' AND tablename {ours} ORDER BY 1, 2",
        "triggers": "SELECT tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger"
        " WHERE NOT tgisinternal ORDER BY 1, 2",
        "storage": "SELECT attrelid::regclass::text, attname, attstorage FROM pg_attribute"
        " WHERE attrelid IN ('checkpoints'::regclass, 'instances'::regclass)"
        " AND attnum > 0 ORDER BY 1, 2",
        "enums": "SELECT enumtypid::regtype::text, enumlabel FROM pg_enum"
        " ORDER BY 1, enumsortorder",
        "options": "SELECT relname, reloptions FROM pg_class"
        f" WHERE relnamespace = {public} AND relkind = 'r' AND relname {ours} ORDER BY 1",
    }
    return {part: await fetch(url, query) for part, query in queries.items()}
