"""An instance is blocked from outside, and what makes a blocked one due."""

from datetime import timedelta

import pytest
from tests.contract.database import Database, Row
from tests.contract.states import put_instance
from tests.support.clock import START

from runtara_domain.error import InvalidValue
from runtara_domain.model import Caller, Claim, CustomSignal, Registration, Signal
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import MOVES, OPEN, Move, SignalType, State

WHEN = MOVES[Move.BLOCK].sources
REASON = "its code is gone"
LATER = START + timedelta(hours=2)


async def due(persistence: Persistence) -> list[str]:
    claimed = await persistence.claims.claim_due(Claim("me", LATER), limit=10, at=LATER)
    return [one.instance_id for one in claimed]


@pytest.mark.parametrize("state", sorted(State))
async def test_any_open_instance_is_blocked_from_outside(
    persistence: Persistence, database: Database, state: State
) -> None:
    """This stores no event. A finished instance is left as it is."""
    before = await put_instance(database, state, waits="[]")
    row = await database.row("i")

    found = await persistence.instances.block(Caller("i", 2), REASON, when=WHEN, at=START)

    blocked: Row = {"status": "suspended", "error": REASON, "waits": None, "sleep_until": None}
    unclaimed: Row = {"wake_claim_until": None, "wake_claim_by": None}
    assert found == before
    assert await database.row("i") == row | (blocked | unclaimed if state in OPEN else {})
    assert await database.rows("instance_events") == []


@pytest.mark.parametrize(("run", "is_blocked"), [(None, True), (1, False), (2, True)])
async def test_only_of_the_run_that_is_named(
    persistence: Persistence, database: Database, run: int | None, is_blocked: bool
) -> None:
    """A newer run may be able to go on."""
    await put_instance(database, State.RUNNING)

    await persistence.instances.block(Caller("i", run), REASON, when=WHEN, at=START)

    assert ((await database.row("i"))["error"] == REASON) is is_blocked


async def test_an_unknown_instance_is_none_and_a_long_reason_refused(
    persistence: Persistence,
) -> None:
    """A reason is shown in lists."""
    found = await persistence.instances.block(Caller("i"), REASON, when=WHEN, at=START)

    assert found is None
    with pytest.raises(InvalidValue, match="reason: takes at most 65536 bytes, got 65537"):
        await persistence.instances.block(Caller("i"), "x" * 65_537, when=WHEN, at=START)


@pytest.mark.parametrize("pending", [None, *SignalType])
async def test_what_was_pending_before_makes_a_blocked_instance_due_no_more(
    persistence: Persistence, database: Database, pending: SignalType | None
) -> None:
    """Neither time nor a custom signal makes it due: the same code would run again for nothing."""
    await put_instance(database, State.ASLEEP)
    if pending is not None:
        await persistence.signals.send("i", Signal(pending), when=OPEN, at=START)

    await persistence.instances.block(Caller("i"), REASON, when=WHEN, at=START)
    await persistence.instances.block(Caller("i"), REASON, when=WHEN, at=START)
    await persistence.signals.send_custom("i", CustomSignal("c"), when=OPEN, at=START)

    assert await due(persistence) == []


@pytest.mark.parametrize("sent", SignalType)
@pytest.mark.parametrize("pending", [None, *SignalType])
async def test_a_later_cancel_or_resume_makes_it_due(
    persistence: Persistence,
    database: Database,
    pending: SignalType | None,
    sent: SignalType,
) -> None:
    """The moment and type may be the same, and a resume counts even if a cancel is pending."""
    await put_instance(database, State.RUNNING)
    if pending is not None:
        await persistence.signals.send("i", Signal(pending), when=OPEN, at=START)
    await persistence.instances.block(Caller("i"), REASON, when=WHEN, at=START)

    await persistence.signals.send("i", Signal(sent), when=OPEN, at=START)

    assert await due(persistence) == ([] if sent is SignalType.PAUSE else ["i"])
    told = await persistence.signals.pending(Caller("i"))
    assert told.signal is not None
    is_cancelled = SignalType.CANCEL in (pending, sent)
    assert told.signal.type is (SignalType.CANCEL if is_cancelled else sent)


async def test_a_signal_that_plain_sql_puts_in_later_makes_it_due(
    persistence: Persistence, database: Database
) -> None:
    """Rows of other programs count as sent."""
    await put_instance(database, State.RUNNING)
    await persistence.instances.block(Caller("i"), REASON, when=WHEN, at=START)

    await database.put_signal("i", SignalType.RESUME, created_at=START)

    assert await due(persistence) == ["i"]


async def test_what_was_pending_makes_it_due_again_once_it_has_run(
    persistence: Persistence, database: Database
) -> None:
    """A cancel that was pending at the block reaches the next run, or wakes the next sleep."""
    await put_instance(database, State.RUNNING)
    await persistence.signals.send("i", Signal(SignalType.CANCEL), when=OPEN, at=START)
    await persistence.instances.block(Caller("i"), REASON, when=WHEN, at=START)
    before = await due(persistence)

    await persistence.instances.register(Registration("i", "tenant"), when=OPEN, at=START)
    await persistence.instances.block(Caller("i"), REASON, when=WHEN, at=START)
    blocked_again = await due(persistence)
    await persistence.signals.send("i", Signal(SignalType.CANCEL), when=OPEN, at=START)

    assert before == blocked_again == []
    assert await due(persistence) == ["i"]
