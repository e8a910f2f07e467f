"""Listing and counting events, by type, subtype, time and text."""

from datetime import datetime, timedelta

import pytest
from tests.contract.database import Database, Row
from tests.contract.states import EARLIER, put_instance
from tests.support.clock import START

from runtara_domain.model import EventFilter, EventType, StoredEvent
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import State

MILLISECOND = timedelta(milliseconds=1)


async def put_event(
    database: Database,
    payload: bytes | None = b"",
    *,
    instance_id: str = "i",
    type: EventType = EventType.CUSTOM,
    subtype: str | None = None,
    created_at: datetime = START,
) -> None:
    row: Row = {
        "instance_id": instance_id,
        "event_type": type,
        "payload": payload,
        "subtype": subtype,
        "created_at": created_at,
    }
    await database.put("instance_events", row)


async def found(persistence: Persistence, which: EventFilter) -> list[bytes]:
    """Read the payloads of what is meant, counted alike."""
    events = await persistence.events.page(which, limit=1000)
    assert await persistence.events.count(which) == len(events)
    return [event.payload for event in events]


@pytest.mark.parametrize("type", EventType)
async def test_an_event_is_read_as_it_was_stored(
    persistence: Persistence, database: Database, type: EventType
) -> None:
    """This holds for every type, also for those that only other programs store."""
    await put_instance(database, State.COMPLETED)
    row: Row = {"instance_id": "i", "event_type": type, "checkpoint_id": "c", "subtype": "log"}
    row |= {"payload": b"\x00\xff", "created_at": EARLIER}
    await database.put("instance_events", row)
    ids = [row["id"] for row in await database.rows("instance_events")]

    events = await persistence.events.page(EventFilter("i"))

    assert events == [StoredEvent(ids[0], "i", type, b"\x00\xff", EARLIER, "c", "log")]


async def test_an_event_without_anything_is_read(
    persistence: Persistence, database: Database
) -> None:
    """No payload is an empty one; no checkpoint and no subtype are none."""
    await put_instance(database, State.RUNNING)
    await put_event(database, None)

    (event,) = await persistence.events.page(EventFilter("i"))

    assert (event.payload, event.checkpoint_id, event.subtype) == (b"", None, None)


async def test_events_come_in_the_order_they_were_stored(
    persistence: Persistence, database: Database
) -> None:
    """The order is not that of their times. Events of other instances aren't among them."""
    await put_instance(database, State.RUNNING)
    await put_instance(database, State.RUNNING, "I")
    for number, offset in enumerate((5, -5, 0)):
        at = START + timedelta(seconds=offset)
        await put_event(database, f"{number}".encode(), created_at=at)
        await put_event(database, b"theirs", instance_id="I", created_at=at)

    assert await found(persistence, EventFilter("i")) == [b"0", b"1", b"2"]
    assert await found(persistence, EventFilter("unknown")) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
async def test_pages_follow_each_other(
    persistence: Persistence, database: Database, limit: int
) -> None:
    """Each behind the last id of the one before, with the same filter; then there is nothing."""
    await put_instance(database, State.RUNNING)
    for number in range(7):
        await put_event(database, f"{number}".encode(), subtype="log" if number % 2 else "metric")
    which = EventFilter("i", subtype="metric")
    read: list[bytes] = []
    after_id = 0

    while events := await persistence.events.page(which, after_id=after_id, limit=limit):
        assert len(events) <= limit
        read += [event.payload for event in events]
        after_id = events[-1].id
        assert len(read) <= 4

    assert read == [b"0", b"2", b"4", b"6"]
    passed_over = await persistence.events.page(which, offset=1, limit=limit)
    assert [event.payload for event in passed_over] == read[1:][:limit]
    assert await persistence.events.count(which) == 4


@pytest.mark.parametrize("type", EventType)
async def test_events_are_chosen_by_type(
    persistence: Persistence, database: Database, type: EventType
) -> None:
    """One type at a time."""
    await put_instance(database, State.RUNNING)
    for each in EventType:
        await put_event(database, each.encode(), type=each)

    assert await found(persistence, EventFilter("i", type=type)) == [type.encode()]


@pytest.mark.parametrize("subtype", ["log", "Log", "", "lo%", "é"])
async def test_events_are_chosen_by_subtype(
    persistence: Persistence, database: Database, subtype: str
) -> None:
    """The subtype must be equal. An empty one is not the same as none."""
    await put_instance(database, State.RUNNING)
    for each in (None, "log", "Log", "", "lo%", "é"):
        await put_event(database, repr(each).encode(), subtype=each)

    assert await found(persistence, EventFilter("i", subtype=subtype)) == [repr(subtype).encode()]


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (None, None, [b"-1", b"0", b"1"]),
        (START, None, [b"0", b"1"]),
        (None, START, [b"-1"]),
        (START, START + MILLISECOND, [b"0"]),
        (START, START, []),
        (START + MILLISECOND, START, []),
        (START - timedelta(days=9999), START + timedelta(days=9999), [b"-1", b"0", b"1"]),
    ],
)
async def test_events_are_chosen_by_time(
    persistence: Persistence,
    database: Database,
    since: datetime | None,
    until: datetime | None,
    expected: list[bytes],
) -> None:
    """The first bound is included, the second is not, to the millisecond."""
    await put_instance(database, State.RUNNING)
    for offset in (-1, 0, 1):
        at = START + offset * MILLISECOND
        await put_event(database, f"{offset}".encode(), created_at=at)

    assert await found(persistence, EventFilter("i", since=since, until=until)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("error", [b"an error", b"\x00\xfferror\xff"]),
        ("Error", [b"Error"]),
        ("an error", [b"an error"]),
        ("é", ["é".encode(), b"\xc3\xa9\xff"]),
        ("%", [b"%"]),
        ("_", [b"_"]),
        ("\\", [b"\\"]),
        ("'; --", [b"'; --"]),
        ("\0", [b"\x00\xfferror\xff"]),
        ("missing", []),
    ],
)
async def test_events_are_chosen_by_text_in_any_payload(
    persistence: Persistence, database: Database, text: str, expected: list[bytes]
) -> None:
    """The bytes are compared: binary payloads neither fail nor hide their text."""
    await put_instance(database, State.RUNNING)
    payloads = [
        *(b"an error", b"Error", b"\x00\xfferror\xff", b"", None, b"er\xffror", b"\xc3"),
        *("é".encode(), b"\xc3\xa9\xff", "e\u0301".encode(), b"%", b"_", b"\\", b"'; --"),
    ]
    for payload in payloads:
        await put_event(database, payload)

    assert await found(persistence, EventFilter("i", text=text)) == expected


async def test_filters_go_together(persistence: Persistence, database: Database) -> None:
    """An event must fit all of them."""
    await put_instance(database, State.RUNNING)
    await put_event(database, b"the one: x", subtype="log")
    await put_event(database, b"type: x", subtype="log", type=EventType.PROGRESS)
    await put_event(database, b"subtype: x", subtype="metric")
    await put_event(database, b"early: x", subtype="log", created_at=EARLIER)
    await put_event(database, b"late: x", subtype="log", created_at=START + MILLISECOND)
    await put_event(database, b"text", subtype="log")
    which = EventFilter("i", EventType.CUSTOM, "log", START, START + MILLISECOND, ": x")

    assert await found(persistence, which) == [b"the one: x"]
