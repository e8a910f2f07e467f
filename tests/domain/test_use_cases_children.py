"""What a run may ask for its children, and how a wrong question is answered."""

import pytest
from tests.domain.desk import ID, TENANT, Desk

from runtara_domain.error import (
    InstanceAlreadyExists,
    InstanceNotFound,
    InstanceSuperseded,
    InvalidInstanceState,
    InvalidValue,
)
from runtara_domain.model import Caller, CheckpointWrite, NewChild, NewChildren
from runtara_domain.status import State

CHILD = NewChild("child", "orders", b"17")


async def test_a_run_starts_a_child_once(desk: Desk) -> None:
    """The first call tells that it created the child, a later one that it was there."""
    desk.put(State.RUNNING)

    first = await desk.start_child(caller=Caller(ID), child=CHILD)
    again = await desk.start_child(caller=Caller(ID), child=CHILD)

    assert (first, again) == (True, False)
    assert desk.store.instances["child"].tenant_id == TENANT


async def test_starting_a_child_shows_life(desk: Desk) -> None:
    """The parent that starts a child is alive, also when the child existed."""
    desk.put(State.RUNNING)

    await desk.start_child(caller=Caller(ID), child=CHILD)
    await desk.activity.flush()

    assert desk.store.instances[ID].last_activity_at == desk.clock.now()


@pytest.mark.parametrize(
    ("child", "reason"),
    [
        (NewChild("child", "other", b"17"), "started before with another workflow: ask"),
        (NewChild("child", "orders", b"18"), "started before with another input: ask"),
        (NewChild("child", "other"), "with another workflow and another input: ask"),
    ],
)
async def test_the_same_id_for_another_child_is_refused(
    desk: Desk, child: NewChild, reason: str
) -> None:
    """The refusal names what differs and what to do."""
    desk.put(State.RUNNING)
    await desk.start_child(caller=Caller(ID), child=CHILD)

    with pytest.raises(InstanceAlreadyExists, match=reason):
        await desk.start_child(caller=Caller(ID), child=child)


async def test_another_parents_instance_is_no_child(desk: Desk) -> None:
    """The refusal says nothing of what the other instance runs."""
    desk.put(State.RUNNING)
    await desk.registered("child")

    with pytest.raises(InstanceAlreadyExists) as refusal:
        await desk.start_child(caller=Caller(ID), child=CHILD)

    assert str(refusal.value) == (
        f"Instance 'child' exists and is no child of '{ID}': choose another child_id"
    )


async def test_an_instance_in_the_place_of_a_successor_is_refused(desk: Desk) -> None:
    """The refusal says what makes room."""
    desk.put(State.RUNNING)
    await desk.registered("child")
    successor = NewChild("child", "orders", b"17", is_successor=True)

    with pytest.raises(InstanceAlreadyExists) as refusal:
        await desk.start_child(caller=Caller(ID), child=successor)

    assert str(refusal.value) == (
        f"Instance 'child' exists and is no successor of '{ID}': delete it, then retry '{ID}'"
    )


async def test_a_superseded_run_and_an_unknown_instance_start_nothing(desk: Desk) -> None:
    """A refused StartChild leaves nothing behind."""
    with pytest.raises(InstanceNotFound):
        await desk.start_child(caller=Caller(ID), child=CHILD)
    desk.put(State.RUNNING, run=2)
    with pytest.raises(InstanceSuperseded):
        await desk.start_child(caller=Caller(ID, 1), child=CHILD)
    desk.put(State.PAUSED)
    with pytest.raises(InvalidInstanceState, match="to start a child, it must be asleep or runn"):
        await desk.start_child(caller=Caller(ID), child=CHILD)

    assert set(desk.store.instances) == {ID}


@pytest.mark.parametrize(
    ("child_id", "workflow", "named"),
    [
        ("", "w", "child_id: takes 1 to 1024"),
        ("x" * 1018, "w", "child_id: takes 1 to 1017 bytes, got 1018"),
        ("a\0", "w", "child_id"),
        ("c", "", "workflow"),
        ("c", "x" * 1025, "workflow"),
    ],
)
def test_a_childs_fields_are_checked(child_id: str, workflow: str, named: str) -> None:
    """A child's id leaves room for the name of the signal of its ending."""
    with pytest.raises(InvalidValue, match=named):
        NewChild(child_id, workflow)


def test_the_longest_id_can_be_polled_for() -> None:
    """An id of 1,017 bytes is taken."""
    assert NewChild("x" * 1017, "w").child_id == "x" * 1017


async def test_a_run_cancels_its_own_child(desk: Desk) -> None:
    """One that has not begun is cancelled with that; one that has ended is left alone."""
    desk.put(State.RUNNING)
    await desk.start_child(caller=Caller(ID), child=CHILD)

    first = await desk.cancel_child(caller=Caller(ID), child_id="child")
    again = await desk.cancel_child(caller=Caller(ID), child_id="child")

    assert (first, again) == (True, False)
    assert desk.store.instances["child"].state is State.CANCELLED


async def test_only_a_current_run_cancels_children_and_only_its_own(desk: Desk) -> None:
    """An instance of another parent is not found, as an unknown one is not."""
    desk.put(State.RUNNING, run=2)
    await desk.start_child(caller=Caller(ID), child=CHILD)

    for unknown in ("nothing", ID):
        with pytest.raises(InstanceNotFound):
            await desk.cancel_child(caller=Caller(ID), child_id=unknown)
    with pytest.raises(InstanceSuperseded):
        await desk.cancel_child(caller=Caller(ID, 1), child_id="child")
    assert desk.store.instances["child"].state is State.PENDING


TOGETHER = NewChildren((CHILD, NewChild("other", "orders")), (CheckpointWrite("c", b"1"),))


async def test_a_run_starts_children_together(desk: Desk) -> None:
    """The outcome tells of each whether it is new; the parent shows life."""
    desk.put(State.RUNNING)
    await desk.start_child(caller=Caller(ID), child=CHILD)

    started = await desk.start_children(caller=Caller(ID), new=TOGETHER)
    again = await desk.start_children(caller=Caller(ID), new=TOGETHER)
    await desk.activity.flush()

    assert (started.created, again.created) == ((False, True), (False, False))
    assert [one.is_found for one in (*started.saved, *again.saved)] == [False, True]
    assert desk.store.instances[ID].last_activity_at == desk.clock.now()


async def test_of_children_together_one_that_is_taken_is_named(desk: Desk) -> None:
    """Nothing is stored, and the refusal is the one of that child."""
    desk.put(State.RUNNING)
    await desk.registered("other")

    with pytest.raises(InstanceAlreadyExists, match=f"'other' exists and is no child of '{ID}'"):
        await desk.start_children(caller=Caller(ID), new=TOGETHER)

    assert set(desk.store.instances) == {ID, "other"}


async def test_children_together_are_for_a_parent_at_work(desk: Desk) -> None:
    """The refusals are those of one child."""
    with pytest.raises(InstanceNotFound):
        await desk.start_children(caller=Caller(ID), new=TOGETHER)
    desk.put(State.RUNNING, run=2)
    with pytest.raises(InstanceSuperseded):
        await desk.start_children(caller=Caller(ID, 1), new=TOGETHER)
    desk.put(State.PAUSED)
    with pytest.raises(InvalidInstanceState, match="to start children, it must be asleep or run"):
        await desk.start_children(caller=Caller(ID), new=TOGETHER)

    assert set(desk.store.instances) == {ID}


def children(count: int, *, size: int = 0) -> tuple[NewChild, ...]:
    return tuple(NewChild(f"c{number}", "w", bytes(size)) for number in range(count))


def test_as_many_as_fit_are_started_together() -> None:
    """100 children, 1,000 checkpoints, 8 MiB."""
    writes = tuple(CheckpointWrite(f"w{number}", b"") for number in range(1000))

    assert NewChildren(children(100), writes).size == 0
    assert NewChildren(children(2, size=4 * 2**20)).size == 8 * 2**20


@pytest.mark.parametrize(
    ("asked", "writes", "named"),
    [
        ((), (), "children: takes 1 to 100, got 0"),
        (children(101), (), "children: takes 1 to 100, got 101"),
        (
            children(1),
            tuple(CheckpointWrite(f"w{number}", b"") for number in range(1001)),
            "checkpoints: takes 0 to 1000, got 1001",
        ),
        ((NewChild("s", "w", is_successor=True),), (), "children: takes no successor"),
        ((CHILD, CHILD), (), "child_id: takes each id once, got 'child' again"),
        (
            (CHILD,),
            (CheckpointWrite("w", b"1"), CheckpointWrite("w", b"2")),
            "checkpoint_id: takes each id once, got 'w' again",
        ),
        (children(1, size=8 * 2**20), (CheckpointWrite("w", b"1"),), "take at most 8388608 bytes"),
    ],
)
def test_what_is_started_together_is_checked(
    asked: tuple[NewChild, ...], writes: tuple[CheckpointWrite, ...], named: str
) -> None:
    """The error names what is taken."""
    with pytest.raises(InvalidValue, match=named):
        NewChildren(asked, writes)
