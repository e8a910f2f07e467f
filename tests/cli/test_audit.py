"""What an audit finds in doctored rows, and that it finds nothing in healthy ones."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import pytest
from tests.cli.test_direct import run
from tests.support.postgres import cloned_database, migrated_database

from runtara_cli import codes
from runtara_cli.auditing.checks import CHECKS, KEPT_BY_KEYS
from runtara_persistence.connect import connect

Row: TypeAlias = dict[str, Any]

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LONG_AGO = NOW - HOUR
HEALTHY = 1000

BASE: Row = {"tenant_id": "t", "created_at": LONG_AGO, "image_id": "image", "run_epoch": 1}
RUNNING: Row = {"status": "running", "started_at": LONG_AGO, "last_activity_at": NOW}
ASLEEP: Row = {"status": "suspended", "started_at": LONG_AGO, "sleep_until": NOW + DAY}
DONE: Row = {"status": "completed", "started_at": LONG_AGO, "finished_at": NOW - HOUR / 2}
STATES: list[Row] = [
    {"status": "pending", "created_at": NOW, "run_epoch": 0},
    {"status": "pending", "launch_after": NOW + DAY, "run_epoch": 0},
    {"status": "pending", "image_id": None, "run_epoch": 0},
    {**RUNNING, "launch_id": "OWN"},
    {**RUNNING, "image_id": None, "workflow": None},
    ASLEEP,
    {**ASLEEP, "wake_claim_by": "core", "wake_claim_until": NOW + timedelta(seconds=30)},
    {"status": "suspended", "started_at": LONG_AGO},
    {"status": "suspended", "started_at": LONG_AGO, "error": "its code has changed"},
    DONE,
    {**DONE, "status": "failed", "error": "broken"},
    {**DONE, "status": "cancelled", "started_at": None},
]
"""Each state that the core and environments leave an instance in."""

DOCTORED: dict[str, list[Row]] = {
    "launch_missing": [{**RUNNING, "launch_id": "no-launch"}],
    "launch_of_another": [{**RUNNING, "launch_id": "launch-of-h-3"}],
    "launch_closed": [{**RUNNING, "launch_id": "closed"}],
    "launch_unknown": [{**ASLEEP, "launch_id": None, "OPEN": "here"}],
    "environment_lost": [
        {**RUNNING, "launch_id": "OWN", "OPEN": "nowhere"},
        {**RUNNING, "launch_id": "OWN", "OPEN": "gone"},
    ],
    "image_missing": [
        {**ASLEEP, "image_id": "nothing"},
        {**ASLEEP, "image_id": "deleted"},
        {**ASLEEP, "image_id": "another's"},
    ],
    "workflow_unserved": [{"image_id": None, "workflow": "nobody's", "run_epoch": 0}],
    "overdue": [{"run_epoch": 0}, {**ASLEEP, "sleep_until": LONG_AGO}],
    "stop_overdue": [{**ASLEEP, "stop_at": LONG_AGO}],
    "open_but_finished": [{**ASLEEP, "finished_at": LONG_AGO}],
    "final_without_end": [{**DONE, "finished_at": None}],
    "final_and_asleep": [{**DONE, "sleep_until": LONG_AGO}],
    "running_without_run": [{"status": "running", "run_epoch": 0, "created_at": NOW}],
    "run_ahead": [{**ASLEEP, "ended_run": 2}, {**ASLEEP, "lost_run": 2}],
    "claim_without_end": [{**ASLEEP, "wake_claim_by": "core"}],
    "created_ahead": [{"created_at": NOW + DAY, "run_epoch": 0}],
    "started_ahead": [{**ASLEEP, "started_at": NOW + DAY}],
    "finished_ahead": [{**DONE, "finished_at": NOW + DAY}],
    "ended_before_start": [{**DONE, "finished_at": NOW - DAY}, {**ASLEEP, "started_at": NOW - DAY}],
    "heard_ahead": [{**ASLEEP, "last_activity_at": NOW + DAY}],
    "claimed_ahead": [{**ASLEEP, "wake_claim_by": "core", "wake_claim_until": NOW + DAY}],
    "sleeps_for_ever": [
        {**ASLEEP, "sleep_until": NOW + timedelta(days=40_000)},
        {"launch_after": NOW + timedelta(days=40_000), "run_epoch": 0},
    ],
}

LAUNCHES: dict[str, Row] = {
    "made-ahead": {"created_at": NOW + DAY},
    "begun-ahead": {"started_at": NOW + DAY},
    "over": {"timeout_at": LONG_AGO},
    "limited": {"timeout_at": NOW + DAY},
}


def environment(name: str, lease_until: datetime, **more: object) -> Row:
    """Give an environment's row."""
    return {
        "environment_id": name, "kind": "environment", "machine": "m", "boot_id": "b",
        "version": "1", "capacity": 9999, "workflows": "[]", "started_at": LONG_AGO,
        "lease_until": lease_until, **more,
    }  # fmt: skip


def image(name: str, tenant_id: str = "t", **more: object) -> Row:
    """Give an image's row."""
    return {
        "image_id": name, "tenant_id": tenant_id, "name": name, "binary_path": "/app", **more
    }  # fmt: skip


def schedule(name: str, **more: object) -> Row:
    """Give a schedule's row."""
    return {
        "tenant_id": "t", "name": name, "cron": "@daily", "time_zone": "UTC", "missing": "cron",
        "duplicate": "cron", "overlap": "skip", "catch_up_ms": 0, "jitter_ms": 0, "priority": 0,
        "revision": 1, "created_at": LONG_AGO, "is_declared": False, "code_versions": "",
        "pause_reason": "", "next_tick_at": NOW + DAY, **more,
    }  # fmt: skip


def launch(name: str, instance_id: str, environment_id: str, **more: object) -> Row:
    """Give a launch's row."""
    return {
        "launch_id": name, "instance_id": instance_id, "number": 1, "tenant_id": "t",
        "environment_id": environment_id, "created_at": LONG_AGO, **more,
    }  # fmt: skip


def tables(instances: dict[str, Row]) -> dict[str, list[Row]]:
    """Give rows of all tables: those instances, with what they need."""
    made: dict[str, list[Row]] = {
        "environments": [environment("here", NOW + DAY / 25), environment("gone", LONG_AGO)],
        "images": [image("image"), image("deleted", deleted_at=NOW), image("another's", "u")],
        "instances": [],
        "launches": [],
    }
    for name, given in instances.items():
        row = {"instance_id": name, **BASE, **given}
        place = row.pop("OPEN", "here" if row.get("launch_id") == "OWN" else None)
        if place is not None:
            made["launches"].append(launch(f"launch-of-{name}", name, place))
        if row.get("launch_id") == "OWN":
            row["launch_id"] = f"launch-of-{name}"
        made["instances"].append(row)
    return made


class Doctored:
    """A database whose rows are put in by plain SQL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._age = datetime.now(UTC).replace(microsecond=0) - NOW
        asyncio.run(self._migrate())

    def put(self, rows: dict[str, list[Row]]) -> None:
        """Insert rows."""
        if not self.url.startswith("sqlite"):
            asyncio.run(self._put(rows))
            return
        with closing(sqlite3.connect(self.url.removeprefix("sqlite:"))) as database, database:
            for table, given in rows.items():
                for row in given:
                    marks = ", ".join("?" * len(row))
                    values = [_text(value) for value in self._since(row)]
                    database.execute(
                        f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", values
                    )

    def _since(self, row: Row) -> list[object]:
        # The rows were written down when the file was imported, perhaps many tests ago.
        return [
            value + self._age if isinstance(value, datetime) else value for value in row.values()
        ]

    def audit(self) -> tuple[int, dict[str, list[str]]]:
        """Run the command; gives its exit code, and what it has found."""
        result = run("audit", "--json", "--database-url", self.url)
        found = [json.loads(line) for line in result.stdout.splitlines()]
        assert result.exit_code in (0, 1), result.output
        return result.exit_code, {one["check"]: sorted(one["ids"]) for one in found}

    async def _migrate(self) -> None:
        async with connect(self.url, migrates=True):
            pass

    async def _put(self, rows: dict[str, list[Row]]) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            for table, given in rows.items():
                for row in given:
                    marks = ", ".join(f"${number}" for number in range(1, len(row) + 1))
                    statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"
                    await connection.execute(statement, *self._since(row))
        finally:
            await connection.close()


def _text(value: object) -> object:
    if not isinstance(value, datetime):
        return value
    return f"{value:%Y-%m-%dT%H:%M:%S}.000Z"


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Doctored]:
    if request.param == "sqlite":
        yield Doctored(f"sqlite:{tmp_path}/core.db")
        return
    with cloned_database() as url:
        yield Doctored(url)


def test_doctored_rows_are_named_and_healthy_ones_are_not(database: Doctored) -> None:
    """A thousand healthy instances of every state stand beside one of each broken kind."""
    healthy = {f"h-{number}": STATES[number % len(STATES)] for number in range(HEALTHY)}
    database.put(tables(healthy))
    assert database.audit() == (codes.DONE, {})

    broken = {
        f"{check}/{number}": row
        for check, rows in DOCTORED.items()
        for number, row in enumerate(rows)
    }
    put = tables(broken)
    put["environments"] = [
        environment("ahead", NOW + DAY),
        environment("begins", NOW + HOUR / 2, started_at=NOW + DAY),
    ]
    put["images"] = [image("empty", binary_path=None, upload_id="none"), image("e", binary_path="")]
    put["launches"].append(launch("closed", "launch_closed/0", "here", closed_at=LONG_AGO))
    put["cron_schedules"] = [
        schedule("sound"),
        schedule("paused", paused_by="operator", next_tick_at=None),
        schedule("stands", next_tick_at=None),
        schedule("late", next_tick_at=LONG_AGO),
        schedule("buffers", overlap="buffer_one", buffered_tick_at=LONG_AGO, next_tick_at=LONG_AGO),
    ]
    for name, more in LAUNCHES.items():
        put["instances"].append({**BASE, **RUNNING, "instance_id": name, "launch_id": name})
        put["launches"].append(launch(name, name, "here", **more))
    put["instance_images"] = [{"instance_id": "nobody", "image_id": "image", "tenant_id": "t"}]
    database.put(put)
    code, found = database.audit()

    expected = {
        check: {f"{check}/{at}" for at in range(len(each))} for check, each in DOCTORED.items()
    }
    expected |= {
        "lease_ahead": {"ahead"}, "environment_ahead": {"begins"}, "image_without_bytes": {"empty"},
        "launch_ahead": {"made-ahead", "begun-ahead"}, "launch_overdue": {"over"},
        "schedule_without_tick": {"t/stands"}, "schedule_overdue": {"t/late"},
        "orphans_in_instance_images": {"nobody"},
    }  # fmt: skip
    assert code == codes.UNSUCCESSFUL
    assert {check: set(ids) for check, ids in found.items()} == expected
    known = {check.name for check in CHECKS} - KEPT_BY_KEYS - {"nothing_serves"}
    assert set(expected) == known


def test_instances_that_no_environment_serves_are_found(database: Doctored) -> None:
    """The audit also finds one that was started before the last environment left."""
    rows = tables({"waits": {"run_epoch": 0}, "sleeps": ASLEEP, "done": DONE})
    rows["environments"] = [environment("gone", LONG_AGO)]
    database.put(rows)

    assert database.audit() == (codes.UNSUCCESSFUL, {"nothing_serves": ["waits"]})


def test_orphans_are_found_where_no_key_forbids_them(tmp_path: Path) -> None:
    """SQLite's foreign keys hold only on connections that switch them on."""
    database = Doctored(f"sqlite:{tmp_path}/core.db")
    rows: dict[str, list[Row]] = {
        "checkpoints": [{"checkpoint_id": "c", "state": b""}],
        "instance_events": [{"event_type": "started", "payload": b""}],
        "pending_signals": [{"signal_type": "pause"}],
        "pending_checkpoint_signals": [{"checkpoint_id": "c"}],
        "launches": [launch("l", "", "here", closed_at=NOW)],
    }
    database.put(
        {table: [{**row, "instance_id": "nobody"} for row in each] for table, each in rows.items()}
    )

    assert database.audit() == (
        codes.UNSUCCESSFUL,
        {f"orphans_in_{table}": ["nobody"] for table in rows},
    )


PAST, FUTURE = NOW - 365 * DAY, NOW + 365 * DAY
TIMES = {"null": None, "past": PAST, "future": FUTURE}
NAMES = {"null": None, "foreign": "nothing"}
RUNS = {"null": None, "past": 0, "future": 99}
COLUMNS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(
        (
            "created_at", "started_at", "finished_at", "sleep_until", "last_activity_at",
            "wake_claim_until", "launch_after", "stop_at", "blocked_signal_at",
        ),
        TIMES,
    ),
    **dict.fromkeys(
        (
            "launch_id", "image_id", "parent_id", "checkpoint_id", "judged_checkpoint_id", "queue",
            "wake_claim_by",
        ),
        NAMES,
    ),
    "ended_run": RUNS,
    "lost_run": RUNS,
}  # fmt: skip
"""Columns of instances that say when, or name another row or run, and what each is set to."""
BASES: dict[str, Row] = {
    "pending": {"status": "pending", "created_at": NOW, "run_epoch": 0},
    "running": {**RUNNING, "launch_id": "OWN"},
    "asleep": ASLEEP,
    "paused": {"status": "suspended", "started_at": LONG_AGO},
    "done": DONE,
}
OPEN = ("pending", "running", "asleep", "paused")
FORBIDDEN: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {
    ("created_at", "past"): {"pending": ("overdue",)},
    ("created_at", "future"): {
        **dict.fromkeys(OPEN, ("created_ahead",)), "pending": ("created_ahead",),
        "running": ("ended_before_start", "created_ahead"),
        "asleep": ("ended_before_start", "created_ahead"),
        "paused": ("ended_before_start", "created_ahead"),
        "done": ("ended_before_start", "created_ahead"),
    },
    ("started_at", "null"): {"running": ("running_without_run",)},
    ("started_at", "past"): dict.fromkeys(BASES, ("ended_before_start",)),
    ("started_at", "future"): dict.fromkeys(BASES, ("started_ahead",)),
    ("finished_at", "null"): {"done": ("final_without_end",)},
    ("finished_at", "past"): {
        **dict.fromkeys(OPEN, ("ended_before_start", "open_but_finished")),
        "done": ("ended_before_start",),
    },
    ("finished_at", "future"): {
        **dict.fromkeys(OPEN, ("finished_ahead", "open_but_finished")),
        "done": ("finished_ahead",),
    },
    ("sleep_until", "past"): {
        "asleep": ("overdue",), "paused": ("overdue",), "done": ("final_and_asleep",),
    },
    ("sleep_until", "future"): {"done": ("final_and_asleep",)},
    ("last_activity_at", "future"): dict.fromkeys(OPEN, ("heard_ahead",)),
    ("stop_at", "past"): dict.fromkeys(OPEN, ("stop_overdue",)),
    ("launch_id", "null"): {"running": ("launch_unknown",)},
    ("launch_id", "foreign"): {
        **dict.fromkeys(OPEN, ("launch_missing",)),
        "running": ("launch_missing", "launch_unknown"),
    },
    ("image_id", "foreign"): dict.fromkeys(OPEN, ("image_missing",)),
    ("wake_claim_by", "foreign"): dict.fromkeys(OPEN, ("claim_without_end",)),
    ("ended_run", "future"): dict.fromkeys(OPEN, ("run_ahead",)),
    ("lost_run", "future"): dict.fromkeys(OPEN, ("run_ahead",)),
}  # fmt: skip
"""What the contract forbids, by the state that it is forbidden in, and the checks that name it."""


def test_each_column_set_to_what_it_may_not_be_is_named(database: Doctored) -> None:
    """Allowed values are not named: a pruned parent, a claim that has run out."""
    expected: dict[str, tuple[str, ...]] = {}
    rows: dict[str, Row] = {}
    for column, cases in COLUMNS.items():
        for case, value in cases.items():
            if (column, case) == ("created_at", "null"):
                continue  # No database takes it.
            for base, row in BASES.items():
                name = f"{column}/{case}/{base}"
                rows[name] = {**row, column: value}
                if column == "launch_id" and base == "running":
                    rows[name]["OPEN"] = "here"
                expected[name] = FORBIDDEN.get((column, case), {}).get(base, ())
    database.put(tables(rows))

    found: dict[str, set[str]] = {name: set() for name in rows}
    for check, ids in database.audit()[1].items():
        for name in ids:
            found[name].add(check)
    assert found == {name: set(checks) for name, checks in expected.items()}


async def test_columns_that_say_when_or_name_another_row_are_all_decided_on() -> None:
    """A new column comes with the rule for its values."""
    with migrated_database() as url:
        connection = await asyncpg.connect(url)
        try:
            columns = await connection.fetch(
                "SELECT column_name, data_type FROM information_schema.columns"
                " WHERE table_name = 'instances'"
            )
        finally:
            await connection.close()
    keys = {"instance_id", "tenant_id"}
    decided = {
        name
        for name, kind in columns
        if kind.startswith("timestamp")
        or (kind != "boolean" and name.endswith(("_id", "_by", "_run")))
        or name == "queue"
    }
    assert decided - keys == set(COLUMNS)
