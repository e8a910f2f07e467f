"""Listing and counting instances, the newest first."""

from datetime import timedelta

import pytest
from tests.contract.database import Database, Row
from tests.contract.states import EARLIER, TENANT, WAKE, WHAT_IT_RUNS, put_instance
from tests.support.clock import START

from runtara_domain.model import InstanceFilter, InstanceSummary
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import InstanceStatus, State

ALL = InstanceFilter()


def names(found: list[InstanceSummary]) -> list[str]:
    return [one.instance_id for one in found]


@pytest.mark.parametrize("state", sorted(State))
async def test_a_list_gives_all_but_what_may_be_large(
    persistence: Persistence, database: Database, state: State
) -> None:
    """This holds in any state. Reading changes nothing."""
    await put_instance(database, state, checkpoint_id="c", last_activity_at=START, **WHAT_IT_RUNS)
    stored = await database.snapshot()

    found = await persistence.instances.page(ALL)

    assert found == [
        InstanceSummary(
            instance_id="i",
            tenant_id=TENANT,
            status=state.status,
            run=2,
            checkpoint_id="c",
            created_at=EARLIER,
            started_at=None if state is State.PENDING else EARLIER,
            finished_at=EARLIER if state.is_final else None,
            sleep_until=WAKE if state is State.ASLEEP else None,
            last_activity_at=START,
            **WHAT_IT_RUNS,
        )
    ]
    assert found[0].state is state
    assert await database.snapshot() == stored


async def test_the_newest_come_first_and_ties_by_id(
    persistence: Persistence, database: Database
) -> None:
    """Ids in the order of their characters' code points, capitals before small letters."""
    times = {"a": 0, "é": 1, "b": 1, "B": 1, "z": 2, "🦀": 1, "\uffff": 1}
    for name, offset in times.items():
        created_at = START + timedelta(milliseconds=offset)
        await put_instance(database, State.RUNNING, name, created_at=created_at)

    found = await persistence.instances.page(ALL)

    assert names(found) == ["z", "B", "b", "é", "\uffff", "🦀", "a"]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 100])
@pytest.mark.parametrize(
    "which",
    [ALL, InstanceFilter(TENANT), InstanceFilter(None, InstanceStatus.RUNNING)],
    ids=["all", "tenant", "status"],
)
async def test_pages_follow_each_other(
    persistence: Persistence, database: Database, which: InstanceFilter, limit: int
) -> None:
    """A page may end among instances of the same time. After the last page there is nothing."""
    for number, name in enumerate(("f", "e", "d", "c", "b", "a")):
        created_at = START + timedelta(seconds=number // 3)
        await put_instance(database, State.RUNNING, name, created_at=created_at)
    read: list[str] = []
    last: InstanceSummary | None = None

    while page := await persistence.instances.page(which, after=last, limit=limit):
        assert len(page) <= limit
        read += names(page)
        last = page[-1]
        assert len(read) <= 6

    assert read == ["a", "b", "c", "d", "e", "f"]


async def test_a_page_goes_on_where_the_last_ended_whatever_came_since(
    persistence: Persistence, database: Database
) -> None:
    """New instances come first. Instances of earlier pages may be gone, even the last one."""
    for name, finished_at in {"a": EARLIER, "b": EARLIER, "c": WAKE, "d": WAKE}.items():
        await put_instance(
            database, State.COMPLETED, name, created_at=START, finished_at=finished_at
        )
    first = await persistence.instances.page(ALL, limit=2)
    await put_instance(database, State.RUNNING, "new", created_at=WAKE)
    await persistence.instances.prune(START)

    second = await persistence.instances.page(ALL, after=first[-1])

    assert (names(first), names(second)) == (["a", "b"], ["c", "d"])
    assert names(await persistence.instances.page(ALL)) == ["new", "c", "d"]


@pytest.mark.parametrize("tenant_id", [None, TENANT, "other", "nobody", "TENANT"])
@pytest.mark.parametrize("status", [None, *InstanceStatus])
async def test_instances_are_chosen_by_tenant_and_status(
    persistence: Persistence,
    database: Database,
    tenant_id: str | None,
    status: InstanceStatus | None,
) -> None:
    """One, both or none may be given, also for counts. Asleep and paused are one status."""
    for tenant in (TENANT, "other"):
        for state in State:
            name = f"{tenant} {state}"
            await put_instance(database, state, name, tenant_id=tenant)
    which = InstanceFilter(tenant_id, status)

    found = await persistence.instances.page(which)

    expected = {
        f"{tenant} {state}"
        for tenant in (TENANT, "other")
        for state in State
        if tenant_id in (None, tenant) and status in (None, state.status)
    }
    assert set(names(found)) == expected
    assert len(found) == len(expected)
    assert await persistence.instances.count(which) == len(expected)


async def test_an_empty_database_has_no_instances(persistence: Persistence) -> None:
    """No error."""
    assert await persistence.instances.page(ALL) == []
    assert await persistence.instances.count(ALL) == 0


FAMILY: dict[str, Row] = {
    "blocked order": {"workflow": "orders", "error": "changed"},
    "blocked mail": {"workflow": "mail", "error": "changed", "parent_id": "paused order"},
    "paused order": {"workflow": "orders"},
    "other": {"tenant_id": "other", "workflow": "orders", "error": "changed"},
    "child": {"parent_id": "paused order", "tenant_id": "other"},
    "nothing": {},
}


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (InstanceFilter(workflow="orders"), {"blocked order", "paused order", "other"}),
        (InstanceFilter(TENANT, workflow="orders"), {"blocked order", "paused order"}),
        (InstanceFilter(status=InstanceStatus.RUNNING, workflow="orders"), set()),
        (InstanceFilter(blocked=True), {"blocked order", "blocked mail", "other"}),
        (InstanceFilter(TENANT, blocked=True, workflow="mail"), {"blocked mail"}),
        (InstanceFilter(status=InstanceStatus.RUNNING, blocked=True), set()),
        (InstanceFilter(parent_id="paused order"), {"blocked mail", "child"}),
        (InstanceFilter("other", parent_id="paused order"), {"child"}),
        (InstanceFilter(parent_id="paused order", workflow="mail"), {"blocked mail"}),
        (InstanceFilter(parent_id="paused order", blocked=True), {"blocked mail"}),
        (
            InstanceFilter(status=InstanceStatus.SUSPENDED, parent_id="paused order"),
            {"blocked mail", "child"},
        ),
        (InstanceFilter(workflow="order"), set()),
        (InstanceFilter(parent_id="nothing"), set()),
    ],
)
async def test_a_list_is_narrowed_by_what_runs_whose_child_it_is_and_whether_it_is_blocked(
    persistence: Persistence, database: Database, which: InstanceFilter, expected: set[str]
) -> None:
    """Every condition of a filter holds; the list and the count agree, page by page."""
    for name, columns in FAMILY.items():
        await put_instance(database, State.PAUSED, name, **columns)

    first = await persistence.instances.page(which, limit=1)
    rest = await persistence.instances.page(which, after=first[0]) if first else []

    assert {*names(first), *names(rest)} == expected
    assert await persistence.instances.count(which) == len(first) + len(rest) == len(expected)
