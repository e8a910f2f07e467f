"""Audit rows of failed attempts, which are never checkpoints."""

from datetime import timedelta

import pytest
from tests.contract.database import Database
from tests.contract.states import TENANT, put_checkpoint, put_instance
from tests.support.clock import START

from runtara_domain.model import (
    Caller,
    CheckpointFilter,
    CheckpointWrite,
    Claim,
    Registration,
    RetryAttempt,
    Sleep,
)
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import OPEN, WORKING, Condition, State

ME = Caller("i")
SAID = START - timedelta(seconds=7)
ATTEMPT = RetryAttempt("c", 1, SAID, "it failed")


async def record(
    persistence: Persistence, attempt: RetryAttempt = ATTEMPT, caller: Caller = ME
) -> None:
    await persistence.checkpoints.record_retry(caller, attempt, when=OPEN, at=START)


@pytest.mark.parametrize("message", ["it failed", "", None, "é 🦀\n" * 10_000])
@pytest.mark.parametrize("state", sorted(OPEN))
async def test_an_attempt_is_an_audit_row(
    persistence: Persistence, database: Database, state: State, message: str | None
) -> None:
    """The row has the attempt's own time. The instance shows life and keeps its state."""
    before = await put_instance(database, state)
    row = await database.row("i")
    attempt = RetryAttempt("c", 2**31 - 1, SAID, message)

    found = await persistence.checkpoints.record_retry(ME, attempt, when=OPEN, at=START)

    (kept,) = await database.rows("checkpoints")
    assert found == before
    assert {name: kept[name] for name in kept if name not in ("id", "state", "wake_at")} == {
        "instance_id": "i",
        "checkpoint_id": "c::retry::2147483647",
        "created_at": SAID,
        "is_retry_attempt": True,
        "attempt_number": 2**31 - 1,
        "error_message": message,
    }
    assert await database.row("i") == row | {"last_activity_at": START}


async def test_the_same_attempt_again_overwrites_it(
    persistence: Persistence, database: Database
) -> None:
    """Attempts of other numbers, checkpoints and instances stay beside it."""
    await put_instance(database, State.RUNNING)
    await put_instance(database, State.RUNNING, "other")
    others = [RetryAttempt("c", 2, SAID), RetryAttempt("d", 1, SAID)]
    for attempt in (ATTEMPT, *others):
        await record(persistence, attempt)
    await record(persistence, caller=Caller("other"))

    await record(persistence, RetryAttempt("c", 1, START, "again"))

    rows = await database.rows("checkpoints")
    kept = {(row["instance_id"], row["checkpoint_id"]): row for row in rows}
    again = kept["i", "c::retry::1"]
    assert len(rows) == 4
    assert (again["error_message"], again["created_at"]) == ("again", START)
    assert kept["other", "c::retry::1"]["error_message"] == "it failed"
    assert kept["i", "c::retry::2"]["created_at"] == SAID


@pytest.mark.parametrize("when", [OPEN, WORKING])
@pytest.mark.parametrize("state", sorted(State))
async def test_the_condition_handed_in_decides(
    persistence: Persistence, database: Database, state: State, when: Condition
) -> None:
    """A finished instance fails no more."""
    before = await put_instance(database, state)
    stored = await database.snapshot()

    found = await persistence.checkpoints.record_retry(ME, ATTEMPT, when=when, at=START)

    assert found == before
    assert (await database.snapshot() != stored) is (state in when)


@pytest.mark.parametrize(("run", "admitted"), [(1, False), (2, True), (3, True), (None, True)])
async def test_a_superseded_run_is_left_outside(
    persistence: Persistence, database: Database, run: int | None, admitted: bool
) -> None:
    """Its failures are not its successor's."""
    before = await put_instance(database, State.RUNNING)
    stored = await database.snapshot()

    found = await persistence.checkpoints.record_retry(
        Caller("i", run), ATTEMPT, when=OPEN, at=START
    )

    assert found == before
    assert (await database.snapshot() != stored) is admitted


async def test_an_unknown_instance_keeps_no_attempts(
    persistence: Persistence, database: Database
) -> None:
    """Nothing is created for it."""
    found = await persistence.checkpoints.record_retry(ME, ATTEMPT, when=OPEN, at=START)

    assert found is None
    assert await database.rows("checkpoints") == []


async def test_an_attempt_is_never_a_checkpoint(
    persistence: Persistence, database: Database
) -> None:
    """It can't be read, listed, counted or continued from, and its step can still be saved."""
    await put_instance(database, State.RUNNING)
    await record(persistence)

    read = await persistence.checkpoints.get("i", ATTEMPT.row_id)
    page = await persistence.checkpoints.page("i")
    count = await persistence.checkpoints.count(CheckpointFilter("i"))
    registered = await persistence.instances.register(
        Registration("i", TENANT, ATTEMPT.row_id), when=OPEN, at=START
    )
    saved = await persistence.checkpoints.save(
        ME, CheckpointWrite("c", b"1"), when=WORKING, at=START
    )

    assert (read, page.entries, page.next_id, count) == (None, (), None, 0)
    assert not registered.checkpoint_exists
    assert saved.kept is None


async def test_a_step_that_failed_can_be_slept(
    persistence: Persistence, database: Database
) -> None:
    """The audit row's time is no deadline, and its row stays as it was."""
    await put_instance(database, State.RUNNING)
    await record(persistence)
    (audit,) = await database.rows("checkpoints")

    slept = await persistence.checkpoints.sleep(
        ME,
        Sleep("c", b"", timedelta(minutes=1)),
        when=WORKING,
        claim=Claim("me", START),
        earliest=None,
        at=START,
    )

    assert slept.wake_at == START + timedelta(minutes=1)
    assert audit in await database.rows("checkpoints")


async def test_a_checkpoint_of_such_an_id_is_never_overwritten(
    persistence: Persistence, database: Database
) -> None:
    """A database that was taken over may hold one: no checkpoint is ever lost."""
    await put_instance(database, State.RUNNING)
    await put_checkpoint(database, ATTEMPT.row_id)
    stored = await database.rows("checkpoints")

    await record(persistence)

    assert await database.rows("checkpoints") == stored
