"""The moment at which something is due next."""

from datetime import datetime, timedelta

import pytest
from tests.contract.database import Database, Row
from tests.contract.states import put_instance
from tests.support.clock import START

from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import FINAL, SignalType, State

SECOND = timedelta(seconds=1)
PAST = START - 10 * SECOND
SOON = START + 10 * SECOND
LATER = START + 20 * SECOND
FREE: Row = {"wake_claim_by": None, "wake_claim_until": None}


def claimed(until: datetime) -> Row:
    return {"wake_claim_by": "somebody", "wake_claim_until": until}


@pytest.mark.parametrize(
    ("columns", "moment"),
    [
        (FREE | {"sleep_until": SOON}, SOON),
        (FREE | {"sleep_until": PAST}, START),
        (claimed(LATER) | {"sleep_until": SOON}, LATER),
        (claimed(SOON) | {"sleep_until": LATER}, LATER),
        (claimed(LATER) | {"sleep_until": PAST}, LATER),
        (claimed(PAST) | {"sleep_until": SOON}, SOON),
        # Given back, and the clock was set back to before that.
        ({"wake_claim_by": None, "wake_claim_until": LATER, "sleep_until": SOON}, SOON),
        ({"wake_claim_by": None, "wake_claim_until": LATER, "sleep_until": PAST}, START),
        ({"wake_claim_by": None, "wake_claim_until": SOON, "sleep_until": LATER}, LATER),
    ],
)
async def test_an_unclaimed_sleep_is_due_when_it_is_over(
    persistence: Persistence, database: Database, columns: Row, moment: datetime
) -> None:
    """The moment is the later one of sleep and claim, and never before the one asked for."""
    await put_instance(database, State.ASLEEP, **columns)

    assert await persistence.claims.next_due(at=START) == moment


@pytest.mark.parametrize("signal", [SignalType.CANCEL, SignalType.RESUME])
@pytest.mark.parametrize("state", [State.PAUSED, State.ASLEEP])
async def test_a_suspended_one_is_due_for_a_cancel_or_resume(
    persistence: Persistence, database: Database, state: State, signal: SignalType
) -> None:
    """It is due now, or when the claim on it ends."""
    sleep_until = LATER if state is State.ASLEEP else None
    await put_instance(database, state, sleep_until=sleep_until, **FREE)
    await database.put_signal("i", signal)
    free = await persistence.claims.next_due(at=START)
    await put_instance(database, state, "j", sleep_until=sleep_until, **claimed(SOON))
    await database.put_signal("j", signal)

    assert free == START
    assert await persistence.claims.next_due(at=START) == START


async def test_a_claimed_one_is_due_for_a_cancel_when_the_claim_ends(
    persistence: Persistence, database: Database
) -> None:
    """A cancel waits for the claim's end, not for the sleep's."""
    await put_instance(database, State.ASLEEP, sleep_until=LATER, **claimed(SOON))
    await database.put_signal("i", SignalType.CANCEL)

    assert await persistence.claims.next_due(at=START) == SOON


@pytest.mark.parametrize("signal", [SignalType.PAUSE, None])
async def test_nothing_else_is_due(
    persistence: Persistence, database: Database, signal: SignalType | None
) -> None:
    """Paused, pending, running and finished instances are due by no moment."""
    for state in {State.PAUSED, State.PENDING, State.RUNNING} | FINAL:
        await put_instance(database, state, state.value)
    if signal is not None:
        await database.put_signal("paused", signal)
    await database.put_signal("running", SignalType.CANCEL)
    await database.put_signal("completed", SignalType.CANCEL)

    assert await persistence.claims.next_due(at=START) is None


async def test_of_many_the_earliest_is_given(persistence: Persistence, database: Database) -> None:
    """The moment is the first of all, whatever each one waits for."""
    sleeps = [START + number * SECOND for number in (50, 30, 40)]
    for number, sleep_until in enumerate(sleeps):
        await put_instance(database, State.ASLEEP, f"i{number}", sleep_until=sleep_until, **FREE)
    await put_instance(database, State.ASLEEP, "held", sleep_until=SOON, **claimed(sleeps[0]))

    assert await persistence.claims.next_due(at=START) == START + 30 * SECOND
