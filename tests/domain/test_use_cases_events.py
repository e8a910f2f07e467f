from datetime import UTC, datetime, timedelta

import pytest
from tests.domain.desk import ID, Desk

from runtara_domain.error import (
    InstanceNotFound,
    InstanceSuperseded,
    InvalidInstanceState,
    InvalidValue,
)
from runtara_domain.model import Caller, EventType, Report
from runtara_domain.status import ANY, FINAL, OPEN, WORKING, SignalType, State

ENDINGS = {EventType.COMPLETED: State.COMPLETED, EventType.FAILED: State.FAILED}
KEPT = [EventType.COMPLETED, EventType.FAILED, EventType.SUSPENDED, EventType.CUSTOM]
MILLISECOND = timedelta(milliseconds=1)


@pytest.mark.parametrize("state", sorted(ANY))
async def test_a_custom_event_is_kept_in_every_state_and_moves_nothing(
    desk: Desk, state: State
) -> None:
    desk.put(state)

    await desk.say(desk.session(), EventType.CUSTOM, b"payload", subtype="log")

    [row] = desk.store.instance_events
    assert (row.event_type, row.payload, row.subtype) == (EventType.CUSTOM, b"payload", "log")
    assert desk.state() is state


@pytest.mark.parametrize("state", sorted(WORKING))
@pytest.mark.parametrize(("ending", "final"), ENDINGS.items())
async def test_an_ending_is_kept_with_its_move(
    desk: Desk, state: State, ending: EventType, final: State
) -> None:
    row = desk.put(state)

    await desk.say(desk.session(), ending, b"words")

    assert (row.state, row.finished_at, row.sleep_until) == (final, desk.clock.now(), None)
    assert (row.output, row.error) == (
        (b"words", None) if final == "completed" else (None, "words")
    )
    assert desk.said() == [(ending, b"words")]


@pytest.mark.parametrize("state", [State.PENDING, State.PAUSED])
@pytest.mark.parametrize("ending", ENDINGS)
async def test_an_instance_not_at_work_cannot_end(
    desk: Desk, state: State, ending: EventType
) -> None:
    desk.put(state)

    with pytest.raises(InvalidInstanceState, match=f"is {state}: .* must be asleep or running"):
        await desk.say(desk.session(), ending)

    assert (desk.state(), desk.said()) == (state, [])


@pytest.mark.parametrize("ending", ENDINGS)
async def test_the_same_ending_again_is_a_success_kept_once(desk: Desk, ending: EventType) -> None:
    """The answer was lost: the client asks again, perhaps on a new connection."""
    session = await desk.registered()
    await desk.say(session, ending, b"words")
    desk.clock.advance(MILLISECOND)

    for again in (session, desk.session()):
        await desk.say(again, ending, b"words")

    row = desk.store.instances[ID]
    assert row.finished_at == desk.clock.now() - MILLISECOND
    assert desk.said() == [(EventType.STARTED, b""), (ending, b"words")]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((EventType.COMPLETED, b"one"), (EventType.COMPLETED, b"two")),
        ((EventType.COMPLETED, b"one"), (EventType.FAILED, b"one")),
        ((EventType.FAILED, b"one"), (EventType.FAILED, b"two")),
        ((EventType.FAILED, b"one"), (EventType.COMPLETED, b"one")),
    ],
)
async def test_another_ending_is_refused_and_changes_nothing(
    desk: Desk, first: tuple[EventType, bytes], second: tuple[EventType, bytes]
) -> None:
    session = await desk.registered()
    await desk.say(session, *first)
    row = desk.store.instances[ID]
    before = (row.state, row.output, row.error, row.finished_at)

    with pytest.raises(InvalidInstanceState, match=f"is {ENDINGS[first[0]]}"):
        await desk.say(session, *second)

    assert (row.state, row.output, row.error, row.finished_at) == before


@pytest.mark.parametrize("payload", [b"", b"\xff\xfe", b"a\0b"])
async def test_an_error_that_is_no_text_becomes_a_text_that_says_so(
    desk: Desk, payload: bytes
) -> None:
    row = desk.put(State.RUNNING)

    await desk.say(desk.session(), EventType.FAILED, payload)

    assert row.error
    assert "\0" not in row.error
    assert row.error.startswith("(")


@pytest.mark.parametrize(
    ("state", "pending", "after"),
    [
        (State.RUNNING, None, State.PAUSED),
        (State.RUNNING, SignalType.RESUME, State.PAUSED),
        (State.RUNNING, SignalType.PAUSE, State.PAUSED),
        (State.RUNNING, SignalType.CANCEL, State.CANCELLED),
        (State.ASLEEP, None, State.ASLEEP),
        (State.ASLEEP, SignalType.RESUME, State.ASLEEP),
        (State.ASLEEP, SignalType.PAUSE, State.PAUSED),
        (State.ASLEEP, SignalType.CANCEL, State.CANCELLED),
        (State.PAUSED, None, State.PAUSED),
        (State.PAUSED, SignalType.RESUME, State.PAUSED),
        (State.PAUSED, SignalType.PAUSE, State.PAUSED),
        (State.PAUSED, SignalType.CANCEL, State.CANCELLED),
        (State.PENDING, SignalType.CANCEL, State.CANCELLED),
    ],
)
async def test_suspended_settles_what_is_pending(
    desk: Desk, state: State, pending: SignalType | None, after: State
) -> None:
    row = desk.put(state)
    signal = desk.put_signal(pending) if pending else None

    await desk.say(desk.session(), EventType.SUSPENDED, b"why")

    assert row.state is after
    assert row.finished_at == (desk.clock.now() if after.is_final else None)
    if signal is not None:
        assert (signal.acknowledged_at is None) is (pending is SignalType.RESUME)
    assert desk.said() == [(EventType.SUSPENDED, b"why")]


@pytest.mark.parametrize("state", sorted(FINAL | {State.PENDING}))
async def test_suspended_is_refused_where_nothing_runs(desk: Desk, state: State) -> None:
    desk.put(state)

    with pytest.raises(InvalidInstanceState, match=f"is {state}: .* must be"):
        await desk.say(desk.session(), EventType.SUSPENDED)

    assert (desk.state(), desk.said()) == (state, [])


async def test_suspended_that_settled_a_cancel_may_come_again(desk: Desk) -> None:
    """Its answer was lost: from the same connection and from another, it is kept once."""
    session = await desk.registered()
    desk.put_signal(SignalType.CANCEL)

    for connection in (session, session, desk.session()):
        await desk.say(connection, EventType.SUSPENDED, b"why")

    assert (desk.state(), desk.slots.taken) == (State.CANCELLED, 0)
    assert desk.said().count((EventType.SUSPENDED, b"why")) == 1
    with pytest.raises(InvalidInstanceState):
        await desk.say(session, EventType.SUSPENDED, b"another")


async def test_suspended_under_a_cancel_frees_the_place(desk: Desk) -> None:
    session = await desk.registered()
    desk.put_signal(SignalType.CANCEL)

    await desk.say(session, EventType.SUSPENDED)

    assert desk.slots.taken == 0


@pytest.mark.parametrize("kind", KEPT)
async def test_an_unknown_instance_is_not_found(desk: Desk, kind: EventType) -> None:
    with pytest.raises(InstanceNotFound, match="not found"):
        await desk.say(desk.session(), kind)


@pytest.mark.parametrize("kind", KEPT)
async def test_an_older_run_is_superseded_and_keeps_its_successors_place(
    desk: Desk, kind: EventType
) -> None:
    older = await desk.registered()
    await desk.registered()

    with pytest.raises(InstanceSuperseded):
        await desk.say(older, kind)

    assert (desk.state(), desk.slots.taken) == (State.RUNNING, 1)


async def test_an_instance_cannot_say_that_it_started(desk: Desk) -> None:
    """The core says so itself, once a run."""
    with pytest.raises(InvalidValue, match="event_type"):
        await desk.say(await desk.registered(), EventType.STARTED)


@pytest.mark.parametrize("kind", KEPT)
async def test_an_event_has_the_time_its_client_gave(desk: Desk, kind: EventType) -> None:
    desk.put(State.RUNNING)
    hour_ago = desk.clock.now() - timedelta(hours=1)

    await desk.say(desk.session(), kind, created_at=hour_ago)

    assert desk.store.instance_events[0].created_at == hour_ago


async def test_a_time_from_2000_to_a_day_ahead_is_believed(desk: Desk) -> None:
    desk.put(State.RUNNING)
    earliest = datetime(2000, 1, 1, tzinfo=UTC)
    latest = desk.clock.now() + timedelta(days=1)
    given = [earliest - MILLISECOND, earliest, latest, latest + MILLISECOND]

    for created_at in given:
        await desk.say(desk.session(), EventType.CUSTOM, created_at=created_at)

    kept = [row.created_at for row in desk.store.instance_events]
    assert kept == [desk.clock.now(), earliest, latest, desk.clock.now()]


@pytest.mark.parametrize("state", sorted(OPEN))
async def test_a_heartbeat_of_an_open_instance_is_heard_and_adds_no_row(
    desk: Desk, state: State
) -> None:
    row = desk.put(state)

    await desk.heartbeat(caller=Caller(ID))
    await desk.activity.flush()

    assert row.last_activity_at == desk.clock.now()
    assert (row.state, desk.said()) == (state, [])


@pytest.mark.parametrize("state", sorted(FINAL))
async def test_a_heartbeat_of_a_finished_instance_is_refused(desk: Desk, state: State) -> None:
    row = desk.put(state)

    with pytest.raises(InvalidInstanceState, match=f"is {state}"):
        await desk.heartbeat(caller=Caller(ID))
    await desk.activity.flush()

    assert row.last_activity_at is None


async def test_a_heartbeat_of_an_unknown_or_older_run_is_refused(desk: Desk) -> None:
    with pytest.raises(InstanceNotFound):
        await desk.heartbeat(caller=Caller(ID))
    desk.put(State.RUNNING, run=2)
    with pytest.raises(InstanceSuperseded):
        await desk.heartbeat(caller=Caller(ID, 1))


async def test_the_status_is_read_in_any_run_and_an_unknown_one_is_no_error(desk: Desk) -> None:
    assert await desk.get_instance_status(caller=Caller(ID)) is None
    desk.put(State.FAILED, run=2, error="it broke")

    instance = await desk.get_instance_status(caller=Caller(ID, 1))

    assert instance is not None
    assert (instance.state, instance.run, instance.error) == (State.FAILED, 2, "it broke")


async def test_a_heartbeat_brings_what_the_instance_reports(desk: Desk) -> None:
    """Durably, and only of an open instance's current run."""
    row = desk.put(State.RUNNING, run=2)
    await desk.heartbeat(caller=Caller(ID, 2), report=Report("[]", b'"half"'))

    assert (row.waits, row.progress, row.last_activity_at) == ("[]", b'"half"', desk.clock.now())
    with pytest.raises(InstanceSuperseded):
        await desk.heartbeat(caller=Caller(ID, 1), report=Report(progress=b"old"))
    with pytest.raises(InvalidValue, match="progress: takes"):
        Report(progress=b"x" * 65_537)
    assert row.progress == b'"half"'
