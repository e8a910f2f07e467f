"""`suspended`: where it leads by what is pending, and what it settles."""

from dataclasses import replace

import pytest
from tests.contract.database import Database
from tests.contract.states import EARLIER, TENANT, WAKE, put_instance
from tests.support.clock import START

from runtara_domain.model import (
    Caller,
    Ending,
    Event,
    EventStep,
    EventType,
    Recorded,
    Registration,
    RunState,
)
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import ANY, OPEN, InstanceStatus, SignalType, State, settle

ME = Caller("i")
EVENT = Event(EventType.SUSPENDED, b"why", EARLIER)
SIGNALS = (None, SignalType.CANCEL, SignalType.PAUSE, SignalType.RESUME)
EVERY = [(state, signal) for state in sorted(State) for signal in SIGNALS]
CASES = pytest.mark.parametrize(("state", "signal"), EVERY)
REFUSED = [case for case in EVERY if settle(*case) is None]
MOVED = [case for case in EVERY if settle(*case) not in (None, case[0])]
STAYED = [case for case in EVERY if settle(*case) is case[0]]


async def put_signalled(database: Database, state: State, signal: SignalType | None) -> None:
    await put_instance(database, state)
    if signal is not None:
        await database.put_signal("i", signal, b"payload")


@CASES
async def test_suspended_leads_where_the_domain_settles_it(
    persistence: Persistence, database: Database, state: State, signal: SignalType | None
) -> None:
    """Every state with every pending signal, none included."""
    await put_signalled(database, state, signal)

    recorded = await persistence.events.suspend(ME, EVENT, at=START)

    run_state = await persistence.instances.run_state("i")
    assert recorded.before is not None
    assert (recorded.before.state, recorded.before.run) == (state, 2)
    assert (recorded.after, recorded.repeated) == (settle(state, signal), False)
    assert run_state is not None
    assert run_state.state is (recorded.after or state)


@pytest.mark.parametrize(("state", "signal"), REFUSED)
async def test_where_it_is_refused_nothing_is_written(
    persistence: Persistence, database: Database, state: State, signal: SignalType | None
) -> None:
    """No event, no acknowledgement, no activity."""
    await put_signalled(database, state, signal)
    stored = await database.snapshot()

    await persistence.events.suspend(ME, EVENT, at=START)

    assert await database.snapshot() == stored


@pytest.mark.parametrize(("state", "signal"), MOVED)
async def test_a_move_clears_what_would_wake_it(
    persistence: Persistence, database: Database, state: State, signal: SignalType | None
) -> None:
    """A move to CANCELLED sets `finished_at`, one to paused does not."""
    await put_signalled(database, state, signal)
    row = await database.row("i")

    await persistence.events.suspend(ME, EVENT, at=START)

    cancelled = signal is SignalType.CANCEL
    assert await database.row("i") == row | {
        "status": InstanceStatus.CANCELLED if cancelled else InstanceStatus.SUSPENDED,
        "finished_at": START if cancelled else None,
        "last_activity_at": START,
        "waits": None,
        "sleep_until": None,
        "wake_claim_until": None,
        "wake_claim_by": None,
    }


@pytest.mark.parametrize(("state", "signal"), STAYED)
async def test_what_is_suspended_already_stays_as_it_is(
    persistence: Persistence, database: Database, state: State, signal: SignalType | None
) -> None:
    """Deadline and claim stay, too. Only the sign of life is stored."""
    await put_signalled(database, state, signal)
    row = await database.row("i")

    await persistence.events.suspend(ME, EVENT, at=START)

    assert await database.row("i") == row | {"last_activity_at": START}
    assert row["sleep_until"] == (WAKE if state is State.ASLEEP else None)


@pytest.mark.parametrize(("state", "signal"), MOVED + STAYED)
async def test_the_event_is_kept(
    persistence: Persistence, database: Database, state: State, signal: SignalType | None
) -> None:
    """Once, with the time it says it happened."""
    await put_signalled(database, state, signal)

    await persistence.events.suspend(ME, EVENT, at=START)

    (event,) = await database.rows("instance_events")
    assert (event["instance_id"], event["event_type"]) == ("i", "suspended")
    assert (event["payload"], event["created_at"]) == (b"why", EARLIER)


@pytest.mark.parametrize(("state", "signal"), [case for case in MOVED + STAYED if case[1]])
async def test_a_pending_cancel_or_pause_is_acknowledged_by_it(
    persistence: Persistence, database: Database, state: State, signal: SignalType
) -> None:
    """A resume stays pending, so that the instance is due at once; others' signals stay too."""
    await put_signalled(database, state, signal)
    await put_instance(database, State.RUNNING, "other")
    await database.put_signal("other", signal)

    await persistence.events.suspend(ME, EVENT, at=START)

    mine, others = await database.rows("pending_signals")
    assert mine["acknowledged_at"] == (None if signal is SignalType.RESUME else START)
    assert (mine["signal_type"], mine["payload"]) == (signal, b"payload")
    assert others["acknowledged_at"] is None


@pytest.mark.parametrize("signal", sorted(SignalType))
async def test_an_acknowledged_signal_counts_no_more(
    persistence: Persistence, database: Database, signal: SignalType
) -> None:
    """An instance that says `suspended` right after acknowledging is just paused."""
    await put_instance(database, State.RUNNING)
    await database.put_signal("i", signal, acknowledged_at=EARLIER)

    recorded = await persistence.events.suspend(ME, EVENT, at=START)

    assert recorded.after is State.PAUSED
    assert (await database.rows("pending_signals"))[0]["acknowledged_at"] == EARLIER


@pytest.mark.parametrize(("run", "admitted"), [(1, False), (2, True), (3, True), (None, True)])
async def test_a_superseded_run_settles_nothing(
    persistence: Persistence, database: Database, run: int | None, admitted: bool
) -> None:
    """The signal is for the newer run."""
    before = await put_instance(database, State.RUNNING)
    await database.put_signal("i", SignalType.CANCEL)
    stored = await database.snapshot()

    recorded = await persistence.events.suspend(Caller("i", run), EVENT, at=START)

    assert recorded == Recorded(before, after=State.CANCELLED if admitted else None)
    assert (await database.snapshot() != stored) is admitted


@pytest.mark.parametrize("run", [2, 3, None])
@pytest.mark.parametrize("state", sorted(OPEN))
async def test_what_settled_a_cancel_may_come_again_and_is_recorded_once(
    persistence: Persistence, database: Database, state: State, run: int | None
) -> None:
    """The first answer was lost: the second says that it has happened, also after later events."""
    await put_signalled(database, state, SignalType.CANCEL)
    await persistence.events.suspend(ME, EVENT, at=EARLIER)
    late = Event(EventType.CUSTOM, b"late", EARLIER)
    await persistence.events.append(ME, late, when=ANY, at=EARLIER)
    stored = await database.snapshot()

    recorded = await persistence.events.suspend(Caller("i", run), EVENT, at=START)

    assert recorded == Recorded(RunState(State.CANCELLED, 2), repeated=True, after=State.CANCELLED)
    assert await database.snapshot() == stored


async def test_in_a_batch_it_is_recognised_too(
    persistence: Persistence, database: Database
) -> None:
    """This holds also if the first one was in the same batch."""
    await put_signalled(database, State.RUNNING, SignalType.CANCEL)
    steps = [EventStep(ME, EVENT, OPEN)] * 2

    first, second = await persistence.events.record_all(steps, at=START)
    third, _ = await persistence.events.record_all(steps, at=START)

    assert (first.repeated, second.repeated, third.repeated) == (False, True, True)
    assert await database.events("i") == ["suspended"]


@pytest.mark.parametrize(
    ("payload", "run"), [(b"another", 2), (b"", 2), (b"why", 1)], ids=["other", "empty", "older"]
)
async def test_another_one_changes_nothing(
    persistence: Persistence, database: Database, payload: bytes, run: int
) -> None:
    """Another payload, or a run that was superseded."""
    await put_signalled(database, State.RUNNING, SignalType.CANCEL)
    await persistence.events.suspend(ME, EVENT, at=EARLIER)
    stored = await database.snapshot()

    again = replace(EVENT, payload=payload)
    recorded = await persistence.events.suspend(Caller("i", run), again, at=START)

    assert recorded == Recorded(RunState(State.CANCELLED, 2))
    assert await database.snapshot() == stored


async def test_one_that_another_end_came_before_is_refused(
    persistence: Persistence, database: Database
) -> None:
    """It paused the instance, which was ended from outside; or it is of a life before."""
    await put_instance(database, State.RUNNING)
    await put_instance(database, State.RUNNING, "other")
    for name in ("i", "other"):
        await persistence.events.suspend(Caller(name), EVENT, at=EARLIER)
    await persistence.instances.finish(ME, Ending(State.CANCELLED), when=OPEN, at=EARLIER)
    again = Registration("other", TENANT)
    await persistence.instances.register(again, when=OPEN, at=EARLIER)
    await database.put_signal("other", SignalType.CANCEL)
    await persistence.signals.acknowledge(Caller("other"), SignalType.CANCEL, at=EARLIER)

    recorded = [
        await persistence.events.suspend(Caller(name), EVENT, at=START) for name in ("i", "other")
    ]

    assert [one.repeated for one in recorded] == [False, False]
    assert [one.after for one in recorded] == [None, None]


async def test_an_unknown_instance_cannot_suspend(
    persistence: Persistence, database: Database
) -> None:
    """Nothing is created for it."""
    recorded = await persistence.events.suspend(ME, EVENT, at=START)

    assert recorded == Recorded(before=None)
    assert await database.rows("instance_events") == []
