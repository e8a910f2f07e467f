"""Instances that another program creates, pending and with their input."""

import pytest
from tests.contract.database import Database
from tests.contract.states import TENANT, put_instance
from tests.support.clock import START

from runtara_domain.model import NewInstance, Registration, RunState
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import OPEN, State


@pytest.mark.parametrize(
    "input", [None, b"", b"\x00\xff", bytes(1024 * 1024)], ids=["none", "empty", "nul", "big"]
)
async def test_a_new_instance_is_pending_with_its_input(
    persistence: Persistence, database: Database, input: bytes | None
) -> None:
    """It has no run yet, and no event. No input is not the same as an empty one."""
    created = await persistence.instances.create(NewInstance("i", TENANT, input), at=START)

    row = await database.row("i")
    assert created is True
    assert {name: value for name, value in row.items() if value} == {
        "instance_id": "i",
        "tenant_id": TENANT,
        "definition_version": 1,
        "status": "pending",
        "attempt": 1,
        "max_attempts": 3,
        "created_at": START,
    } | ({"input": input} if input else {})
    assert await persistence.instances.input("i") == input
    assert await persistence.instances.run_state("i") == RunState(State.PENDING, 0)
    assert await database.rows("instance_events") == []


@pytest.mark.parametrize("state", sorted(State))
@pytest.mark.parametrize("tenant_id", [TENANT, "other"])
async def test_a_taken_id_is_left_as_it_is(
    persistence: Persistence, database: Database, tenant_id: str, state: State
) -> None:
    """This holds in every state and for every caller."""
    await put_instance(database, state, input=b"first")
    stored = await database.snapshot()

    created = await persistence.instances.create(NewInstance("i", tenant_id, b"other"), at=START)

    assert created is False
    assert await database.snapshot() == stored


async def test_ids_are_opaque(persistence: Persistence, database: Database) -> None:
    """Similar ids are different, and each is stored exactly."""
    ids = ["i", "I", " i", "i ", "i%", "é", "e\u0301", "🦀", "'; --", "x" * 1024]

    created = [
        await persistence.instances.create(NewInstance(name, TENANT, name.encode()), at=START)
        for name in ids
    ]

    inputs = [await persistence.instances.input(name) for name in ids]
    assert created == [True] * len(ids)
    assert inputs == [name.encode() for name in ids]
    assert [row["instance_id"] for row in await database.rows("instances")] == ids


@pytest.mark.parametrize("state", sorted(State))
async def test_the_input_is_read_in_any_state(
    persistence: Persistence, database: Database, state: State
) -> None:
    """Reading moves nothing; an unknown instance has none."""
    await put_instance(database, state, input=b"given")
    stored = await database.snapshot()

    found = [await persistence.instances.input(name) for name in ("i", "I")]

    assert found == [b"given", None]
    assert await database.snapshot() == stored


async def test_what_was_created_begins_its_first_run(
    persistence: Persistence, database: Database
) -> None:
    """It gets what it was created with, and keeps the time it was created at."""
    await persistence.instances.create(NewInstance("i", TENANT, b"given"), at=START)

    found = await persistence.instances.register(Registration("i", TENANT), when=OPEN, at=START)

    assert found.before == RunState(State.PENDING, 0)
    assert (found.run, found.input) == (1, b"given")


async def test_standings_are_read_of_many_at_once(
    persistence: Persistence, database: Database
) -> None:
    """Unknown ones are missing; one that is asked for twice is there once."""
    stood = {
        state.value: await put_instance(database, state, state.value, run=number)
        for number, state in enumerate(State)
    }
    stored = await database.snapshot()

    found = await persistence.instances.run_states([*stood, "unknown", "running", "Running"])

    assert found == stood
    assert await persistence.instances.run_states(frozenset({"running"})) == {
        "running": stood["running"]
    }
    assert await database.snapshot() == stored


@pytest.mark.parametrize("asked", [[], ["unknown"], [f"unknown{n}" for n in range(5000)]])
async def test_standings_of_none_or_very_many_are_answered(
    persistence: Persistence, database: Database, asked: list[str]
) -> None:
    """No number of ids is too large for one read."""
    await put_instance(database, State.RUNNING)

    assert await persistence.instances.run_states(asked) == {}


async def test_a_new_instance_keeps_the_workflow_it_will_run(
    persistence: Persistence, database: Database
) -> None:
    """Its first registration may say another."""
    new = NewInstance("i", TENANT, workflow="orders")

    await persistence.instances.create(new, at=START)

    assert (await database.row("i"))["workflow"] == "orders"
