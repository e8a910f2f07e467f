import pytest
from tests.domain.desk import ID, TENANT, Desk
from tests.support.clock import FrozenClock

from runtara_domain.error import (
    CheckpointNotFound,
    CoreError,
    DatabaseError,
    InstanceAlreadyExists,
    InstanceNotFound,
    InstanceSuperseded,
    InvalidInstanceState,
    InvalidValue,
    TooManyInstances,
)
from runtara_domain.model import EventType, Registration
from runtara_domain.status import FINAL, OPEN, InstanceStatus, SignalType, State
from runtara_persistence.memory.persistence import MemoryPersistence


async def test_an_unknown_instance_is_created_running_in_its_first_run(desk: Desk) -> None:
    """It is created and RUNNING in one step, with one `started` event."""
    session = desk.session()

    registered = await desk.register(session)

    row = desk.store.instances[ID]
    assert (registered.before, registered.run, registered.input) == (None, 1, None)
    assert (row.state, row.started_at, row.finished_at) == (State.RUNNING, desk.clock.now(), None)
    assert desk.said() == [(EventType.STARTED, b"")]
    assert session.caller(ID).run == 1


@pytest.mark.parametrize("state", sorted(OPEN))
async def test_a_known_instance_that_is_open_begins_its_next_run(desk: Desk, state: State) -> None:
    row = desk.put(state, run=4)
    row.input = b"what it was given"
    session = desk.session()

    registered = await desk.register(session)

    assert (registered.run, registered.input) == (5, b"what it was given")
    assert (row.state, row.sleep_until) == (State.RUNNING, None)
    assert session.caller(ID).run == 5


async def test_each_run_adds_one_started_event(desk: Desk) -> None:
    await desk.registered()
    await desk.registered()

    assert desk.said() == [(EventType.STARTED, b"")] * 2


async def test_registering_settles_a_pending_resume(desk: Desk) -> None:
    desk.put(State.PAUSED)
    resume = desk.put_signal(SignalType.RESUME)

    await desk.registered()

    assert resume.acknowledged_at == desk.clock.now()


@pytest.mark.parametrize("kind", [SignalType.CANCEL, SignalType.PAUSE])
async def test_registering_leaves_other_signals_pending(desk: Desk, kind: SignalType) -> None:
    desk.put(State.PAUSED)
    signal = desk.put_signal(kind)

    await desk.registered()

    assert signal.acknowledged_at is None


async def refused(
    desk: Desk,
    kind: type[CoreError],
    *,
    tenant_id: str = TENANT,
    checkpoint_id: str | None = None,
    continue_run: int | None = None,
) -> str:
    """Register, expect a refusal that leaves nothing behind; give its message."""
    rows = {key: row.run_state for key, row in desk.store.instances.items()}
    taken, events = desk.slots.taken, desk.said()

    with pytest.raises(kind) as refusal:
        await desk.register(
            desk.session(),
            tenant_id=tenant_id,
            checkpoint_id=checkpoint_id,
            continue_run=continue_run,
        )

    assert {key: row.run_state for key, row in desk.store.instances.items()} == rows
    assert (desk.slots.taken, desk.said()) == (taken, events)
    return str(refusal.value)


async def test_an_instance_of_another_tenant_is_refused(desk: Desk) -> None:
    desk.put(State.RUNNING)

    said = await refused(desk, InstanceAlreadyExists, tenant_id="t-2")

    assert repr(ID) in said
    assert "'t-1'" not in said, "it tells one tenant the name of another"


@pytest.mark.parametrize("state", sorted(FINAL))
@pytest.mark.parametrize("continue_run", [None, 1])
async def test_a_finished_instance_is_refused_naming_its_state(
    desk: Desk, state: State, continue_run: int | None
) -> None:
    desk.put(state)

    assert state in await refused(desk, InvalidInstanceState, continue_run=continue_run)


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_checkpoint_that_is_named_must_exist(desk: Desk, is_known: bool) -> None:
    if is_known:
        desk.put(State.RUNNING)

    said = await refused(desk, CheckpointNotFound, checkpoint_id="c-9")

    assert "'c-9'" in said
    assert "not found" in said


async def test_an_attempts_audit_row_is_no_checkpoint_to_register_with(desk: Desk) -> None:
    desk.put(State.RUNNING)
    row_id = desk.put_retry_attempt("c-1")

    await refused(desk, CheckpointNotFound, checkpoint_id=row_id)


async def test_a_checkpoint_that_exists_is_only_verified(desk: Desk) -> None:
    first = await desk.registered()
    await desk.save(first, "c-1", b"one")
    await desk.save(first, "c-2", b"two")

    registered = await desk.register(desk.session(), checkpoint_id="c-1")

    assert registered.run == 2
    assert desk.store.instances[ID].checkpoint_id == "c-2"


@pytest.mark.parametrize("state", sorted(OPEN))
async def test_the_newest_run_is_continued_and_nothing_moves(desk: Desk, state: State) -> None:
    """A reconnecting client binds its connection; no `started`, no un-pause."""
    row = desk.put(state, run=3)
    session = desk.session()

    registered = await desk.register(session, continue_run=3)

    assert registered.run == 3
    assert session.caller(ID).run == 3
    assert row.state is state
    assert desk.said() == []


@pytest.mark.parametrize("run", [2, 4])
async def test_any_other_run_is_superseded(desk: Desk, run: int) -> None:
    """An older one must stop; one that never was is no better."""
    desk.put(State.RUNNING, run=3)

    said = await refused(desk, InstanceSuperseded, continue_run=run)

    assert str(run) in said
    assert "3" in said


async def test_a_run_of_an_unknown_instance_cannot_be_continued(desk: Desk) -> None:
    assert "not found" in await refused(desk, InstanceNotFound, continue_run=1)


async def test_a_run_to_continue_is_counted_from_1(desk: Desk) -> None:
    assert "continue_run" in await refused(desk, InvalidValue, continue_run=0)


async def test_one_instance_more_than_the_limit_is_refused_before_it_is_written(
    desk: Desk,
) -> None:
    await desk.registered("i-2")
    await desk.registered("i-3")

    said = await refused(desk, TooManyInstances)

    assert "RUNTARA_MAX_CONCURRENT_INSTANCES" in said
    assert ID not in desk.store.instances


async def test_the_place_of_an_instance_that_others_ended_is_free(desk: Desk) -> None:
    """Ended by an operator, say: this server sees it when it has no other place left."""
    await desk.registered("i-2")
    await desk.registered("i-3")
    ended = desk.store.instances["i-2"]
    ended.status = InstanceStatus.CANCELLED

    await desk.registered()

    assert desk.slots.instance_ids == {ID, "i-3"}


async def test_a_refusal_keeps_the_place_of_a_session_that_holds_it(desk: Desk) -> None:
    session = await desk.registered()

    with pytest.raises(InstanceAlreadyExists):
        await desk.register(session, tenant_id="t-2")

    assert desk.slots.taken == 1
    session.close()
    assert desk.slots.taken == 0


async def test_a_place_is_given_back_when_the_database_fails(clock: FrozenClock) -> None:
    desk = Desk(MemoryPersistence(), clock)

    with pytest.raises(DatabaseError, match="not open"):
        await desk.registered()

    assert desk.slots.taken == 0


@pytest.mark.parametrize("continue_run", [None, 1])
async def test_a_launch_that_is_not_the_open_one_must_stop(
    desk: Desk, continue_run: int | None
) -> None:
    """Beginning a run, or going on with one."""
    await desk.registered()
    asked = Registration(ID, TENANT, continue_run=continue_run, launch_id="closed")

    with pytest.raises(InstanceSuperseded, match="'closed' is not the open one"):
        await desk.register_instance(session=desk.session(), registration=asked)

    assert desk.row.run_epoch == 1
