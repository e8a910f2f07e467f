"""A parent and its child, both killed at random points."""

from pathlib import Path

from tests.acceptance.workflows.launched import KILLED, Examples, launched

from runtara_domain.status import InstanceStatus

CHILD = "f-1/delivery"


async def begin(examples: Examples, takes: str) -> None:
    """Have the parent launched, and the child as soon as there is one."""
    await examples.deploy("children:deliver")
    await examples.start("children:furnish", "f-1", {"item": "desk", "takes": takes})


async def test_a_parent_gets_what_its_child_gives(tmp_path: Path) -> None:
    """There is one child, and one order, however often it dies."""
    async with launched(tmp_path, seed=1, kills=2) as examples:
        await begin(examples, "500ms")
        parent = await examples.ended("f-1")
        exits = await examples.exits(CHILD)

    assert parent.output == b'"desk was delivered, number 1"'
    assert examples.world.books == [("orders", {"item": "desk"})]
    assert KILLED in exits


async def test_a_cancelled_parent_takes_its_child_along(tmp_path: Path) -> None:
    """The child cleans up, and only then is cancelled."""
    async with launched(tmp_path, seed=2, kills=2) as examples:
        await begin(examples, "1h")
        await examples.until(lambda: bool(examples.world.done("orders")))
        await examples.cancel("f-1")
        parent, child = await examples.ended("f-1"), await examples.ended(CHILD)
        exits = await examples.exits(CHILD)

    assert (parent.status, child.status) == (InstanceStatus.CANCELLED, InstanceStatus.CANCELLED)
    assert examples.world.books == [("orders", {"item": "desk"}), ("undone", "desk")]
    assert KILLED in exits


async def test_a_parent_gets_the_error_of_its_child(tmp_path: Path) -> None:
    """The parent gets the error as the child raised it."""
    async with launched(tmp_path, seed=3, kills=0) as examples:
        examples.world.sold_out.add("desk")
        await begin(examples, "1h")
        parent = await examples.ended("f-1")

    assert parent.output == b'"desk was not ordered: there is no desk left"'
