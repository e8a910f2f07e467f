"""An ending: the event and the move in one step, recorded once."""

from dataclasses import replace

import pytest
from tests.contract.database import Database
from tests.contract.states import EARLIER, put_instance
from tests.support.clock import START

from runtara_domain.model import Caller, Ending, Event, EventType, Recorded
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import FINAL, MOVES, OPEN, WORKING, Move, State

ME = Caller("i")
COMPLETED = Ending(State.COMPLETED, output=b"done")
FAILED = Ending(State.FAILED, error="broken")
ENDINGS = pytest.mark.parametrize("ending", [COMPLETED, FAILED], ids=["completed", "failed"])
WHEN = MOVES[Move.COMPLETE].sources


async def end(
    persistence: Persistence, ending: Ending, *, caller: Caller = ME, instance_id: str = "i"
) -> Recorded:
    caller = replace(caller, instance_id=instance_id)
    event = Event(EventType(ending.state.value), ending.output or b"", EARLIER)
    return await persistence.events.end(caller, event, ending, when=WHEN, at=START)


@ENDINGS
@pytest.mark.parametrize("state", sorted(WORKING))
async def test_an_ending_is_the_event_and_the_move_in_one_step(
    persistence: Persistence, database: Database, state: State, ending: Ending
) -> None:
    """`finished_at` is the server's time, and nothing is left to wake."""
    before = await put_instance(database, state)
    row = await database.row("i")

    recorded = await end(persistence, ending)

    assert recorded == Recorded(before, after=ending.state)
    assert await database.row("i") == row | {
        "status": ending.state.value,
        "output": ending.output,
        "error": ending.error,
        "finished_at": START,
        "last_activity_at": START,
        "sleep_until": None,
        "wake_claim_until": None,
        "wake_claim_by": None,
    }
    (event,) = await database.rows("instance_events")
    assert event["event_type"] == ending.state.value
    assert (event["payload"], event["created_at"]) == (ending.output or b"", EARLIER)


@ENDINGS
@pytest.mark.parametrize("state", sorted(OPEN - WORKING))
async def test_an_instance_that_does_not_run_cannot_end(
    persistence: Persistence, database: Database, state: State, ending: Ending
) -> None:
    """PENDING has not begun; paused must be resumed first."""
    before = await put_instance(database, state)
    stored = await database.snapshot()

    recorded = await end(persistence, ending)

    assert recorded == Recorded(before)
    assert await database.snapshot() == stored


@pytest.mark.parametrize(
    ("state", "ending"), [(State.COMPLETED, COMPLETED), (State.FAILED, FAILED)]
)
@pytest.mark.parametrize("run", [2, 3, None])
async def test_the_same_ending_again_is_repeated_and_recorded_once(
    persistence: Persistence, database: Database, state: State, ending: Ending, run: int | None
) -> None:
    """The first answer was lost: the second says that it has happened."""
    before = await put_instance(database, state)
    stored = await database.snapshot()

    recorded = await end(persistence, ending, caller=Caller("i", run))

    assert recorded == Recorded(before, repeated=True, after=state)
    assert await database.snapshot() == stored


@pytest.mark.parametrize("state", sorted(FINAL))
@pytest.mark.parametrize(
    "ending",
    [
        Ending(State.COMPLETED, output=b"other"),
        Ending(State.COMPLETED, output=b""),
        Ending(State.COMPLETED),
        Ending(State.FAILED, error="other"),
        Ending(State.FAILED, error="done"),
        Ending(State.FAILED),
    ],
    ids=["other output", "empty output", "no output", "other error", "output as error", "no error"],
)
async def test_another_ending_changes_nothing(
    persistence: Persistence, database: Database, state: State, ending: Ending
) -> None:
    """Nothing leaves a final state; an empty output is not the same as none."""
    before = await put_instance(database, state)
    stored = await database.snapshot()

    recorded = await end(persistence, ending)

    assert recorded == Recorded(before)
    assert await database.snapshot() == stored


@pytest.mark.parametrize(
    "output", [b"", b"\x00\xff", bytes(1024 * 1024)], ids=["empty", "nul", "big"]
)
async def test_an_output_is_kept_to_the_byte(
    persistence: Persistence, database: Database, output: bytes
) -> None:
    """A repeated ending is compared to the byte, too."""
    await put_instance(database, State.RUNNING)
    ending = Ending(State.COMPLETED, output=output)

    first, second = await end(persistence, ending), await end(persistence, ending)

    found = await persistence.instances.get("i")
    assert (first.repeated, second.repeated) == (False, True)
    assert found is not None
    assert (found.output, found.error) == (output, None)


@pytest.mark.parametrize("state", [State.RUNNING, State.ASLEEP, State.COMPLETED])
async def test_a_superseded_run_cannot_end_what_another_runs(
    persistence: Persistence, database: Database, state: State
) -> None:
    """It can't even repeat the ending of the newer run."""
    before = await put_instance(database, state)
    stored = await database.snapshot()

    recorded = await end(persistence, COMPLETED, caller=Caller("i", 1))

    assert recorded == Recorded(before)
    assert await database.snapshot() == stored


@pytest.mark.parametrize("run", [2, 3, None])
async def test_the_newest_run_and_one_that_never_registered_end_it(
    persistence: Persistence, database: Database, run: int | None
) -> None:
    """Only an older run is superseded."""
    before = await put_instance(database, State.RUNNING)

    recorded = await end(persistence, COMPLETED, caller=Caller("i", run))

    assert recorded == Recorded(before, after=State.COMPLETED)


async def test_an_unknown_instance_cannot_end(persistence: Persistence, database: Database) -> None:
    """Nothing is created for it."""
    recorded = await end(persistence, COMPLETED)

    assert recorded == Recorded(before=None)
    assert await database.rows("instance_events") == []


async def test_only_the_one_that_ends_is_ended(
    persistence: Persistence, database: Database
) -> None:
    """Instances never mix."""
    await put_instance(database, State.RUNNING)
    await put_instance(database, State.RUNNING, "other")
    others = await database.row("other")

    await end(persistence, COMPLETED)

    assert await database.row("other") == others
    assert await database.events("other") == []
