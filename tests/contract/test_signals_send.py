"""Sending a signal: which one stands, and which instances it makes due."""

import pytest
from tests.contract.database import Database
from tests.contract.states import EARLIER, put_instance
from tests.support.clock import START

from runtara_domain.model import Caller, Delivered, Pending, Signal
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import OPEN, Condition, SignalType, State

SIGNALS = sorted(SignalType)
ENDED = (State.PENDING, SignalType.CANCEL)
"""What a cancel does to an instance that was never launched."""


@pytest.mark.parametrize("payload", [b"", b"\x00why\xff", bytes(512 * 1024)])
@pytest.mark.parametrize("sent", SIGNALS)
@pytest.mark.parametrize("state", sorted(OPEN))
async def test_a_signal_for_an_open_instance_waits(
    persistence: Persistence, database: Database, state: State, sent: SignalType, payload: bytes
) -> None:
    """Its row is unchanged, because the instance itself showed no life."""
    before = await put_instance(database, state)
    row = await database.row("i")

    delivered = await persistence.signals.send("i", Signal(sent, payload), when=OPEN, at=START)

    (kept,) = await database.rows("pending_signals")
    assert delivered == Delivered(before, stands=True)
    assert kept == {
        "instance_id": "i",
        "signal_type": sent,
        "payload": payload,
        "created_at": START,
        "acknowledged_at": START if (state, sent) == ENDED else None,
    }
    if (state, sent) != ENDED:
        assert await database.row("i") == row


async def test_a_cancel_ends_an_instance_that_was_never_launched(
    persistence: Persistence, database: Database
) -> None:
    """It ends at once, because no process would acknowledge the cancel. No event is added."""
    before = await put_instance(database, State.PENDING)
    row = await database.row("i")

    delivered = await persistence.signals.send("i", Signal(SignalType.CANCEL), when=OPEN, at=START)

    assert delivered == Delivered(before, stands=True)
    assert await database.row("i") == row | {"status": "cancelled", "finished_at": START}
    assert await database.rows("instance_events") == []


@pytest.mark.parametrize("sent", SIGNALS)
@pytest.mark.parametrize("pending", SIGNALS)
@pytest.mark.parametrize("state", sorted(OPEN))
async def test_the_later_replaces_the_earlier_but_a_cancel_yields_to_nothing_else(
    persistence: Persistence,
    database: Database,
    state: State,
    pending: SignalType,
    sent: SignalType,
) -> None:
    """Payload, time and all; there is one pending an instance."""
    before = await put_instance(database, state)
    await database.put_signal("i", pending, b"first", created_at=EARLIER)
    rows = await database.rows("pending_signals")

    delivered = await persistence.signals.send("i", Signal(sent, b"later"), when=OPEN, at=START)

    stands = sent is SignalType.CANCEL or pending is not SignalType.CANCEL
    new = {"signal_type": sent, "payload": b"later", "created_at": START}
    if (state, sent) == ENDED:
        new["acknowledged_at"] = START
    assert delivered == Delivered(before, stands)
    assert await database.rows("pending_signals") == [rows[0] | new if stands else rows[0]]


@pytest.mark.parametrize("sent", SIGNALS)
@pytest.mark.parametrize("acknowledged", SIGNALS)
async def test_what_was_acknowledged_is_replaced(
    persistence: Persistence, database: Database, acknowledged: SignalType, sent: SignalType
) -> None:
    """This holds for a cancel, too. The new signal has not been acknowledged."""
    before = await put_instance(database, State.RUNNING)
    await database.put_signal("i", acknowledged, b"first", EARLIER, created_at=EARLIER)

    delivered = await persistence.signals.send("i", Signal(sent, b"new"), when=OPEN, at=START)

    (kept,) = await database.rows("pending_signals")
    assert delivered == Delivered(before, stands=True)
    assert (kept["signal_type"], kept["payload"]) == (sent, b"new")
    assert (kept["created_at"], kept["acknowledged_at"]) == (START, None)
    assert (await persistence.signals.pending(Caller("i"))).signal == Signal(sent, b"new")


@pytest.mark.parametrize("when", [OPEN, frozenset({State.RUNNING}), frozenset({State.PENDING})])
@pytest.mark.parametrize("sent", SIGNALS)
@pytest.mark.parametrize("state", sorted(State))
async def test_the_condition_handed_in_decides(
    persistence: Persistence, database: Database, state: State, sent: SignalType, when: Condition
) -> None:
    """A finished instance takes none, and in its row nothing changes."""
    before = await put_instance(database, state)
    stored = await database.snapshot()

    delivered = await persistence.signals.send("i", Signal(sent), when=when, at=START)

    assert delivered == Delivered(before, stands=state in when)
    assert (await database.snapshot() != stored) is (state in when)


@pytest.mark.parametrize("sent", SIGNALS)
async def test_an_unknown_instance_takes_none(
    persistence: Persistence, database: Database, sent: SignalType
) -> None:
    """Nothing is created for it."""
    delivered = await persistence.signals.send("i", Signal(sent), when=OPEN, at=START)

    assert delivered == Delivered(before=None)
    assert await database.rows("pending_signals") == await database.rows("instances") == []


async def test_signals_of_instances_never_mix(persistence: Persistence, database: Database) -> None:
    """Each has its own, whatever was sent to the others."""
    run_states = [await put_instance(database, State.RUNNING, name) for name in ("i", "I", "j")]

    await persistence.signals.send("i", Signal(SignalType.CANCEL), when=OPEN, at=START)
    await persistence.signals.send("I", Signal(SignalType.PAUSE, b"I"), when=OPEN, at=START)

    told = [await persistence.signals.pending(Caller(name)) for name in ("i", "I", "j")]
    signals = [Signal(SignalType.CANCEL), Signal(SignalType.PAUSE, b"I"), None]
    assert told == [Pending(*pair) for pair in zip(run_states, signals, strict=True)]
