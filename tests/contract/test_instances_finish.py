"""Ending an instance from outside, with what its process has left."""

import pytest
from tests.contract.database import Database
from tests.contract.states import put_instance
from tests.support.clock import START

from runtara_domain.model import Caller, Ending, Instance
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import FINAL, MOVES, OPEN, WORKING, Condition, Move, SignalType, State

ME = Caller("i")
TERMINATED = Ending(State.CANCELLED)
FULL = Ending(State.FAILED, b"\x00out\xff", "why é", "the last\nwords", 2**63 - 1, 0)
ENDINGS = [
    TERMINATED,
    FULL,
    Ending(State.COMPLETED, output=b""),
    Ending(State.FAILED, error=""),
    Ending(State.CANCELLED, b"out", "why", "stderr", 0, 2**63 - 1),
]
IDS = ["terminated", "full", "empty output", "empty error", "full cancel"]


@pytest.mark.parametrize("ending", ENDINGS, ids=IDS)
@pytest.mark.parametrize("state", sorted(OPEN))
async def test_an_open_instance_is_ended_from_outside(
    persistence: Persistence, database: Database, state: State, ending: Ending
) -> None:
    """All of the ending is in its row and nothing left to wake it; it has shown no life itself.

    No event is added, and what is pending stays as it is.
    """
    before = await put_instance(database, state)
    await database.put_signal("i", SignalType.PAUSE)
    stored = await database.snapshot()

    found = await persistence.instances.finish(ME, ending, when=OPEN, at=START)

    stored["instances"][0] |= {
        "status": ending.state.value,
        "output": ending.output,
        "error": ending.error,
        "stderr": ending.stderr,
        "memory_peak_bytes": ending.memory_peak_bytes,
        "cpu_usage_usec": ending.cpu_usage_usec,
        "finished_at": START,
        "sleep_until": None,
        "wake_claim_until": None,
        "wake_claim_by": None,
    }
    assert found == before
    assert await database.snapshot() == stored


async def test_get_gives_all_of_the_ending(persistence: Persistence, database: Database) -> None:
    """Output, error, stderr and metrics, to the byte."""
    await put_instance(database, State.RUNNING)
    await persistence.instances.finish(ME, FULL, when=OPEN, at=START)

    found = await persistence.instances.get("i")

    assert isinstance(found, Instance)
    assert (found.state, found.finished_at) == (State.FAILED, START)
    assert (
        Ending(
            found.state,
            found.output,
            found.error,
            found.stderr,
            found.memory_peak_bytes,
            found.cpu_usage_usec,
        )
        == FULL
    )


@pytest.mark.parametrize("ending", [TERMINATED, FULL], ids=["terminated", "full"])
@pytest.mark.parametrize("state", sorted(FINAL))
async def test_a_finished_instance_stays_as_it_is(
    persistence: Persistence, database: Database, state: State, ending: Ending
) -> None:
    """The state in the outcome says that the caller came too late."""
    before = await put_instance(database, state)
    stored = await database.snapshot()

    found = await persistence.instances.finish(ME, ending, when=OPEN, at=START)

    assert found == before
    assert await database.snapshot() == stored


@pytest.mark.parametrize("when", [OPEN, WORKING, MOVES[Move.TERMINATE].sources])
@pytest.mark.parametrize("state", sorted(State))
async def test_the_condition_handed_in_decides(
    persistence: Persistence, database: Database, state: State, when: Condition
) -> None:
    """In any other state it is left alone."""
    before = await put_instance(database, state)
    stored = await database.snapshot()

    found = await persistence.instances.finish(ME, TERMINATED, when=when, at=START)

    assert found == before
    assert (await database.snapshot() != stored) is (state in when)


@pytest.mark.parametrize(("run", "ends"), [(1, False), (2, True), (None, True)])
@pytest.mark.parametrize("state", sorted(OPEN))
async def test_with_a_run_given_only_that_run_is_ended(
    persistence: Persistence, database: Database, state: State, run: int | None, ends: bool
) -> None:
    """One whose process has died must not take its successor with it."""
    before = await put_instance(database, state)
    stored = await database.snapshot()

    found = await persistence.instances.finish(Caller("i", run), FULL, when=OPEN, at=START)

    assert found == before
    assert (await database.snapshot() != stored) is ends


async def test_an_unknown_instance_is_not_ended(
    persistence: Persistence, database: Database
) -> None:
    """Nothing is created for it."""
    found = await persistence.instances.finish(ME, TERMINATED, when=OPEN, at=START)

    assert found is None
    assert await database.rows("instances") == []


async def test_only_the_one_that_is_meant_is_ended(
    persistence: Persistence, database: Database
) -> None:
    """Instances never mix."""
    await put_instance(database, State.ASLEEP)
    await put_instance(database, State.ASLEEP, "other")
    others = await database.row("other")

    await persistence.instances.finish(ME, TERMINATED, when=OPEN, at=START)

    assert await database.row("other") == others
