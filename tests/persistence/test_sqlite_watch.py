"""Watching a SQLite file for signals: which writers are noticed, costs, outages."""

import asyncio
import logging
import os
import sys
from collections.abc import Collection

import pytest
from tests.contract.launching import hold_lease, offer_all, put_image, start
from tests.persistence.instances import START, ask_sql, put_running, run_sql
from tests.persistence.statements import Outage, Statements

from runtara_domain.model import Caller, CheckpointWrite, CustomSignal, NewInstance
from runtara_domain.status import OPEN, WORKING
from runtara_persistence.connect import sqlite
from runtara_persistence.sqlite.persistence import SqlitePersistence

PATIENCE = 20.0
GLANCES_A_SECOND = 125
SPACING = 0.04  # seconds
LOOKS = 9
SETTLING = 600
"""Glances, every 5 ms at most, in which all looks at the last commit are done."""

PUT = "INSERT INTO pending_signals (instance_id, signal_type) VALUES ('{}', 'pause')"
PUT_CUSTOM = (
    "INSERT INTO pending_checkpoint_signals (instance_id, checkpoint_id) VALUES ('{}', 'c')"
)


class Told:
    """The instances that a watch has reported."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[Collection[str] | None] = asyncio.Queue()

    def __call__(self, instance_ids: Collection[str] | None) -> None:
        self.calls.put_nowait(instance_ids)

    async def next(self) -> set[str]:
        async with asyncio.timeout(PATIENCE):
            instance_ids = await self.calls.get()
        assert instance_ids is not None
        return set(instance_ids)


class Looks:
    """Counts how often the log was looked at from the outside."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._left = 0
        self._reached = asyncio.Event()
        self._stat = os.stat
        self._frozen: os.stat_result | None = None
        monkeypatch.setattr(os, "stat", self._counting)

    def freeze(self, found: os.stat_result) -> None:
        """Let the log look so from now on, whatever becomes of it."""
        self._frozen = found

    async def pass_by(self, count: int) -> None:
        """Return when there have been so many more."""
        self._left = count
        self._reached.clear()
        async with asyncio.timeout(PATIENCE):
            await self._reached.wait()

    def _counting(self, path: str, **options: bool) -> os.stat_result:
        if str(path).endswith("-wal"):
            self._left -= 1
            if self._left == 0:
                self._reached.set()
            if self._frozen is not None:
                return self._frozen
        return self._stat(path, **options)


@pytest.mark.parametrize("put", [PUT, PUT_CUSTOM])
async def test_another_process_is_heard(
    persistence: SqlitePersistence, path: str, put: str
) -> None:
    """It needs nothing of ours: its own SQLite will do."""
    put_running(path, "i", "other")
    told = Told()
    program = (
        "import sqlite3, sys\n"
        "with sqlite3.connect(sys.argv[1], timeout=30) as connection:\n"
        "    connection.execute(sys.argv[2])\n"
    )

    async with persistence.watch(told):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, path, put.format("i")
        )
        heard = await told.next()

    assert heard == {"i"}
    assert await process.wait() == 0


@pytest.mark.parametrize("put", [PUT, PUT_CUSTOM])
async def test_only_changes_are_reported(
    persistence: SqlitePersistence, path: str, put: str
) -> None:
    """Earlier rows are not, nor rows that were reported."""
    put_running(path, "old", "first", "second")
    run_sql(path, put.format("old"))
    told = Told()

    async with persistence.watch(told):
        run_sql(path, put.format("first"))
        first = await told.next()
        run_sql(path, put.format("second"))
        second = await told.next()

    assert (first, second) == ({"first"}, {"second"})


async def test_another_signal_in_the_place_of_a_pending_one_is_news(
    persistence: SqlitePersistence, path: str
) -> None:
    """An example is a cancel in place of a pause."""
    put_running(path, "i")
    run_sql(path, PUT.format("i"))
    told = Told()

    async with persistence.watch(told):
        run_sql(path, "UPDATE pending_signals SET signal_type = 'cancel'")
        heard = await told.next()

    assert heard == {"i"}


async def test_a_custom_signal_after_a_deleted_one_is_news(
    persistence: SqlitePersistence, path: str
) -> None:
    """Its id is not that of the deleted one."""
    put_running(path, "i")
    run_sql(path, PUT_CUSTOM.format("i"))
    told = Told()

    async with persistence.watch(told):
        run_sql(path, "DELETE FROM pending_checkpoint_signals")
        run_sql(path, PUT_CUSTOM.format("i"))
        heard = await told.next()

    assert heard == {"i"}


async def test_a_commit_that_takes_the_disk_a_while_is_heard(
    persistence: SqlitePersistence, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is written before a commit is seen, and not again when it is."""
    put_running(path, "i")
    told, looks = Told(), Looks(monkeypatch)
    async with persistence.watch(told):
        await looks.pass_by(SETTLING)
        os.utime(f"{path}-wal")
        looks.freeze(os.stat(f"{path}-wal"))
        await looks.pass_by(20)
        run_sql(path, PUT.format("i"))

        assert await told.next() == {"i"}


@pytest.mark.parametrize("is_link", [False, True])
async def test_at_rest_nothing_is_asked(
    path: str, monkeypatch: pytest.MonkeyPatch, is_link: bool
) -> None:
    """A long wait takes fewer than 50 statements in ten seconds, on all connections."""
    statements, looks = Statements(), Looks(monkeypatch)
    statements.watch(monkeypatch)
    if is_link:
        os.symlink(path, path := f"{path}.link")

    async with SqlitePersistence(path) as persistence, persistence.watch(Told()):
        await looks.pass_by(SETTLING)
        settled = len(statements.seen)
        await looks.pass_by(30)
        asked = len(statements.seen) - settled

    assert settled > 0
    assert asked * GLANCES_A_SECOND / 30 * 10 < 50


async def test_without_a_watch_nothing_is_looked_at(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This holds also after a watch has ended."""
    statements, looks = Statements(), Looks(monkeypatch)
    statements.watch(monkeypatch)
    metronome = SqlitePersistence(f"{path}.other")
    async with metronome, metronome.watch(Told()), SqlitePersistence(path) as persistence:
        # It looks a few times of its own, as its file is new.
        await looks.pass_by(SETTLING)
        put_running(path, "i")
        async with persistence.watch(Told()):
            await looks.pass_by(12)
        statements.seen.clear()

        run_sql(path, PUT.format("i"))
        await looks.pass_by(12)

    assert statements.of("PRAGMA data_version") == []


@pytest.mark.parametrize("spacing", [None, 0.1])
async def test_own_checkpoints_are_a_few_statements_a_look(
    path: str, monkeypatch: pytest.MonkeyPatch, spacing: float | None
) -> None:
    """
    Commits of this process are looked at no more often than every 40 ms, all of them at once.

    Or than is asked for.
    """
    statements, time = Statements(), asyncio.get_running_loop().time
    statements.watch(monkeypatch)
    made = sqlite(path, watch_spacing=spacing)
    async with made as persistence, asyncio.timeout(PATIENCE):
        put_running(path, "i")
        began, saved = time(), 0
        async with persistence.watch(Told()):
            while len(statements.of("PRAGMA data_version")) < LOOKS:
                write = CheckpointWrite(f"c{saved}", b"")
                await persistence.checkpoints.save(Caller("i"), write, when=WORKING, at=START)
                saved += 1
        lasted = time() - began

    looked = statements.of("PRAGMA data_version")
    assert len(ask_sql(path, "SELECT 1 FROM checkpoints")) == saved > 0
    # The watch's own first look, and the first at a commit, wait for none before them.
    assert (len(looked) - 2) * (spacing or SPACING) <= lasted
    for query in ("SELECT id, instance_id\nFROM pending", "SELECT json_group_object"):
        assert 1 < len(statements.of(query)) <= len(looked)


async def test_a_database_in_memory_hears_its_own() -> None:
    """This holds also for a sender that was cancelled when its signal was on its way."""
    told = Told()
    async with SqlitePersistence(":memory:") as persistence, persistence.watch(told):
        await persistence.instances.create(NewInstance("i", "t"), at=START)
        sending = asyncio.create_task(
            persistence.signals.send_custom("i", CustomSignal("c"), when=OPEN, at=START)
        )
        for _ in range(3):
            await asyncio.sleep(0)
        sending.cancel()
        heard = await told.next()

    assert heard == {"i"}
    assert sending.cancelled()


async def test_an_outage_is_logged_once_and_nothing_is_lost(
    path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Signals of that time are reported when the database answers again."""
    outage, looks, told = Outage(), Looks(monkeypatch), Told()
    outage.begin(monkeypatch)
    with caplog.at_level(logging.WARNING):
        async with SqlitePersistence(path) as persistence:
            put_running(path, "i")
            async with persistence.watch(told):
                outage.lasts = True
                run_sql(path, PUT.format("i"))
                await looks.pass_by(12)
                outage.lasts = False
                heard = await told.next()

    assert heard == {"i"}
    [message] = [record.getMessage() for record in caplog.records]
    assert message.startswith("signals not watched, will be tried again: Failed to watch")


async def test_a_transaction_of_plain_sql_reports_launchable_instances_once(
    persistence: SqlitePersistence, path: str
) -> None:
    """Rows inserted together and a plain UPDATE are reported; a write of other columns is not."""
    told: asyncio.Queue[None] = asyncio.Queue()
    signals = Told()
    put_running(path, "i")
    async with persistence.watch(signals, launchable=lambda: told.put_nowait(None)):
        for statement in (
            "INSERT INTO instances (instance_id, tenant_id) VALUES ('a', 't'), ('b', 't')",
            "UPDATE instances SET status = 'suspended', sleep_until = '2000'"
            " WHERE instance_id = 'a'",
        ):
            run_sql(path, statement)
            async with asyncio.timeout(PATIENCE):
                await told.get()
        run_sql(path, "UPDATE instances SET error = 'x', last_activity_at = '2026'")
        run_sql(path, PUT.format("i"))
        await signals.next()

    assert told.empty()


async def test_a_start_that_is_claimed_at_once_tells_no_watch(
    persistence: SqlitePersistence, path: str
) -> None:
    """It would claim in vain; one that waits tells."""
    image = await put_image(persistence)
    await hold_lease(persistence, "e", capacity=1)
    changes = "SELECT changes FROM launchable_changes"
    [[before]] = ask_sql(path, changes)

    await start(persistence, "claimed", offer=offer_all("e"), image_id=image.image_id)
    [[claimed]] = ask_sql(path, changes)
    await start(persistence, "waits", offer=offer_all("e"), image_id=image.image_id)
    [[waiting]] = ask_sql(path, changes)

    assert claimed == before
    assert waiting != before
