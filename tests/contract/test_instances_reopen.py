"""A finished instance is reopened: asleep, due at once, without its ending."""

import json
from datetime import timedelta

import pytest
from tests.contract.database import Database, Row
from tests.contract.states import EARLIER, TENANT, put_checkpoint, put_instance
from tests.support.clock import START

from runtara_domain.model import (
    Caller,
    CheckpointWrite,
    Claim,
    Ending,
    Event,
    EventType,
    Recorded,
    Registration,
    Reopened,
    Reopening,
    RetryAttempt,
    RunState,
)
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import MOVES, OPEN, WORKING, Move, SignalType, State

WHEN = MOVES[Move.REOPEN].sources
FAILED = Event(EventType.FAILED, b"broken", START)
BROKEN = Ending(State.FAILED, error="broken")


async def reopen(persistence: Persistence, *set_aside: str) -> Reopened:
    return await persistence.instances.reopen(Reopening("i", set_aside), when=WHEN, at=START)


@pytest.mark.parametrize("state", sorted(WHEN))
async def test_a_finished_instance_goes_on_asleep_and_due(
    persistence: Persistence, database: Database, state: State
) -> None:
    """Only its ending is forgotten, and its run moves on; the rest of the row stays."""
    ending: Row = {"output": b"out", "error": "broken", "blocked_signal_at": EARLIER}
    before = await put_instance(
        database, state, input=b"given", workflow="orders", stderr="Traceback", **ending
    )
    row = await database.row("i")

    reopened = await reopen(persistence)

    assert reopened == Reopened(before, run=3)
    assert await database.row("i") == row | {
        "status": "suspended",
        "sleep_until": START,
        "run_epoch": 3,
        "finished_at": None,
        "output": None,
        "error": None,
        "blocked_signal_at": None,
    }
    claimed = await persistence.claims.claim_due(Claim("me", START), limit=1, at=START)
    assert [one.run for one in claimed] == [3]


@pytest.mark.parametrize("state", sorted(OPEN | {State.COMPLETED}))
async def test_what_is_open_or_completed_is_left_alone(
    persistence: Persistence, database: Database, state: State
) -> None:
    """There is nothing to go on with."""
    before = await put_instance(database, state)
    await put_checkpoint(database)
    stored = await database.snapshot()

    reopened = await reopen(persistence, "c")

    assert reopened == Reopened(before, run=2)
    assert await database.snapshot() == stored
    unknown = Reopening("unknown", ["c"])
    assert await persistence.instances.reopen(unknown, when=WHEN, at=START) == Reopened(None)


@pytest.mark.parametrize(
    ("output", "error", "kept"),
    [
        (None, None, {"output": None, "error": None}),
        (b"out", "br\u00f6ken", {"output": "b3V0", "error": "br\u00f6ken"}),
        (b"x" * 65_537, "y" * 65_537, {"error": "y" * 65_536}),
    ],
)
async def test_the_old_ending_is_kept_as_an_event(
    persistence: Persistence,
    database: Database,
    output: bytes | None,
    error: str | None,
    kept: dict[str, str | None],
) -> None:
    """Of large values the event has the beginning."""
    await put_instance(database, State.CANCELLED, output=output, error=error)

    await reopen(persistence)

    (event,) = await database.rows("instance_events")
    assert (event["event_type"], event["subtype"]) == ("custom", "runtara.reopened")
    assert (event["created_at"], event["checkpoint_id"]) == (START, None)
    finished_at = EARLIER.isoformat(timespec="milliseconds")
    assert json.loads(event["payload"]) == {
        "status": "cancelled",
        "finished_at": finished_at,
        **kept,
    }


@pytest.mark.parametrize("signal", SignalType)
async def test_a_pending_signal_is_settled(
    persistence: Persistence, database: Database, signal: SignalType
) -> None:
    """It was meant for the run that ended."""
    await put_instance(database, State.FAILED)
    await database.put_signal("i", signal)

    await reopen(persistence)

    (row,) = await database.rows("pending_signals")
    assert row["acknowledged_at"] == START
    assert (await persistence.signals.pending(Caller("i"))).signal is None


async def test_checkpoints_set_aside_are_found_no_more_and_stay_as_audit_rows(
    persistence: Persistence, database: Database
) -> None:
    """Their attempts stay with them. Their ids are free, and attempts are counted anew."""
    await put_instance(database, State.FAILED, checkpoint_id="b")
    for name in ("a", "a2", "b"):
        await put_checkpoint(database, name, state=name.encode())
    for name, number in (("a", 1), ("a", 12), ("a2", 1)):
        await database.put_attempt("i", name, number)

    reopened = await reopen(persistence, "a", "b", "missing", "a2::retry::1")

    assert reopened.set_aside == {"a", "b"}
    page = await persistence.checkpoints.page("i")
    assert [(one.checkpoint_id, one.failed_attempts) for one in page.entries] == [("a2", 1)]
    rows = {row["checkpoint_id"]: row for row in await database.rows("checkpoints")}
    assert set(rows) == {
        "a2",
        "a2::retry::1",
        "a::reopened3::retry::0",
        "a::reopened3::retry::1",
        "a::reopened3::retry::12",
        "b::reopened3::retry::0",
    }
    aside = rows["a::reopened3::retry::0"]
    assert (aside["state"], aside["is_retry_attempt"], aside["attempt_number"]) == (b"a", True, 0)
    assert aside["error_message"] == "set aside when the instance was reopened"
    assert rows["a::reopened3::retry::12"]["error_message"] == "it failed"
    assert (await database.row("i"))["checkpoint_id"] == "a2"


async def test_what_was_set_aside_is_saved_anew_and_set_aside_again(
    persistence: Persistence, database: Database
) -> None:
    """Each time under another name."""
    await put_instance(database, State.FAILED, checkpoint_id="a")
    await put_checkpoint(database, "a")
    states = []
    for _ in range(2):
        await reopen(persistence, "a")
        assert (await database.row("i"))["checkpoint_id"] is None
        await persistence.instances.register(Registration("i", TENANT), when=OPEN, at=START)
        attempt = RetryAttempt("a", 1, START)
        await persistence.checkpoints.record_retry(Caller("i"), attempt, when=OPEN, at=START)
        saved = await persistence.checkpoints.save(
            Caller("i"), CheckpointWrite("a", b"again"), when=WORKING, at=START
        )
        states.append(saved.kept)
        await persistence.events.end(Caller("i"), FAILED, BROKEN, when=WORKING, at=START)

    assert states == [None, None]
    names = [row["checkpoint_id"] for row in await database.rows("checkpoints")]
    assert sorted(names) == [
        "a",
        "a::reopened3::retry::0",
        "a::reopened5::retry::0",
        "a::reopened5::retry::1",
        "a::retry::1",
    ]


@pytest.mark.parametrize(
    ("parent", "tenant", "is_removed"),
    [
        (State.RUNNING, TENANT, True),
        (State.PAUSED, TENANT, True),
        (State.FAILED, TENANT, False),
        (State.RUNNING, "other", False),
    ],
)
async def test_an_open_parent_has_not_heard_of_an_ending_that_is_none(
    persistence: Persistence, database: Database, parent: State, tenant: str, is_removed: bool
) -> None:
    """It gets the next ending. The signals of a finished parent stay as they are."""
    await put_instance(database, parent, "parent", tenant_id=tenant)
    await put_instance(database, State.FAILED, parent_id="parent")
    for name in ("~child/i", "~child/other"):
        await database.put_custom_signal("parent", name, b"failed")

    await reopen(persistence)

    left = [row["checkpoint_id"] for row in await database.rows("pending_checkpoint_signals")]
    assert left == (["~child/other"] if is_removed else ["~child/i", "~child/other"])


async def test_a_parent_hears_of_the_next_ending(
    persistence: Persistence, database: Database
) -> None:
    """Once."""
    await put_instance(database, State.RUNNING, "parent")
    await put_instance(database, State.RUNNING, parent_id="parent")
    await persistence.events.end(Caller("i"), FAILED, BROKEN, when=WORKING, at=START)
    await reopen(persistence)
    await persistence.instances.register(Registration("i", TENANT), when=OPEN, at=START)

    ending = Ending(State.COMPLETED, output=b"out")
    done = Event(EventType.COMPLETED, b"out", START)
    await persistence.events.end(Caller("i"), done, ending, when=WORKING, at=START)

    (heard,) = await database.rows("pending_checkpoint_signals")
    assert json.loads(heard["payload"])["status"] == "completed"


@pytest.mark.parametrize("run", [None, 1, 2])
@pytest.mark.parametrize("is_other", [False, True])
async def test_a_late_ending_of_an_old_run_is_refused(
    persistence: Persistence, database: Database, run: int | None, is_other: bool
) -> None:
    """The run is an earlier one, or the connection never registered. The ending may be the same."""
    await put_instance(database, State.RUNNING)
    await persistence.events.end(Caller("i"), FAILED, BROKEN, when=WORKING, at=START)
    await reopen(persistence)
    stored = await database.snapshot()
    ending = Ending(State.FAILED, error="other") if is_other else BROKEN

    recorded = await persistence.events.end(
        Caller("i", run), FAILED, ending, when=WORKING, at=START
    )

    assert recorded == Recorded(RunState(State.ASLEEP, 3))
    assert await database.snapshot() == stored


@pytest.mark.parametrize("run", [None, 4])
async def test_once_a_run_has_begun_endings_are_taken_as_ever(
    persistence: Persistence, database: Database, run: int | None
) -> None:
    """Old clients reconnect without registering, and may be asleep meanwhile."""
    await put_instance(database, State.FAILED)
    await reopen(persistence)
    later = START + timedelta(seconds=1)
    begun = await persistence.instances.register(Registration("i", TENANT), when=OPEN, at=later)

    recorded = await persistence.events.end(
        Caller("i", run), FAILED, BROKEN, when=WORKING, at=later
    )

    assert begun.run == 4
    assert recorded.after is State.FAILED


async def test_what_says_something_of_its_own_is_not_taken_for_reopened(
    persistence: Persistence, database: Database
) -> None:
    """An event of a workflow may have any subtype; the next run begins with a `started`."""
    await put_instance(database, State.ASLEEP)
    for kind, subtype in (("custom", "runtara.reopened"), ("started", None), ("custom", "other")):
        said = {"instance_id": "i", "event_type": kind, "subtype": subtype}
        await database.put("instance_events", said)

    recorded = await persistence.events.end(Caller("i"), FAILED, BROKEN, when=WORKING, at=START)

    assert recorded.after is State.FAILED
