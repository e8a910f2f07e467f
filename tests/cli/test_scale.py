"""A million instances and ten million checkpoints on PostgreSQL: what looking at them takes."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import asyncpg
import pytest
from tests.support.postgres import PostgresServer, migrated_database

from runtara_cli import codes
from runtara_persistence.connect import connect

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

COUNT = 1_000_000
MIB = 1024 * 1024
MUCH_MORE = 24 * MIB
"""What a command's process may take beside what it takes on an empty database."""
SERVER = (
    "fsync=off", "synchronous_commit=off", "wal_level=minimal", "max_wal_senders=0",
    "max_wal_size=16GB", "autovacuum=off", "shared_buffers=512MB", "maintenance_work_mem=512MB",
)  # fmt: skip
# In one transaction with a TRUNCATE nothing is written twice; foreign keys hold by construction.
# Ids follow each other in any order of texts, so that indexes are filled from left to right.
FILL = f"""
TRUNCATE instances, images, environments CASCADE;
SET LOCAL session_replication_role = replica;
INSERT INTO images (image_id, tenant_id, name, runner_type, binary_path)
SELECT 'image-' || n, 'tenant-' || n % 20, 'app-' || n, 'python', '/app'
FROM generate_series(0, 199) AS n;
INSERT INTO environments (
    environment_id, kind, machine, boot_id, version, capacity, workflows, started_at, lease_until
)
VALUES ('here', 'environment', 'm', 'b', '1', 9999, '[]', now(), now() + interval '50 minutes');
INSERT INTO instances (
    instance_id, tenant_id, status, checkpoint_id, created_at, started_at, last_activity_at,
    finished_at, sleep_until, run_epoch, image_id, workflow, launch_id, launch_count, waits, error,
    output
)
SELECT
    'i-' || lpad(n::text, 7, '0'), 'tenant-' || n % 20, status::instance_status, 'step-9#1', made,
    CASE WHEN status <> 'pending' THEN made END,
    CASE WHEN status <> 'pending' THEN now() END,
    CASE WHEN status IN ('completed', 'failed', 'cancelled') THEN made + interval '1 second' END,
    CASE WHEN share BETWEEN 10 AND 59 THEN now() + interval '1 day' END,
    CASE WHEN status = 'pending' THEN 0 ELSE 1 END,
    'image-' || n % 200,
    CASE WHEN status <> 'pending' THEN CASE WHEN n % 100000 = 7 THEN 'rare' ELSE 'often' END END,
    CASE WHEN status = 'running' THEN 'launch-' || lpad(n::text, 7, '0') END,
    1,
    CASE
        WHEN share BETWEEN 10 AND 59
        THEN '[{{"kind": "promise", "name": "approval", "until": null}}]'
    END,
    CASE
        WHEN share = 60 THEN 'its code has changed: step-3#1 is another one'
        WHEN n % 100000 = 70 THEN 'ValueError: a needle'
        WHEN status = 'failed' THEN 'step ''charge'' (charge#1) failed after 3 attempts: OSError'
    END,
    CASE WHEN status = 'completed' THEN convert_to('"' || md5(n::text) || '"', 'UTF8') END
FROM generate_series(1, {COUNT}) AS n,
LATERAL (
    SELECT
        n % 1000 AS share,
        CASE
            -- Not yet overdue when all of it is there.
            WHEN n > {COUNT} - 3000 THEN now() + interval '20 minutes'
            ELSE now() - ({COUNT} - n) * interval '60 days' / {COUNT} - interval '1 hour'
        END AS made
) AS one,
LATERAL (
    SELECT CASE
        WHEN n > {COUNT} - 2000 AND share < 10 THEN 'pending'
        WHEN share < 10 THEN 'running'
        WHEN share < 61 THEN 'suspended'
        WHEN share < 120 THEN 'failed'
        WHEN share < 130 THEN 'cancelled'
        ELSE 'completed'
    END AS status
) AS state;
INSERT INTO instance_images (instance_id, image_id, tenant_id, env)
SELECT instance_id, image_id, tenant_id, '{{}}' FROM instances;
INSERT INTO launches (
    launch_id, instance_id, number, environment_id, tenant_id, created_at, image_id, workflow,
    started_at, closed_at, run, cause, exit_code
)
SELECT
    'launch-' || substr(instance_id, 3), instance_id, 1, 'here', tenant_id, created_at, image_id,
    workflow, created_at, CASE WHEN status <> 'running' THEN created_at END, 1, 'exited', 0
FROM instances
WHERE status <> 'pending';
INSERT INTO instance_events (instance_id, event_type, payload, created_at)
SELECT instance_id, 'started', '', created_at FROM instances;
INSERT INTO checkpoints (instance_id, checkpoint_id, state, created_at)
SELECT
    'i-' || lpad(n::text, 7, '0'), 'step-' || step || '#1',
    '\\x7b226b696e64223a22726573756c74227d', now()
-- In the order of instances.
FROM generate_series(1, {COUNT}) AS n, LATERAL generate_series(0, 9 + n * 0) AS step;
"""
INDEXES = """
SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS made
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indrelid
WHERE c.relnamespace = 'public'::regnamespace
    AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid)
"""
KEYS = """
SELECT conname AS name, pg_get_constraintdef(oid) AS made
FROM pg_constraint
WHERE conrelid = 'checkpoints'::regclass AND contype IN ('p', 'u')
"""
READ = """
SELECT relname, seq_scan, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS read
FROM pg_stat_user_tables
"""
MEASURED = """
import atexit, re, sys, time
from pathlib import Path
from runtara_cli.__main__ import main

@atexit.register
def tell():
    peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
    sys.stderr.write(f"\\n{peak} {time.process_time()}")

main()
"""
LISTS: dict[tuple[str, ...], int] = {
    ("list",): 50,
    ("list", "--workflow", "rare"): 10,
    ("list", "--workflow", "often"): 50,
    ("list", "--workflow", "app-7"): 2,
    ("list", "--workflow", "none"): 0,
    ("list", "--status", "failed"): 50,
    ("list", "--status", "pending"): 20,
    ("list", "--since", "30m"): 50,
    ("list", "--error", "needle"): 10,
    ("list", "--error", "charge"): 50,
    ("list", "--blocked"): 50,
    ("list", "--tenant", "tenant-3", "--status", "suspended", "--since", "40d"): 50,
}
"""Commands, and how many rows each shows."""
ONE = (
    ("show", f"i-{COUNT // 2:07}"),
    ("explain", f"i-{COUNT // 2 + 10:07}"),
    ("explain", "i-0000003"),
)
ROWS_OF_A_LIST = 150_000
"""Of instances: those with an error once for the page and once for the count, and their joins."""

OTHERS = ("checkpoints", "launches", "instance_images", "instance_events")
"""Tables that no command but an audit reads through."""


@dataclass(frozen=True)
class Figures:
    """What a command has taken; cpu: seconds of its own process, most of them for imports."""

    seconds: float
    cpu: float
    peak: int
    shown: list[str]


def measured(url: str, *arguments: str) -> Figures:
    """Give a command, in a process of its own."""
    others = {name: value for name, value in os.environ.items() if name[:8] != "RUNTARA_"}
    began = time.monotonic()
    run = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments, "--json", "--database-url", url],
        env=others,
        capture_output=True,
        text=True,
    )
    seconds = time.monotonic() - began
    assert run.returncode in (codes.DONE, codes.UNSUCCESSFUL), run.stderr
    peak, cpu = run.stderr.splitlines()[-1].split()
    return Figures(seconds, float(cpu), int(peak) * 1024, run.stdout.splitlines())


def tell(text: str) -> None:
    """Print figures, for a run with `-s`."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def fill(url: str) -> None:
    """Put all of it in; indexes are made when all rows are there."""
    async with connect(url, migrates=True):
        pass
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            indexes = await connection.fetch(INDEXES)
            for index in indexes:
                await connection.execute(f"DROP INDEX {index['name']}")
            keys = await connection.fetch(KEYS)
            for key in keys:
                await connection.execute(f"ALTER TABLE checkpoints DROP CONSTRAINT {key['name']}")
            await connection.execute(FILL)
            for key in keys:
                await connection.execute(
                    f"ALTER TABLE checkpoints ADD CONSTRAINT {key['name']} {key['made']}"
                )
            for index in indexes:
                await connection.execute(index["made"])
        for table in ("instances", "instance_images", "launches"):
            await connection.execute(f"VACUUM (ANALYZE) {table}")
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


async def reads(url: str) -> dict[str, tuple[int, int]]:
    """Tell how often each table was read through, and how many of its rows were read."""
    connection = await asyncpg.connect(url)
    try:
        return {name: (scans, read) for name, scans, read in await connection.fetch(READ)}
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def large() -> Iterator[str]:
    server = PostgresServer(*SERVER)
    try:
        server.start()
        began = time.monotonic()
        asyncio.run(fill(server.url("postgres")))
        tell(f"\nmade in {time.monotonic() - began:.0f} s")
        yield server.url("postgres")
    finally:
        server.remove()


def test_looking_reads_few_rows_and_holds_no_more(large: str) -> None:
    """Only the instance's checkpoints are read; --capture=no shows what each command takes."""
    with migrated_database() as empty:
        base = {each: measured(empty, *each) for each in (("list",), ("audit",))}
    tell(f"\n{'command':<60} {'s':>6} {'CPU':>6} {'s, empty':>8} {'MiB':>5} {'rows read':>10}")
    problems = []
    for arguments in (*LISTS, *ONE, ("audit",)):
        before = asyncio.run(reads(large))
        found = measured(large, *arguments)
        after = asyncio.run(reads(large))

        like = base[("audit",) if arguments == ("audit",) else ("list",)]
        read = after["instances"][1] - before["instances"][1]
        tell(
            f"{' '.join(arguments):<60} {found.seconds:6.2f} {found.cpu:6.2f} {like.seconds:8.2f}"
            f" {found.peak / MIB:5.0f} {read:10,}"
        )
        is_audit = arguments == ("audit",)
        whole = ("checkpoints",) if is_audit else OTHERS
        problems += [f"{arguments}: reads all of {table}" for table in whole
                     if after[table][0] != before[table][0]]  # fmt: skip
        if found.peak > like.peak + MUCH_MORE:
            problems.append(f"{arguments}: holds {found.peak} bytes, {like.peak} of nothing")
        if len(found.shown) != LISTS.get(arguments, 0 if is_audit else 1):
            problems.append(f"{arguments}: shows {found.shown}")
        if read > (COUNT * 2 if is_audit else ROWS_OF_A_LIST):
            problems.append(f"{arguments}: reads {read} instances")
    assert problems == []
