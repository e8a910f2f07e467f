"""Deleting an instance that has ended, with its children."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.contract.database import Database
from tests.contract.launching import KILLED, close, launch
from tests.contract.states import TENANT, put_checkpoint, put_instance
from tests.contract.test_instances_prune import names, put_belongings
from tests.support.clock import START

from runtara_domain.model import Caller, Ending, NewChild
from runtara_domain.model.interventions import Deleted, Deletion, Retry
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import FINAL, OPEN, WORKING, SignalType, State

MILLISECOND = timedelta(milliseconds=1)


@pytest.mark.parametrize("state", sorted(FINAL))
async def test_a_finished_instance_goes_with_all_that_belongs_to_it(
    persistence: Persistence, database: Database, state: State
) -> None:
    """Its children and theirs go with it. Nothing of another instance goes."""
    await put_instance(database, State.RUNNING, "other")
    await put_instance(database, State.COMPLETED, "another's", parent_id="i", tenant_id="other")
    await put_belongings(database, "other")
    others = await database.snapshot()
    await put_instance(database, state)
    await put_instance(database, State.COMPLETED, "child", parent_id="i")
    await put_instance(database, State.FAILED, "child's", parent_id="child")
    for name in ("i", "child", "child's"):
        await put_belongings(database, name)

    deleted = await persistence.launches.delete(Deletion("i"))

    assert deleted == Deleted(before=state, tenant_id=TENANT, deleted=("i", "child", "child's"))
    assert await database.snapshot() == others


@pytest.mark.parametrize("state", sorted(OPEN))
async def test_an_open_instance_stays(
    persistence: Persistence, database: Database, state: State
) -> None:
    await put_instance(database, state)
    await put_belongings(database, "i")
    stored = await database.snapshot()

    found = await persistence.launches.delete(Deletion("i"))

    assert (found.before, found.deleted) == (state, ())
    assert await database.snapshot() == stored


async def test_only_the_end_that_is_expected_is_deleted(
    persistence: Persistence, database: Database
) -> None:
    """An instance that was retried and has ended again stays, and so does one that goes on."""
    run_state = await put_instance(database, State.RUNNING)
    await persistence.instances.finish(
        Caller("i", run_state.run), Ending(State.FAILED, error="no"), when=OPEN, at=START
    )
    early = await persistence.launches.delete(Deletion("i", ended_at=START - MILLISECOND))
    await persistence.launches.retry(Retry("i"), at=START)
    gone_on = await persistence.launches.delete(Deletion("i", ended_at=START))
    await persistence.instances.finish(
        Caller("i"), Ending(State.FAILED, error="no"), when=OPEN, at=START + MILLISECOND
    )
    anew = await persistence.launches.delete(Deletion("i", ended_at=START))
    stays = await names(database)
    late = START + MILLISECOND + timedelta(microseconds=999)
    deleted = await persistence.launches.delete(Deletion("i", ended_at=late))

    for found in (early, gone_on, anew):
        assert (found.has_other_end, found.deleted) == (True, ())
    assert stays == ["i"]
    assert (deleted.has_other_end, deleted.deleted) == (False, ("i",))


@pytest.mark.parametrize(("offset", "goes"), [(-1, True), (0, False), (1, False)])
async def test_a_family_stays_while_an_end_in_it_is_later_than_the_bound(
    persistence: Persistence, database: Database, offset: int, goes: bool
) -> None:
    """The depth doesn't matter. An open child is named as without the bound."""
    await put_instance(database, State.COMPLETED)
    await put_instance(database, State.COMPLETED, "child", parent_id="i")
    late = START + offset * MILLISECOND
    await put_instance(database, State.COMPLETED, "child's", parent_id="child", finished_at=late)
    bounded = Deletion("i", finished_before=START)

    found = await persistence.launches.delete(bounded)

    assert (found.has_other_end, bool(found.deleted)) == (not goes, goes)
    assert bool(await names(database)) is not goes
    await put_instance(database, State.COMPLETED, "other")
    await put_instance(database, State.RUNNING, "open", parent_id="other")
    kept = await persistence.launches.delete(replace(bounded, instance_id="other"))
    assert (kept.open_child_id, kept.has_other_end) == ("open", False)


LEFT = {
    (State.PAUSED, None),
    (State.PAUSED, SignalType.PAUSE),
    (State.ASLEEP, SignalType.PAUSE),
}


@pytest.mark.parametrize("pending", [None, *SignalType])
@pytest.mark.parametrize("state", sorted(OPEN))
async def test_a_paused_instance_can_go_without_its_clean_up(
    persistence: Persistence, database: Database, state: State, pending: SignalType | None
) -> None:
    """
    If that is asked for, and no launch, parent or child of it is open.

    One that wakes by
    itself stays, and so does one with a pending resume or cancel.
    """
    await put_instance(database, State.RUNNING, "other")
    others = await database.snapshot()
    await put_instance(database, state)
    await put_checkpoint(database, "c", "i")
    if pending is not None:
        await database.put_signal("i", pending)
    await put_instance(database, State.RUNNING, "child", parent_id="i")
    kept = await persistence.launches.delete(Deletion("i", also_suspended=True))
    child = Caller("child")
    await persistence.instances.finish(child, Ending(State.COMPLETED), when=OPEN, at=START)
    found = await persistence.launches.delete(Deletion("i", also_suspended=True))

    assert (kept.before, kept.deleted) == (state, ())
    if (state, pending) in LEFT:
        assert (kept.open_child_id, found.deleted) == ("child", ("i", "child"))
        assert await database.snapshot() == others
    else:
        assert (found.before, found.deleted) == (state, ())


async def test_an_unknown_instance_is_reported(persistence: Persistence) -> None:
    assert await persistence.launches.delete(Deletion("unknown")) == Deleted(before=None)


async def test_an_open_relative_keeps_it(persistence: Persistence, database: Database) -> None:
    """A parent, or a child's child; a parent of another tenant is none."""
    await put_instance(database, State.COMPLETED, "top", parent_id="far")
    await put_instance(database, State.RUNNING, "far", tenant_id="other")
    await put_instance(database, State.COMPLETED, "middle", parent_id="top")
    await put_instance(database, State.ASLEEP, "low", parent_id="middle")
    await put_instance(database, State.COMPLETED, "last", parent_id="low")
    stored = await database.snapshot()

    top = await persistence.launches.delete(Deletion("top"))
    last = await persistence.launches.delete(Deletion("last"))

    assert (top.open_parent_id, top.open_child_id, top.deleted) == (None, "low", ())
    assert (last.open_parent_id, last.open_child_id, last.deleted) == ("low", None, ())
    assert await database.snapshot() == stored


async def test_one_whose_launch_is_not_over_stays_until_it_is(
    persistence: Persistence, database: Database
) -> None:
    """What its process leaves is still to be judged."""
    launched = await launch(persistence)
    ending = Ending(State.COMPLETED, b"out")
    await persistence.instances.finish(Caller("i"), ending, when=OPEN, at=START)

    early = await persistence.launches.delete(Deletion("i"))
    await close(persistence, launched.launch_id, KILLED)
    deleted = await persistence.launches.delete(Deletion("i"))

    assert (early.open_launch_id, early.deleted) == (launched.launch_id, ())
    assert deleted.deleted == ("i",)
    stored = await database.snapshot()
    kept = {"images", "image_chunks", "environments"}
    assert {table for table, rows in stored.items() if rows} <= kept


async def test_an_instance_that_is_its_own_parent_can_go(
    persistence: Persistence, database: Database
) -> None:
    """A deletion ends, whatever rows other programs have written."""
    await put_instance(database, State.COMPLETED, "a", parent_id="b")
    await put_instance(database, State.COMPLETED, "b", parent_id="a")
    await put_instance(database, State.COMPLETED, "self", parent_id="self")

    both = await persistence.launches.delete(Deletion("a"))
    own = await persistence.launches.delete(Deletion("self"))

    assert (both.deleted, own.deleted) == (("a", "b"), ("self",))
    assert await names(database) == []


async def test_a_deletion_and_a_retry_have_one_winner(
    persistence: Persistence, database: Database
) -> None:
    """An instance is gone, or goes on with all that it had."""
    ids = [f"i{number}" for number in range(8)]
    for name in ids:
        await put_instance(database, State.FAILED, name)
        await put_belongings(database, name)

    for name in ids:
        deleted, retried = await asyncio.gather(
            persistence.launches.delete(Deletion(name)),
            persistence.launches.retry(Retry(name), at=START),
        )
        is_left = name in await names(database)
        assert is_left == (retried.before is not None) == (deleted.deleted == ())
        assert (await persistence.checkpoints.get(name, "c") is not None) == is_left


async def test_a_deletion_and_a_new_child_leave_no_orphan(
    persistence: Persistence, database: Database
) -> None:
    """A parent that ends is deleted with the child that it has just started, or not at all."""
    for number in range(8):
        parent, child = f"p{number}", f"c{number}"
        run_state = await put_instance(database, State.RUNNING, parent)
        caller = Caller(parent, run_state.run)
        _, _, deleted = await asyncio.gather(
            persistence.instances.start_child(
                caller, NewChild(child, "orders", b""), when=WORKING, at=START
            ),
            persistence.instances.finish(caller, Ending(State.COMPLETED), when=OPEN, at=START),
            persistence.launches.delete(Deletion(parent)),
        )
        left = set(await names(database)) & {parent, child}
        assert left in (set(), {parent}, {parent, child})
        assert (parent in left) == (deleted.deleted == ())
