"""Saving: the first state stands, is found again to the byte, and wakes a sleeping instance."""

import asyncio
from datetime import timedelta

import pytest
from tests.contract.database import Database
from tests.contract.states import EARLIER, put_instance
from tests.support.clock import START

from runtara_domain.model import Caller, Checkpoint, CheckpointWrite, Saved, Signal
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import ANY, WORKING, Condition, SignalType, State

ME = Caller("i")


def write(checkpoint_id: str = "c", state: bytes = b"first") -> CheckpointWrite:
    return CheckpointWrite(checkpoint_id, state)


@pytest.mark.parametrize("state", sorted(WORKING))
async def test_saving_keeps_the_state_and_moves_the_pointer(
    persistence: Persistence, database: Database, state: State
) -> None:
    """All in one step; an instance that was asleep is RUNNING with nothing left to wake it."""
    before = await put_instance(database, state)
    row = await database.row("i")

    saved = await persistence.checkpoints.save(ME, write(), when=WORKING, at=START)

    assert saved == Saved(before)
    assert await database.row("i") == row | {
        "status": "running",
        "checkpoint_id": "c",
        "last_activity_at": START,
        "sleep_until": None,
        "wake_claim_until": None,
        "wake_claim_by": None,
    }
    assert await persistence.checkpoints.get("i", "c") == Checkpoint("c", b"first", START)
    assert await database.rows("instance_events") == []


@pytest.mark.parametrize("state", sorted(WORKING))
async def test_finding_gives_the_first_state_and_only_stirs(
    persistence: Persistence, database: Database, state: State
) -> None:
    """The state of the later call is dropped, and a replay doesn't move the pointer back."""
    before = await put_instance(database, state, checkpoint_id="later", last_activity_at=EARLIER)
    row: dict[str, object] = {"instance_id": "i", "checkpoint_id": "c", "state": b"first"}
    await database.put("checkpoints", row | {"created_at": EARLIER})
    stored = await database.snapshot()

    found = await persistence.checkpoints.save(ME, write(state=b"second"), when=WORKING, at=START)

    stirred = {"sleep_until": None, "wake_claim_until": None, "wake_claim_by": None}
    stored["instances"][0] |= {"status": "running"} | stirred
    assert found == Saved(before, kept=b"first")
    assert await database.snapshot() == stored


@pytest.mark.parametrize("taken", [False, True])
@pytest.mark.parametrize(
    ("state", "when"),
    [(state, WORKING) for state in sorted(ANY - WORKING)]
    + [(State.RUNNING, frozenset({State.ASLEEP})), (State.ASLEEP, frozenset({State.RUNNING}))],
)
async def test_an_instance_in_another_state_is_left_alone(
    persistence: Persistence, database: Database, state: State, taken: bool, when: Condition
) -> None:
    """The condition handed in decides over saving and finding alike."""
    before = await put_instance(database, state)
    if taken:
        await database.put("checkpoints", {"instance_id": "i", "checkpoint_id": "c", "state": b""})
    stored = await database.snapshot()

    saved = await persistence.checkpoints.save(ME, write(), when=when, at=START)

    assert saved.before == before
    assert await database.snapshot() == stored


@pytest.mark.parametrize(("run", "admitted"), [(1, False), (2, True), (3, True), (None, True)])
@pytest.mark.parametrize("taken", [False, True])
async def test_a_superseded_run_is_left_outside(
    persistence: Persistence, database: Database, run: int | None, admitted: bool, taken: bool
) -> None:
    """Only an older run: one that never registered may act, and so may the newest."""
    before = await put_instance(database, State.ASLEEP, run=2)
    if taken:
        await database.put("checkpoints", {"instance_id": "i", "checkpoint_id": "c", "state": b""})
    stored = await database.snapshot()

    saved = await persistence.checkpoints.save(Caller("i", run), write(), when=WORKING, at=START)

    assert saved.before == before
    assert (await database.snapshot() != stored) is admitted


async def test_an_unknown_instance_has_no_checkpoints(
    persistence: Persistence, database: Database
) -> None:
    """Nothing is created for it."""
    saved = await persistence.checkpoints.save(ME, write(), when=WORKING, at=START)

    assert saved == Saved(before=None)
    assert await persistence.checkpoints.get("i", "c") is None
    assert await database.rows("checkpoints") == await database.rows("instances") == []


@pytest.mark.parametrize(
    "state",
    [b"", b"\x00", bytes(range(256)), bytes(64 * 1024)],
    ids=["empty", "nul", "all", "big"],
)
async def test_a_state_is_kept_to_the_byte(
    persistence: Persistence, database: Database, state: bytes
) -> None:
    """An empty state is a state: the second call finds it."""
    await put_instance(database, State.RUNNING)

    first = await persistence.checkpoints.save(ME, write(state=state), when=WORKING, at=START)
    second = await persistence.checkpoints.save(ME, write(), when=WORKING, at=START)

    read = await persistence.checkpoints.get("i", "c")
    assert first.kept is None
    assert second.kept == state
    assert read is not None
    assert read.state == state


async def test_a_large_state_is_found_and_read_by_itself(
    persistence: Persistence, database: Database
) -> None:
    """Callers' steps are carried out together: all their states at once would be too much."""
    before = await put_instance(database, State.RUNNING)
    state = bytes(64 * 1024 + 1)

    first = await persistence.checkpoints.save(ME, write(state=state), when=WORKING, at=START)
    second = await persistence.checkpoints.save(ME, write(), when=WORKING, at=START)

    read = await persistence.checkpoints.get("i", "c")
    assert (first.is_found, second.is_found) == (False, True)
    assert (first, second) == (Saved(before), Saved(before, is_large=True))
    assert read is not None
    assert read.state == state


async def test_checkpoints_never_mix(persistence: Persistence, database: Database) -> None:
    """Ids are opaque, and each instance has its own."""
    ids = ["c", "C", " c", "c ", "c%", "c_", "é", "e\u0301", "🦀", "'; --", "x" * 1024, "::retry::"]
    await put_instance(database, State.RUNNING, "i")
    await put_instance(database, State.RUNNING, "I")
    for instance_id in ("i", "I"):
        for number, name in enumerate(ids):
            state = f"{instance_id}{number}".encode()
            await persistence.checkpoints.save(
                Caller(instance_id), write(name, state), when=WORKING, at=START
            )

    read = [await persistence.checkpoints.get(one, name) for one in ("i", "I") for name in ids]

    assert [found and found.state for found in read] == [
        f"{one}{number}".encode() for one in ("i", "I") for number in range(len(ids))
    ]
    assert await persistence.checkpoints.get("i", "x") is None


async def test_the_pointer_follows_the_newest_saved(
    persistence: Persistence, database: Database
) -> None:
    """It stands at the last checkpoint that was new, whatever is asked for again."""
    await put_instance(database, State.RUNNING)
    pointers = []

    for name in ("a", "b", "a", "c", "b"):
        await persistence.checkpoints.save(ME, write(name), when=WORKING, at=START)
        pointers.append((await database.row("i"))["checkpoint_id"])

    assert pointers == ["a", "b", "b", "c", "c"]


async def test_an_audit_row_of_a_retry_is_no_checkpoint(
    persistence: Persistence, database: Database
) -> None:
    """It is not read, and its step is still to be saved."""
    await put_instance(database, State.RUNNING)
    await database.put_attempt("i", "c", 1)

    audit = await persistence.checkpoints.get("i", "c::retry::1")
    step = await persistence.checkpoints.get("i", "c")
    saved = await persistence.checkpoints.save(ME, write(), when=WORKING, at=START)

    assert (audit, step, saved.kept) == (None, None, None)


@pytest.mark.parametrize("state", sorted(State))
async def test_get_reads_in_any_state_and_moves_nothing(
    persistence: Persistence, database: Database, state: State
) -> None:
    """If a sleep saved it, the deadline is returned, too."""
    await put_instance(database, state)
    wake_at = START + timedelta(milliseconds=1)
    row: dict[str, object] = {"instance_id": "i", "checkpoint_id": "c", "state": b"kept"}
    await database.put("checkpoints", row | {"created_at": EARLIER, "wake_at": wake_at})
    stored = await database.snapshot()

    found = await persistence.checkpoints.get("i", "c")

    assert found == Checkpoint("c", b"kept", EARLIER, wake_at)
    assert await database.snapshot() == stored


@pytest.mark.parametrize("payload", [None, b"", b"\x00why\xff"])
@pytest.mark.parametrize("signal", sorted(SignalType))
async def test_the_pending_signal_comes_with_every_answer(
    persistence: Persistence, database: Database, signal: SignalType, payload: bytes | None
) -> None:
    """Saving or finding, again and again until it is acknowledged; none to other instances."""
    await put_instance(database, State.RUNNING)
    await put_instance(database, State.RUNNING, "other")
    await database.put_signal("i", signal, payload)

    saved = await persistence.checkpoints.save(ME, write(), when=WORKING, at=START)
    found = await persistence.checkpoints.save(ME, write(), when=WORKING, at=START)
    others = await persistence.checkpoints.save(Caller("other"), write(), when=WORKING, at=START)

    assert saved.signal == found.signal == Signal(signal, payload or b"")
    assert others.signal is None


async def test_an_acknowledged_signal_is_not_pending(
    persistence: Persistence, database: Database
) -> None:
    """Its row stays, but polls no longer return it."""
    await put_instance(database, State.RUNNING)
    await database.put_signal("i", SignalType.PAUSE, acknowledged_at=EARLIER)

    saved = await persistence.checkpoints.save(ME, write(), when=WORKING, at=START)

    assert saved.signal is None


@pytest.mark.parametrize("payload", [None, b"", b"\x00answer\xff"])
async def test_the_custom_signal_for_the_checkpoint_comes_with_every_answer(
    persistence: Persistence, database: Database, payload: bytes | None
) -> None:
    """It is never used up, so that a replayed run sees what the first one saw."""
    await put_instance(database, State.RUNNING)
    await put_instance(database, State.RUNNING, "other")
    await database.put_custom_signal("i", "c", payload)

    mine = [
        await persistence.checkpoints.save(ME, write(name), when=WORKING, at=START)
        for name in ("c", "c", "d")
    ]
    others = await persistence.checkpoints.save(Caller("other"), write(), when=WORKING, at=START)

    assert [saved.custom_signal for saved in mine] == [payload or b"", payload or b"", None]
    assert others.custom_signal is None


def after(preceding: CheckpointWrite, checkpoint_id: str = "c") -> CheckpointWrite:
    return CheckpointWrite(checkpoint_id, b"first", preceding)


async def saved_ids(persistence: Persistence) -> list[str]:
    page = await persistence.checkpoints.page("i")
    return [entry.checkpoint_id for entry in page.entries]


@pytest.mark.parametrize("state", sorted(WORKING))
async def test_a_preceding_checkpoint_is_saved_before(
    persistence: Persistence, database: Database, state: State
) -> None:
    """The outcome and the pointer are the other one's."""
    await put_instance(database, state)

    saved = await persistence.checkpoints.save(
        ME, after(write("p", b"preceding")), when=WORKING, at=START
    )

    assert saved.before is not None
    assert not saved.is_found
    assert (await database.row("i"))["checkpoint_id"] == "c"
    assert await saved_ids(persistence) == ["p", "c"]
    assert await persistence.checkpoints.get("i", "p") == Checkpoint("p", b"preceding", START)


@pytest.mark.parametrize("taken", ["p", "c"])
async def test_of_two_checkpoints_the_one_that_is_taken_stays(
    persistence: Persistence, database: Database, taken: str
) -> None:
    """The other one is saved all the same."""
    await put_instance(database, State.RUNNING)
    await persistence.checkpoints.save(ME, write(taken, b"earlier"), when=WORKING, at=EARLIER)

    saved = await persistence.checkpoints.save(
        ME, after(write("p", b"preceding")), when=WORKING, at=START
    )

    assert saved.kept == (b"earlier" if taken == "c" else None)
    kept = {name: await persistence.checkpoints.get("i", name) for name in ("p", "c")}
    assert kept == {
        "p": Checkpoint("p", b"preceding", START),
        "c": Checkpoint("c", b"first", START),
    } | {taken: Checkpoint(taken, b"earlier", EARLIER)}


async def test_many_checkpoints_are_saved_in_their_order(
    persistence: Persistence, database: Database
) -> None:
    """Those whose ids are taken stay; another save at the same time has an outcome of its own."""
    await put_instance(database, State.RUNNING)
    await persistence.checkpoints.save(ME, write("b", b"earlier"), when=WORKING, at=EARLIER)
    together = CheckpointWrite.together([(name, b"new") for name in "abcd"])

    saved, other = await asyncio.gather(
        persistence.checkpoints.save(ME, together, when=WORKING, at=START),
        persistence.checkpoints.save(ME, write("e"), when=WORKING, at=START),
    )

    assert not saved.is_found
    assert not other.is_found
    assert [one for one in await saved_ids(persistence) if one != "e"] == ["b", "a", "c", "d"]
    assert await persistence.checkpoints.get("i", "b") == Checkpoint("b", b"earlier", EARLIER)
    again = await persistence.checkpoints.save(ME, together, when=WORKING, at=START)
    assert again.kept == b"new"


async def test_an_instance_that_admits_no_checkpoint_gets_no_preceding_one(
    persistence: Persistence, database: Database
) -> None:
    """Neither is saved."""
    await put_instance(database, State.COMPLETED)

    saved = await persistence.checkpoints.save(ME, after(write("p")), when=WORKING, at=START)

    assert saved.before is not None
    assert saved.before.state is State.COMPLETED
    assert await saved_ids(persistence) == []


async def test_many_callers_bring_the_same_preceding_checkpoint(
    persistence: Persistence, database: Database
) -> None:
    """It is saved once, and before all that were saved with it; one of the same ids saves."""
    await put_instance(database, State.RUNNING)
    names = [f"c{number // 2}" for number in range(20)]

    outcomes = await asyncio.gather(
        *(
            persistence.checkpoints.save(
                ME, after(write("p", b"preceding"), name), when=WORKING, at=START
            )
            for name in names
        )
    )

    assert sum(not one.is_found for one in outcomes) == len(set(names))
    ids = await saved_ids(persistence)
    assert ids[0] == "p"
    assert sorted(ids[1:]) == sorted(set(names))
