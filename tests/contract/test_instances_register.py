"""Registering: the next run begins, or the outcome says why not."""

from datetime import timedelta

import pytest
from tests.contract.database import Database
from tests.contract.states import EARLIER, TENANT, put_checkpoint, put_instance
from tests.support.clock import START, FrozenClock

from runtara_domain.model import Registration, RunState, Signal
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import FINAL, MOVES, OPEN, InstanceStatus, Move, SignalType, State

WHEN = MOVES[Move.REGISTER].sources


def registration(
    instance_id: str = "i", tenant_id: str = TENANT, checkpoint_id: str | None = None
) -> Registration:
    return Registration(instance_id, tenant_id, checkpoint_id)


async def test_an_unknown_instance_is_created_running_in_its_first_run(
    persistence: Persistence, database: Database
) -> None:
    """Creating, starting and the `started` event are one step."""
    found = await persistence.instances.register(registration(), when=WHEN, at=START)

    row = await database.row("i")
    assert (found.before, found.tenant_id, found.run) == (None, TENANT, 1)
    assert found.checkpoint_exists
    assert found.input is None
    assert (row["status"], row["run_epoch"], row["tenant_id"]) == ("running", 1, TENANT)
    assert [row["created_at"], row["started_at"], row["last_activity_at"]] == [START] * 3
    assert row["finished_at"] is row["sleep_until"] is row["checkpoint_id"] is None
    assert await database.events("i") == ["started"]


async def test_an_unknown_instance_has_no_checkpoint_to_start_from(
    persistence: Persistence, database: Database
) -> None:
    """A refusal leaves nothing behind."""
    found = await persistence.instances.register(
        registration(checkpoint_id="c"), when=WHEN, at=START
    )

    assert found.before is None
    assert not found.checkpoint_exists
    assert await database.rows("instances") == await database.rows("instance_events") == []


@pytest.mark.parametrize("state", sorted(OPEN))
async def test_an_open_instance_begins_its_next_run(
    persistence: Persistence, database: Database, state: State
) -> None:
    """First start, restart, wake and resume are one move: RUNNING, with nothing left to wake."""
    before = await put_instance(database, state)

    found = await persistence.instances.register(registration(), when=WHEN, at=START)

    row = await database.row("i")
    assert (found.before, found.run) == (before, 3)
    assert (row["status"], row["run_epoch"], row["last_activity_at"]) == ("running", 3, START)
    assert row["sleep_until"] is row["wake_claim_until"] is row["wake_claim_by"] is None
    assert row["finished_at"] is None
    assert await database.events("i") == ["started"]


@pytest.mark.parametrize("state", sorted(FINAL))
async def test_a_finished_instance_stays_as_it_is(
    persistence: Persistence, database: Database, state: State
) -> None:
    """Nothing leaves a final state, nothing in such a row changes."""
    before = await put_instance(database, state)
    stored = await database.snapshot()

    found = await persistence.instances.register(registration(), when=WHEN, at=START)

    assert (found.before, found.run) == (before, 2)
    assert await database.snapshot() == stored


@pytest.mark.parametrize("state", sorted(State))
async def test_the_condition_handed_in_decides(
    persistence: Persistence, database: Database, state: State
) -> None:
    """The domain says in which states a step applies; an adapter knows no rule of its own."""
    await put_instance(database, state)
    stored = await database.snapshot()

    await persistence.instances.register(registration(), when=WHEN - {state}, at=START)

    assert await database.snapshot() == stored


@pytest.mark.parametrize("state", sorted(State))
async def test_another_tenant_gets_the_owners_name_and_changes_nothing(
    persistence: Persistence, database: Database, state: State
) -> None:
    """An existing instance must belong to the same tenant."""
    await put_instance(database, state)
    stored = await database.snapshot()

    found = await persistence.instances.register(
        registration(tenant_id="other"), when=WHEN, at=START
    )

    assert (found.tenant_id, found.run) == (TENANT, 2)
    assert await database.snapshot() == stored


async def test_a_named_checkpoint_is_verified_and_not_moved_to(
    persistence: Persistence, database: Database
) -> None:
    """A checkpoint_id must exist; naming it does nothing else."""
    await put_instance(database, State.RUNNING, checkpoint_id="b")
    for name in ("a", "b"):
        await database.put("checkpoints", {"instance_id": "i", "checkpoint_id": name, "state": b""})

    found = await persistence.instances.register(
        registration(checkpoint_id="a"), when=WHEN, at=START
    )

    assert found.checkpoint_exists
    assert found.run == 3
    assert (await database.row("i"))["checkpoint_id"] == "b"


@pytest.mark.parametrize("named", ["missing", "a::retry::1", "of another"])
async def test_what_is_no_checkpoint_of_the_instance_refuses_the_registration(
    persistence: Persistence, database: Database, named: str
) -> None:
    """Neither an audit row of a retry attempt counts, nor a checkpoint of another instance."""
    await put_instance(database, State.RUNNING)
    await put_instance(database, State.RUNNING, "other")
    await database.put_attempt("i", "a", 1)
    await database.put(
        "checkpoints", {"instance_id": "other", "checkpoint_id": "of another", "state": b""}
    )
    stored = await database.snapshot()

    found = await persistence.instances.register(
        registration(checkpoint_id=named), when=WHEN, at=START
    )

    assert not found.checkpoint_exists
    assert found.run == 2
    assert await database.snapshot() == stored


async def test_started_at_is_the_first_start(persistence: Persistence, database: Database) -> None:
    """Later runs leave it; an instance that was only created gets it with its first."""
    await put_instance(database, State.PENDING, "new", run=0)
    await put_instance(database, State.RUNNING, "old")

    for instance_id in ("new", "old"):
        await persistence.instances.register(registration(instance_id), when=WHEN, at=START)

    assert (await database.row("new"))["started_at"] == START
    assert (await database.row("new"))["created_at"] == EARLIER
    assert (await database.row("old"))["started_at"] == EARLIER


async def test_runs_are_counted_from_one_with_one_started_event_each(
    persistence: Persistence, database: Database, clock: FrozenClock
) -> None:
    """Each registration begins a run."""
    runs = []
    for _ in range(3):
        found = await persistence.instances.register(registration(), when=WHEN, at=clock.now())
        runs.append((found.before, found.run))
        clock.advance(timedelta(milliseconds=1))

    assert runs == [(None, 1), (RunState(State.RUNNING, 1), 2), (RunState(State.RUNNING, 2), 3)]
    started = await database.rows("instance_events")
    assert [row["event_type"] for row in started] == ["started"] * 3
    assert [row["created_at"] for row in started] == [
        START + timedelta(milliseconds=offset) for offset in range(3)
    ]


async def test_an_instance_is_blank_until_a_run_has_begun_or_a_checkpoint_is_there(
    persistence: Persistence, database: Database
) -> None:
    """A copy of an instance has checkpoints before its first run."""
    await put_instance(database, State.PENDING, "created", run=0)
    await put_instance(database, State.PENDING, "copied", run=0)
    await put_checkpoint(database, instance_id="copied")
    await put_instance(database, State.RUNNING, "had a run", run=1)

    found = {
        name: await persistence.instances.register(registration(name), when=WHEN, at=START)
        for name in ("unknown", "created", "copied", "had a run")
    }
    assert [name for name, one in found.items() if one.is_blank] == ["unknown", "created"]


@pytest.mark.parametrize("given", [None, b"", b"\x00in\xff"])
async def test_the_input_comes_with_every_run(
    persistence: Persistence, database: Database, given: bytes | None
) -> None:
    """What the instance was created with is returned, an empty input as an empty one."""
    await put_instance(database, State.PENDING, input=given)

    first = await persistence.instances.register(registration(), when=WHEN, at=START)
    second = await persistence.instances.register(registration(), when=WHEN, at=START)

    assert first.input == second.input == given


@pytest.mark.parametrize("signal", sorted(SignalType))
async def test_registering_settles_a_pending_resume_and_no_other_signal(
    persistence: Persistence, database: Database, signal: SignalType
) -> None:
    """A resume has done its work once the instance runs; a cancel or a pause is still to come."""
    await put_instance(database, State.PAUSED)
    await put_instance(database, State.PAUSED, "other")
    await database.put_signal("i", signal, b"why")
    await database.put_signal("other", signal)

    found = await persistence.instances.register(registration(), when=WHEN, at=START)

    is_settled = signal is SignalType.RESUME
    assert found.signal == (None if is_settled else Signal(signal, b"why"))
    mine, others = await database.rows("pending_signals")
    assert mine["acknowledged_at"] == (START if is_settled else None)
    assert others["acknowledged_at"] is None
    await database.delete("pending_signals", "instance_id", "i")
    await database.put_signal("i", signal, b"why", acknowledged_at=EARLIER)
    again = await persistence.instances.register(registration(), when=WHEN, at=START)
    assert again.signal is None


async def test_a_settled_resume_keeps_its_time(
    persistence: Persistence, database: Database
) -> None:
    """Only a pending signal can be acknowledged."""
    await put_instance(database, State.RUNNING)
    await database.put_signal("i", SignalType.RESUME, acknowledged_at=EARLIER)

    await persistence.instances.register(registration(), when=WHEN, at=START)

    assert (await database.rows("pending_signals"))[0]["acknowledged_at"] == EARLIER


async def test_instances_never_mix(persistence: Persistence, database: Database) -> None:
    """Ids are opaque: case, spaces, signs and scripts tell instances apart."""
    ids = ["i", "I", " i", "i ", "i%", "i_", "é", "e\u0301", "🦀", "'; --", "x" * 1024]
    for instance_id in ids:
        await persistence.instances.register(registration(instance_id), when=WHEN, at=START)

    await persistence.instances.register(registration("I"), when=WHEN, at=START)

    rows = await database.rows("instances")
    assert [row["instance_id"] for row in rows] == ids
    assert [row["run_epoch"] for row in rows] == [1, 2] + [1] * 9
    assert {row["status"] for row in rows} == {InstanceStatus.RUNNING}


@pytest.mark.parametrize("state", sorted(OPEN))
async def test_registering_clears_why_the_instance_was_blocked_and_what_it_awaited(
    persistence: Persistence, database: Database, state: State
) -> None:
    """A process is at work again: the last suspension says nothing of it."""
    await put_instance(
        database, state, error="the code has changed", waits="[]", blocked_signal_at=EARLIER
    )

    await persistence.instances.register(registration(), when=WHEN, at=START)

    row = await database.row("i")
    assert row["error"] is row["waits"] is row["blocked_signal_at"] is None


async def test_a_registration_says_what_the_process_runs(
    persistence: Persistence, database: Database
) -> None:
    """What is not said stays, and so does a workflow: others know the instance by that name."""
    said = [
        Registration("i", TENANT, workflow="orders", code_version="1"),
        Registration("i", TENANT, code_version="2"),
        Registration("i", TENANT),
        Registration("i", TENANT, workflow="mail"),
    ]

    kept = []
    for one in said:
        await persistence.instances.register(one, when=WHEN, at=START)
        row = await database.row("i")
        kept.append((row["workflow"], row["code_version"]))

    assert kept == [("orders", "1"), ("orders", "2"), ("orders", "2"), ("orders", "2")]


async def test_a_registration_names_the_workflow_of_an_instance_that_has_none(
    persistence: Persistence, database: Database
) -> None:
    """An instance that was started by its image has none."""
    await put_instance(database, State.PENDING, workflow=None)

    asked = Registration("i", TENANT, workflow="orders")
    await persistence.instances.register(asked, when=WHEN, at=START)

    assert (await database.row("i"))["workflow"] == "orders"


async def test_going_on_with_a_run_keeps_nothing_of_what_is_said(
    persistence: Persistence, database: Database
) -> None:
    """It binds a connection, and moves nothing."""
    await put_instance(database, State.RUNNING, workflow="orders")
    stored = await database.snapshot()
    asked = Registration("i", TENANT, continue_run=2, workflow="mail", code_version="3")

    found = await persistence.instances.register(asked, when=WHEN, at=START)

    assert found.run == 2
    assert await database.snapshot() == stored


@pytest.mark.parametrize("continue_run", [None, 2])
@pytest.mark.parametrize("open_launch", [None, "another", "mine"])
async def test_a_launch_registers_only_while_it_is_the_open_one(
    persistence: Persistence,
    database: Database,
    open_launch: str | None,
    continue_run: int | None,
) -> None:
    """Another launch changes nothing, and an instance without an open launch accepts none."""
    await put_instance(database, State.PENDING, launch_id=open_launch)
    stored = await database.snapshot()
    asked = Registration("i", TENANT, continue_run=continue_run, launch_id="mine")

    found = await persistence.instances.register(asked, when=WHEN, at=START)

    assert found.launch_is_open is (open_launch == "mine")
    began = found.launch_is_open and continue_run is None
    assert found.run == (3 if began else 2)
    assert (await database.snapshot() == stored) is not began


async def test_a_launch_creates_no_instance(persistence: Persistence, database: Database) -> None:
    """An unknown instance has no open launch."""
    asked = Registration("i", TENANT, launch_id="mine")

    found = await persistence.instances.register(asked, when=WHEN, at=START)

    assert (found.before, found.launch_is_open, found.run) == (None, False, 0)
    assert await database.rows("instances") == []


async def test_a_process_that_names_no_launch_begins_the_first_run_of_an_open_one(
    persistence: Persistence, database: Database
) -> None:
    """Clients of other languages can't name their launch: the first to register is its process."""
    await put_instance(database, State.PENDING, run=0, launch_id="open")

    found = await persistence.instances.register(registration(), when=WHEN, at=START)

    assert (found.launch_is_open, found.run) == (True, 1)
    assert (await database.row("i"))["launch_id"] == "open"
