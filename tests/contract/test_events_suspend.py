import pytest
from tests.contract.database import Database
from tests.contract.states import EARLIER, WAKE, put_instance
from tests.support.clock import START

from runtara_domain.model import Caller, Event, EventType, Recorded
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import InstanceStatus, SignalType, State, settle

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

    standing = await persistence.instances.standing("i")
    assert recorded.before is not None
    assert (recorded.before.state, recorded.before.run) == (state, 2)
    assert (recorded.after, recorded.repeated) == (settle(state, signal), False)
    assert standing is not None
    assert standing.state is (recorded.after or state)


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
        "sleep_until": None,
        "wake_claim_until": None,
        "wake_claim_by": None,
    }


@pytest.mark.parametrize(("state", "signal"), STAYED)
async def test_what_is_suspended_already_stays_as_it_is(
    persistence: Persistence, database: Database, state: State, signal: SignalType | None
) -> None:
    """With its deadline and whoever claimed it; only a live process has shown."""
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
    """The signal is its successor's to hear."""
    before = await put_instance(database, State.RUNNING)
    await database.put_signal("i", SignalType.CANCEL)
    stored = await database.snapshot()

    recorded = await persistence.events.suspend(Caller("i", run), EVENT, at=START)

    assert recorded == Recorded(before, after=State.CANCELLED if admitted else None)
    assert (await database.snapshot() != stored) is admitted


async def test_an_unknown_instance_cannot_suspend(
    persistence: Persistence, database: Database
) -> None:
    """Nothing is created for it."""
    recorded = await persistence.events.suspend(ME, EVENT, at=START)

    assert recorded == Recorded(before=None)
    assert await database.rows("instance_events") == []
