"""Finding instances that run and show no sign of life."""

from datetime import timedelta

import pytest
from tests.contract.database import Database, Row
from tests.contract.states import EARLIER, TENANT, WAKE, put_instance
from tests.support.clock import START

from runtara_domain.model import InstanceSummary
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import InstanceStatus, State

MILLISECOND = timedelta(milliseconds=1)


def names(found: list[InstanceSummary]) -> list[str]:
    return [one.instance_id for one in found]


@pytest.mark.parametrize("state", sorted(State))
async def test_only_what_runs_can_be_silent(
    persistence: Persistence, database: Database, state: State
) -> None:
    """The others have nothing to say; reading moves nothing."""
    await put_instance(database, state)
    stored = await database.snapshot()

    found = await persistence.instances.inactive_since(START)

    assert names(found) == (["i"] if state is State.RUNNING else [])
    assert await database.snapshot() == stored


async def test_the_last_known_sign_of_life_counts(
    persistence: Persistence, database: Database
) -> None:
    """Activity, else the start, else the creation, whichever of the others is later."""
    signs: dict[str, Row] = {
        "active": {"last_activity_at": START, "started_at": EARLIER},
        "active before": {"last_activity_at": EARLIER, "started_at": START, "created_at": START},
        "started": {"started_at": START},
        "started before": {"started_at": EARLIER, "created_at": START},
        "created": {"started_at": None, "created_at": START},
        "created before": {"started_at": None, "created_at": EARLIER},
    }
    for name, columns in signs.items():
        await put_instance(database, State.RUNNING, name, **columns)

    found = await persistence.instances.inactive_since(START - MILLISECOND)

    assert sorted(names(found)) == ["active before", "created before", "started before"]


@pytest.mark.parametrize(("offset", "silent"), [(-1, True), (0, False), (1, False)])
async def test_a_sign_of_life_at_that_time_counts_as_since(
    persistence: Persistence, database: Database, offset: int, silent: bool
) -> None:
    """The time is exact to the millisecond."""
    await put_instance(database, State.RUNNING, last_activity_at=START + offset * MILLISECOND)

    found = await persistence.instances.inactive_since(START)

    assert names(found) == (["i"] if silent else [])


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
async def test_the_longest_silent_come_first(
    persistence: Persistence, database: Database, limit: int
) -> None:
    """Each kind of sign of life counts. At most the limit is returned."""
    at = [START - number * MILLISECOND for number in range(4)]
    await put_instance(database, State.RUNNING, "second", started_at=at[2])
    await put_instance(database, State.RUNNING, "third", last_activity_at=at[1])
    await put_instance(database, State.RUNNING, "first", started_at=None, created_at=at[3])

    found = await persistence.instances.inactive_since(START, limit=limit)

    assert names(found) == ["first", "second", "third"][:limit]


async def test_a_silent_instance_is_listed_as_in_any_list(
    persistence: Persistence, database: Database
) -> None:
    """The list has the silent run, so a caller that ends it ends no later run."""
    await put_instance(database, State.RUNNING, run=7, checkpoint_id="c", last_activity_at=EARLIER)

    found = await persistence.instances.inactive_since(WAKE)

    assert found == [
        InstanceSummary(
            instance_id="i",
            tenant_id=TENANT,
            status=InstanceStatus.RUNNING,
            run=7,
            checkpoint_id="c",
            created_at=EARLIER,
            started_at=EARLIER,
            finished_at=None,
            sleep_until=None,
            last_activity_at=EARLIER,
        )
    ]
