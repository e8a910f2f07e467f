"""`suspended` with a reason blocks the instance; what it awaits is kept with a suspension."""

from dataclasses import replace

import pytest
from tests.contract.database import Database
from tests.contract.states import EARLIER, put_instance
from tests.support.clock import START

from runtara_domain.model import Caller, Event, EventStep, EventType, Recorded
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import ANY, FINAL, OPEN, SignalType, State

ME = Caller("i")
BLOCKED = Event(
    EventType.SUSPENDED, b"why", EARLIER, blocked_reason="step 2 is gone", waits='[{"kind": "a"}]'
)
WAITING = Event(EventType.SUSPENDED, b"", EARLIER, waits='[{"kind": "b"}]')


@pytest.mark.parametrize("signal", [None, *SignalType])
@pytest.mark.parametrize("state", sorted(OPEN))
async def test_an_instance_that_says_why_it_cannot_go_on_is_blocked(
    persistence: Persistence, database: Database, state: State, signal: SignalType | None
) -> None:
    """This holds in any open state and for any pending signal, which stays and wakes nothing."""
    before = await put_instance(database, state)
    row = await database.row("i")
    if signal is not None:
        await database.put_signal("i", signal)
    told = await database.rows("pending_signals")

    recorded = await persistence.events.suspend(ME, BLOCKED, at=START)

    assert recorded == Recorded(before, after=State.PAUSED)
    assert await database.row("i") == row | {
        "status": "suspended",
        "error": "step 2 is gone",
        "waits": '[{"kind": "a"}]',
        "blocked_signal_at": None if signal is None else START,
        "last_activity_at": START,
        "sleep_until": None,
        "wake_claim_until": None,
        "wake_claim_by": None,
    }
    assert await database.rows("pending_signals") == told
    (event,) = await database.rows("instance_events")
    assert (event["event_type"], event["payload"]) == ("suspended", b"why")


@pytest.mark.parametrize("state", sorted(FINAL))
async def test_a_finished_instance_is_not_blocked(
    persistence: Persistence, database: Database, state: State
) -> None:
    """This holds also if the same event without a reason acknowledged its cancel."""
    before = await put_instance(database, state)
    await database.put_signal("i", SignalType.CANCEL, acknowledged_at=EARLIER)
    said = {"instance_id": "i", "event_type": "suspended", "payload": b"why"}
    await database.put("instance_events", said)
    stored = await database.snapshot()

    recorded = await persistence.events.suspend(ME, BLOCKED, at=START)

    assert recorded == Recorded(before)
    assert await database.snapshot() == stored


async def test_an_older_run_blocks_nothing(persistence: Persistence, database: Database) -> None:
    """Another process may be able to go on."""
    before = await put_instance(database, State.RUNNING)
    stored = await database.snapshot()

    recorded = await persistence.events.suspend(Caller("i", 1), BLOCKED, at=START)

    assert recorded == Recorded(before)
    assert await database.snapshot() == stored


async def test_a_signal_sent_since_is_not_passed_over_by_the_same_event_again(
    persistence: Persistence, database: Database
) -> None:
    """Its answer was lost, an operator resumed the instance, and the process asks once more."""
    await put_instance(database, State.RUNNING)
    await persistence.events.suspend(ME, BLOCKED, at=START)
    await database.put_signal("i", SignalType.RESUME)

    await persistence.events.suspend(ME, replace(BLOCKED, blocked_reason="other"), at=START)

    row = await database.row("i")
    assert (row["blocked_signal_at"], row["error"]) == (None, "other")


async def test_a_batch_blocks_too(persistence: Persistence, database: Database) -> None:
    """The block happens in the order of the batch."""
    await put_instance(database, State.RUNNING)
    said = Event(EventType.CUSTOM, b"", START)

    recorded = await persistence.events.record_all(
        [EventStep(ME, said, ANY), EventStep(ME, BLOCKED, OPEN), EventStep(ME, said, ANY)], at=START
    )

    assert [one.after for one in recorded] == [State.RUNNING, State.PAUSED, State.PAUSED]
    assert (await database.row("i"))["error"] == "step 2 is gone"


@pytest.mark.parametrize(
    ("state", "signal", "event", "waits"),
    [
        (State.RUNNING, None, WAITING, '[{"kind": "b"}]'),
        (State.RUNNING, None, replace(WAITING, waits=None), None),
        (State.RUNNING, SignalType.PAUSE, WAITING, '[{"kind": "b"}]'),
        (State.RUNNING, SignalType.CANCEL, WAITING, None),
        (State.ASLEEP, None, WAITING, '[{"kind": "b"}]'),
        (State.ASLEEP, None, replace(WAITING, waits=None), "[]"),
        (State.PAUSED, None, WAITING, '[{"kind": "b"}]'),
        (State.PAUSED, SignalType.CANCEL, WAITING, None),
    ],
)
async def test_what_a_suspended_instance_awaits_is_kept_while_it_is_suspended(
    persistence: Persistence,
    database: Database,
    state: State,
    signal: SignalType | None,
    event: Event,
    waits: str | None,
) -> None:
    """One that is suspended already keeps what it said, unless it says something else."""
    await put_instance(database, state, waits="[]")
    if signal is not None:
        await database.put_signal("i", signal)

    await persistence.events.suspend(ME, event, at=START)

    assert (await database.row("i"))["waits"] == waits
