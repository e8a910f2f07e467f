"""Events that move nothing: kept in order, and a sign of life."""

from datetime import timedelta

import pytest
from tests.contract.database import Database
from tests.contract.states import EARLIER, put_instance
from tests.support.clock import START

from runtara_domain.model import Caller, Event, EventType, Recorded
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import ANY, FINAL, OPEN, WORKING, State

ME = Caller("i")
SAID = START - timedelta(milliseconds=7)
EVENT = Event(EventType.CUSTOM, b"\x00said\xff", SAID, checkpoint_id="c", subtype="log")


@pytest.mark.parametrize("state", sorted(State))
async def test_a_custom_event_is_kept_in_every_state(
    persistence: Persistence, database: Database, state: State
) -> None:
    """It has its own time, and changes no state."""
    before = await put_instance(database, state)

    recorded = await persistence.events.append(ME, EVENT, when=ANY, at=START)

    (row,) = await database.rows("instance_events")
    assert recorded == Recorded(before, after=state)
    assert {name: row[name] for name in row if name != "id"} == {
        "instance_id": "i",
        "event_type": "custom",
        "checkpoint_id": "c",
        "payload": b"\x00said\xff",
        "subtype": "log",
        "created_at": SAID,
    }


@pytest.mark.parametrize("state", sorted(OPEN))
async def test_an_event_shows_a_live_process(
    persistence: Persistence, database: Database, state: State
) -> None:
    """`last_activity_at` is the server's clock, not the event's, and all else stays."""
    await put_instance(database, state)
    row = await database.row("i")

    await persistence.events.append(ME, EVENT, when=ANY, at=START)

    assert await database.row("i") == row | {"last_activity_at": START}


@pytest.mark.parametrize("state", sorted(FINAL))
async def test_nothing_in_a_finished_row_changes(
    persistence: Persistence, database: Database, state: State
) -> None:
    """The event itself is kept."""
    await put_instance(database, state, last_activity_at=EARLIER)
    row = await database.row("i")

    await persistence.events.append(ME, EVENT, when=ANY, at=START)

    assert await database.row("i") == row


@pytest.mark.parametrize("state", sorted(State))
async def test_the_condition_handed_in_decides(
    persistence: Persistence, database: Database, state: State
) -> None:
    """An instance that does not admit the caller is left alone, and so are the events."""
    before = await put_instance(database, state)
    stored = await database.snapshot()

    recorded = await persistence.events.append(ME, EVENT, when=WORKING, at=START)

    admitted = state in WORKING
    assert recorded == Recorded(before, after=state if admitted else None)
    assert (await database.snapshot() != stored) is admitted


@pytest.mark.parametrize(("run", "admitted"), [(1, False), (2, True), (3, True), (None, True)])
@pytest.mark.parametrize("state", [State.RUNNING, State.COMPLETED])
async def test_a_superseded_run_is_not_heard(
    persistence: Persistence, database: Database, state: State, run: int | None, admitted: bool
) -> None:
    """This holds in final states as in open ones."""
    before = await put_instance(database, state)

    recorded = await persistence.events.append(Caller("i", run), EVENT, when=ANY, at=START)

    assert recorded == Recorded(before, after=state if admitted else None)
    assert await database.events("i") == (["custom"] if admitted else [])


async def test_an_unknown_instance_keeps_nothing(
    persistence: Persistence, database: Database
) -> None:
    """Nothing is created for it."""
    recorded = await persistence.events.append(ME, EVENT, when=ANY, at=START)

    assert recorded == Recorded(before=None)
    assert await database.rows("instance_events") == []


async def test_events_keep_the_order_they_came_in(
    persistence: Persistence, database: Database
) -> None:
    """Their times don't matter. An event may have no subtype and no payload."""
    await put_instance(database, State.RUNNING)
    for offset in (5, -5, 0):
        event = Event(EventType.CUSTOM, b"", START + timedelta(seconds=offset))
        await persistence.events.append(ME, event, when=ANY, at=START)

    rows = await database.rows("instance_events")

    assert [(row["created_at"] - START).total_seconds() for row in rows] == [5, -5, 0]
    assert [row["id"] for row in rows] == sorted({row["id"] for row in rows})
    assert {(row["subtype"], row["checkpoint_id"], row["payload"]) for row in rows} == {
        (None, None, b"")
    }
