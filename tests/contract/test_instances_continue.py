"""Registering to go on with a run, after a connection was lost."""

import pytest
from tests.contract.database import Database
from tests.contract.states import TENANT, put_instance
from tests.support.clock import START

from runtara_domain.model import Registration
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import MOVES, Move, SignalType, State

WHEN = MOVES[Move.REGISTER].sources


@pytest.mark.parametrize("run", [1, 2, 3])
@pytest.mark.parametrize("state", sorted(State))
async def test_continuing_moves_and_adds_nothing(
    persistence: Persistence, database: Database, state: State, run: int
) -> None:
    """Older, newest or yet unheard of: the outcome tells the newest run, the domain judges."""
    before = await put_instance(database, state, input=b"given")
    await database.put_signal("i", SignalType.RESUME)
    stored = await database.snapshot()

    found = await persistence.instances.register(
        Registration("i", TENANT, continue_run=run), when=WHEN, at=START
    )

    assert (found.before, found.tenant_id, found.run) == (before, TENANT, 2)
    assert found.checkpoint_exists
    assert found.input == b"given"
    assert await database.snapshot() == stored


async def test_an_unknown_instance_has_no_run_to_continue(
    persistence: Persistence, database: Database
) -> None:
    """It is not created: an unknown instance can't have had the run."""
    found = await persistence.instances.register(
        Registration("i", TENANT, continue_run=1), when=WHEN, at=START
    )

    assert found.before is None
    assert await database.rows("instances") == await database.rows("instance_events") == []


async def test_continuing_verifies_a_named_checkpoint(
    persistence: Persistence, database: Database
) -> None:
    """The outcome has what was found, as with a new run."""
    await put_instance(database, State.RUNNING)
    await database.put("checkpoints", {"instance_id": "i", "checkpoint_id": "a", "state": b""})

    found = [
        await persistence.instances.register(
            Registration("i", TENANT, name, continue_run=2), when=WHEN, at=START
        )
        for name in ("a", "b")
    ]

    assert [outcome.checkpoint_exists for outcome in found] == [True, False]


async def test_continuing_names_the_tenant_to_another_one(
    persistence: Persistence, database: Database
) -> None:
    """The tenant is judged as with a new run."""
    await put_instance(database, State.RUNNING)

    found = await persistence.instances.register(
        Registration("i", "other", continue_run=2), when=WHEN, at=START
    )

    assert found.tenant_id == TENANT
