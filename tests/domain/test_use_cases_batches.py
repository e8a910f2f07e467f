import asyncio
import logging

import pytest
from tests.domain.desk import ID, Desk, settled

from runtara_domain.error import InstanceSuperseded, InvalidInstanceState, InvalidValue
from runtara_domain.model import Caller, Event, EventType
from runtara_domain.sessions import Session
from runtara_domain.status import State


def event(desk: Desk, kind: EventType, payload: bytes = b"") -> Event:
    return Event(kind, payload, desk.clock.now())


async def send(desk: Desk, session: Session, *entries: tuple[Caller, Event]) -> None:
    await desk.record_events(session=session, entries=entries)


async def test_events_are_kept_in_their_order_with_their_moves(desk: Desk) -> None:
    session = await desk.registered()
    caller = session.caller(ID)

    await send(
        desk,
        session,
        (caller, event(desk, EventType.CUSTOM, b"one")),
        (caller, event(desk, EventType.CUSTOM, b"two")),
        (caller, event(desk, EventType.COMPLETED, b"done")),
    )

    assert [payload for _, payload in desk.said()][1:] == [b"one", b"two", b"done"]
    assert desk.state() is State.COMPLETED
    assert desk.slots.taken == 0


async def test_bad_ones_are_skipped_and_logged_in_one_line_and_the_others_are_kept(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    session = await desk.registered()

    with caplog.at_level(logging.WARNING):
        await send(
            desk,
            session,
            (Caller("nobody"), event(desk, EventType.CUSTOM, b"lost")),
            (session.caller(ID), event(desk, EventType.COMPLETED, b"done")),
            (session.caller(ID), event(desk, EventType.FAILED, b"too late")),
            (session.caller(ID), event(desk, EventType.CUSTOM, b"after")),
        )

    assert [payload for _, payload in desk.said()][1:] == [b"done", b"after"]
    [said] = caplog.messages
    assert "skipped: 2, the first" in said
    assert "nobody" in said


async def test_what_was_refused_before_is_counted_in_the_same_line(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    session = await desk.registered()
    refused = [InvalidValue("event_type: takes others")]

    with caplog.at_level(logging.WARNING):
        await desk.record_events(
            session=session,
            entries=[(Caller("nobody"), event(desk, EventType.CUSTOM, b"lost"))],
            refused=refused,
        )

    [said] = caplog.messages
    assert said == "events of a batch skipped: 2, the first: event_type: takes others"


async def test_the_same_ending_twice_is_recorded_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    session = await desk.registered()
    done = (session.caller(ID), event(desk, EventType.COMPLETED, b"done"))

    await send(desk, session, done, done)

    assert [kind for kind, _ in desk.said()] == [EventType.STARTED, EventType.COMPLETED]
    assert caplog.messages == []


async def test_a_superseded_run_is_refused_and_nothing_of_it_is_kept(desk: Desk) -> None:
    """The events of others in the batch are kept all the same."""
    old = await desk.registered()
    await desk.register(old, "i-2")
    await desk.registered()

    with pytest.raises(InstanceSuperseded):
        await send(
            desk,
            old,
            (old.caller(ID), event(desk, EventType.CUSTOM, b"late")),
            (old.caller("i-2"), event(desk, EventType.CUSTOM, b"kept")),
        )

    assert b"late" not in [payload for _, payload in desk.said()]
    assert b"kept" in [payload for _, payload in desk.said()]


async def test_a_heartbeat_in_it_shows_life_and_adds_nothing(desk: Desk) -> None:
    session = await desk.registered()
    before = desk.said()
    desk.row.last_activity_at = None

    await desk.record_events(session=session, entries=(), heartbeats=[session.caller(ID)])
    await desk.activity.flush()

    assert desk.said() == before
    assert desk.row.last_activity_at == desk.clock.now()


async def test_a_heartbeat_of_an_older_run_in_it_is_refused(desk: Desk) -> None:
    """A process that shows life by batches alone must learn that it has to stop."""
    older = (await desk.registered()).caller(ID)
    newer = await desk.registered()

    with pytest.raises(InstanceSuperseded):
        await desk.record_events(session=newer, entries=(), heartbeats=[older])


async def test_an_ending_in_it_ends_a_held_sleep(desk: Desk) -> None:
    async with desk.at_work():
        session = await desk.registered()
        sleep = await desk.asleep(session)

        await send(desk, session, (session.caller(ID), event(desk, EventType.FAILED, b"x")))

        with pytest.raises(InvalidInstanceState):
            await sleep


async def test_a_caller_cancelled_amid_it_leaves_all_or_nothing(desk: Desk) -> None:
    session = await desk.registered()
    caller = session.caller(ID)
    entries = [(caller, event(desk, EventType.CUSTOM, b"%d" % number)) for number in range(5)]
    task = asyncio.create_task(send(desk, session, *entries))
    await asyncio.sleep(0)

    task.cancel()
    await asyncio.wait([task])
    await settled()

    assert len(desk.said()) in (1, 6)
