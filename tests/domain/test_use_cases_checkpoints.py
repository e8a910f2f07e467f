import asyncio

import pytest
from tests.domain.desk import ID, Desk

from runtara_domain.error import (
    InstanceNotFound,
    InstanceSuperseded,
    InvalidInstanceState,
    InvalidValue,
)
from runtara_domain.model import Caller, Checkpoint, CheckpointWrite, Signal
from runtara_domain.status import ANY, WORKING, SignalType, State
from runtara_persistence.memory.rows import CustomSignalRow


async def test_the_first_call_saves_and_every_later_one_finds_what_it_saved(desk: Desk) -> None:
    session = await desk.registered()

    kept = [await desk.save(session, "c-1", state) for state in (b"one", b"two", b"three")]

    assert kept == [None, b"one", b"one"]


async def test_an_empty_state_is_a_state(desk: Desk) -> None:
    session = await desk.registered()
    await desk.save(session, "c-1", b"")

    assert await desk.save(session, "c-1", b"two") == b""


async def test_saving_moves_the_pointer_and_finding_does_not(desk: Desk) -> None:
    session = await desk.registered()
    await desk.save(session, "c-1", b"one")
    await desk.save(session, "c-2", b"two")

    await desk.save(session, "c-1", b"again")

    assert desk.store.instances[ID].checkpoint_id == "c-2"


async def test_of_racing_calls_exactly_one_saves(desk: Desk) -> None:
    session = await desk.registered()
    states = [b"%d" % number for number in range(16)]

    kept = await asyncio.gather(*(desk.save(session, "c-1", state) for state in states))

    assert kept.count(None) == 1
    assert set(kept) == {None, states[kept.index(None)]}


@pytest.mark.parametrize("state", sorted(ANY - WORKING))
async def test_an_instance_not_at_work_is_refused_naming_both_states(
    desk: Desk, state: State
) -> None:
    desk.put(state)

    with pytest.raises(InvalidInstanceState) as refusal:
        await desk.save(desk.session(), "c-1", b"one")

    assert state in str(refusal.value)
    assert "running" in str(refusal.value)
    assert desk.store.checkpoints == {}


@pytest.mark.parametrize("is_saved_before", [True, False])
async def test_an_instance_asleep_stirs_whether_it_saves_or_finds(
    desk: Desk, is_saved_before: bool
) -> None:
    session = await desk.registered()
    if is_saved_before:
        await desk.save(session, "c-1", b"one")
    row = desk.put(State.ASLEEP)

    await desk.save(session, "c-1", b"one")

    assert (row.state, row.sleep_until) == (State.RUNNING, None)


async def test_an_unknown_instance_is_not_found(desk: Desk) -> None:
    with pytest.raises(InstanceNotFound, match="not found"):
        await desk.save(desk.session(), "c-1", b"one")


async def test_an_older_run_is_superseded_even_to_find(desk: Desk) -> None:
    older = await desk.registered()
    await desk.save(older, "c-1", b"one")
    newer = await desk.registered()

    with pytest.raises(InstanceSuperseded, match=r"Run 1 .* by run 2"):
        await desk.save(older, "c-1", b"one")

    assert await desk.save(newer, "c-1", b"") == b"one"


async def test_a_connection_that_never_registered_may_save(desk: Desk) -> None:
    await desk.registered()

    assert await desk.save(desk.session(), "c-1", b"one") is None


async def test_the_answer_brings_what_was_sent_to_the_instance(desk: Desk) -> None:
    session = await desk.registered()
    desk.put_signal(SignalType.PAUSE)
    desk.store.pending_checkpoint_signals[ID, "c-1"] = CustomSignalRow(
        id=1, instance_id=ID, checkpoint_id="c-1", payload=b"sent", created_at=desk.clock.now()
    )

    for _ in ("saved", "found"):
        saved = await desk.save_checkpoint(
            caller=session.caller(ID), write=CheckpointWrite("c-1", b"one")
        )

        assert (saved.signal, saved.custom_signal) == (Signal(SignalType.PAUSE), b"sent")


async def test_an_id_of_a_retry_attempt_is_not_taken() -> None:
    with pytest.raises(InvalidValue, match="checkpoint_id"):
        CheckpointWrite("c-1::retry::1", b"one")


@pytest.mark.parametrize("state", sorted(ANY))
async def test_reading_gives_what_was_saved_in_any_state(desk: Desk, state: State) -> None:
    await desk.save(await desk.registered(), "c-1", b"one")
    desk.put(state)

    read = await desk.get_checkpoint(caller=Caller(ID), checkpoint_id="c-1")

    assert read == Checkpoint("c-1", b"one", desk.clock.now())
    assert desk.state() is state


async def test_an_older_run_may_read(desk: Desk) -> None:
    older = await desk.registered()
    await desk.save(older, "c-1", b"one")
    await desk.registered()

    read = await desk.get_checkpoint(caller=older.caller(ID), checkpoint_id="c-1")

    assert read is not None


async def test_reading_what_was_never_saved_gives_nothing(desk: Desk) -> None:
    await desk.registered()
    row_id = desk.put_retry_attempt("c-1")

    for checkpoint_id in ("c-1", row_id):
        assert await desk.get_checkpoint(caller=Caller(ID), checkpoint_id=checkpoint_id) is None


async def test_reading_takes_an_id(desk: Desk) -> None:
    with pytest.raises(InvalidValue, match="checkpoint_id"):
        await desk.get_checkpoint(caller=Caller(ID), checkpoint_id="")


async def test_reading_from_an_unknown_instance_is_refused(desk: Desk) -> None:
    """Nothing found is said of a known instance only."""
    with pytest.raises(InstanceNotFound, match="not found"):
        await desk.get_checkpoint(caller=Caller("unknown"), checkpoint_id="c-1")
