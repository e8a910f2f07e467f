"""Acknowledging a signal: the move it leads to, once."""

import pytest
from tests.contract.database import Database
from tests.contract.states import EARLIER, WAKE, put_instance
from tests.support.clock import START

from runtara_domain.model import Acknowledged, Caller
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import InstanceStatus, SignalType, State, acknowledge

ME = Caller("i")
EVERY = [(state, signal) for state in sorted(State) for signal in sorted(SignalType)]
REFUSED = [case for case in EVERY if acknowledge(*case) is None]
MOVED = [case for case in EVERY if acknowledge(*case) not in (None, case[0])]
STAYED = [case for case in EVERY if acknowledge(*case) is case[0]]


@pytest.mark.parametrize(("state", "signal"), EVERY)
async def test_it_leads_where_the_domain_says(
    persistence: Persistence, database: Database, state: State, signal: SignalType
) -> None:
    """Every state with every pending signal, acknowledged as what it is."""
    before = await put_instance(database, state)
    await database.put_signal("i", signal, b"payload")

    done = await persistence.signals.acknowledge(ME, signal, at=START)

    run_state = await persistence.instances.run_state("i")
    assert done == Acknowledged(before, acknowledge(state, signal))
    assert run_state is not None
    assert run_state.state is (done.after or state)


@pytest.mark.parametrize(("state", "signal"), REFUSED)
async def test_where_it_leads_nowhere_nothing_is_done(
    persistence: Persistence, database: Database, state: State, signal: SignalType
) -> None:
    """The signal stays pending; a resume of a paused instance until it registers."""
    await put_instance(database, state)
    await database.put_signal("i", signal)
    stored = await database.snapshot()

    await persistence.signals.acknowledge(ME, signal, at=START)

    assert await database.snapshot() == stored


@pytest.mark.parametrize("acknowledged", sorted(SignalType))
@pytest.mark.parametrize("pending", [None, *sorted(SignalType)])
@pytest.mark.parametrize("state", sorted(State))
async def test_only_an_acknowledgement_of_what_is_pending_does_anything(
    persistence: Persistence,
    database: Database,
    state: State,
    pending: SignalType | None,
    acknowledged: SignalType,
) -> None:
    """A pause acknowledged late must not swallow the cancel that took its place."""
    before = await put_instance(database, state)
    if pending is not None:
        await database.put_signal("i", pending)
    stored = await database.snapshot()

    done = await persistence.signals.acknowledge(ME, acknowledged, at=START)

    after = acknowledge(state, acknowledged) if pending is acknowledged else None
    assert done == Acknowledged(before, after)
    assert (await database.snapshot() == stored) is (after is None)


@pytest.mark.parametrize(("state", "signal"), MOVED)
async def test_a_move_clears_what_would_wake_it(
    persistence: Persistence, database: Database, state: State, signal: SignalType
) -> None:
    """A move to CANCELLED sets `finished_at`, one to paused does not; no event is added."""
    await put_instance(database, state)
    await database.put_signal("i", signal)
    row = await database.row("i")

    await persistence.signals.acknowledge(ME, signal, at=START)

    cancelled = signal is SignalType.CANCEL
    assert await database.row("i") == row | {
        "status": InstanceStatus.CANCELLED if cancelled else InstanceStatus.SUSPENDED,
        "finished_at": START if cancelled else None,
        "last_activity_at": START,
        "sleep_until": None,
        "wake_claim_until": None,
        "wake_claim_by": None,
    }
    assert await database.events("i") == []


@pytest.mark.parametrize(("state", "signal"), STAYED)
async def test_what_stays_where_it_is_keeps_its_deadline_and_claim(
    persistence: Persistence, database: Database, state: State, signal: SignalType
) -> None:
    """A resume while asleep, a pause while paused: only a live process has shown."""
    await put_instance(database, state)
    await database.put_signal("i", signal)
    row = await database.row("i")

    await persistence.signals.acknowledge(ME, signal, at=START)

    assert await database.row("i") == row | {"last_activity_at": START}
    assert row["sleep_until"] == (WAKE if state is State.ASLEEP else None)


@pytest.mark.parametrize(("state", "signal"), MOVED + STAYED)
async def test_the_signal_gets_its_time_and_keeps_the_rest(
    persistence: Persistence, database: Database, state: State, signal: SignalType
) -> None:
    """Signals of other instances stay pending."""
    await put_instance(database, state)
    await put_instance(database, state, "other")
    await database.put_signal("i", signal, b"payload", created_at=EARLIER)
    await database.put_signal("other", signal)
    mine, others = await database.rows("pending_signals")

    await persistence.signals.acknowledge(ME, signal, at=START)

    assert await database.rows("pending_signals") == [mine | {"acknowledged_at": START}, others]


@pytest.mark.parametrize("signal", sorted(SignalType))
async def test_what_is_acknowledged_is_not_so_again(
    persistence: Persistence, database: Database, signal: SignalType
) -> None:
    """The answer was lost, or another connection was first: its time stays."""
    before = await put_instance(database, State.RUNNING)
    await database.put_signal("i", signal, acknowledged_at=EARLIER)
    stored = await database.snapshot()

    done = await persistence.signals.acknowledge(ME, signal, at=START)

    assert done == Acknowledged(before)
    assert await database.snapshot() == stored


@pytest.mark.parametrize(("run", "admitted"), [(1, False), (2, True), (3, True), (None, True)])
@pytest.mark.parametrize("signal", sorted(SignalType))
async def test_a_superseded_run_acknowledges_nothing(
    persistence: Persistence,
    database: Database,
    signal: SignalType,
    run: int | None,
    admitted: bool,
) -> None:
    """The signal is for the newer run."""
    before = await put_instance(database, State.RUNNING)
    await database.put_signal("i", signal)
    stored = await database.snapshot()

    done = await persistence.signals.acknowledge(Caller("i", run), signal, at=START)

    after = acknowledge(State.RUNNING, signal) if admitted else None
    assert done == Acknowledged(before, after)
    assert (await database.snapshot() != stored) is admitted


async def test_an_unknown_instance_has_nothing_to_acknowledge(
    persistence: Persistence, database: Database
) -> None:
    """Nothing is created for it."""
    done = await persistence.signals.acknowledge(ME, SignalType.CANCEL, at=START)

    assert done == Acknowledged(before=None)
    assert await database.rows("instances") == []


async def test_only_the_one_that_acknowledges_moves(
    persistence: Persistence, database: Database
) -> None:
    """Instances never mix."""
    await put_instance(database, State.ASLEEP)
    await put_instance(database, State.ASLEEP, "other")
    await database.put_signal("i", SignalType.CANCEL)
    others = await database.row("other")

    await persistence.signals.acknowledge(ME, SignalType.CANCEL, at=START)

    assert await database.row("other") == others
