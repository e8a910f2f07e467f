"""A call is the same whatever its parameters are called by now, and in whichever way it is made."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from types import MethodType
from typing import Any

import pytest
from tests.sdk.workflow.memory_store import Core, life

from runtara_sdk import Ended, NondeterminismError, Outcome, map_steps, step, workflow
from runtara_sdk.workflow.values.identity import Identity

Body = Callable[[], Awaitable[object]]


async def passed(before: Body, after: Body) -> Core:
    """An instance that has passed one body, and then goes through another."""
    core = Core()
    for body in (before, after):
        core.ended = None
        ended = await life(workflow(name="flow")(body), core)  # type: ignore[arg-type]
        assert ended is not None
        assert ended.outcome is Outcome.DONE, ended
    return core


def calling(function: Callable[..., Any], *args: object, **kwargs: object) -> Body:
    """A body that calls a step made of the function, under one name."""
    made: Any = step(name="step")(function)

    async def body() -> None:
        await made(*args, **kwargs)

    return body


async def of_order(order: str, cents: int = 5, *tags: str, note: str = "", **more: object) -> None:
    pass


async def of_item(
    item: str, price: int = 5, *labels: str, note: str = "", **others: object
) -> None:
    pass


async def with_more(order: str, cents: int = 5, first: str = "", *, extra: int = 0) -> None:
    pass


SAME = [
    (calling(of_order, "a", 1), calling(of_item, "a", 1)),
    (calling(of_order, "a", 1, "x", "y", n=1), calling(of_item, "a", 1, "x", "y", n=1)),
    (calling(of_order, "a", 1), calling(of_order, cents=1, order="a")),
    (calling(of_order, cents=1, order="a"), calling(of_order, "a", 1)),
    (calling(of_order, "a"), calling(of_order, "a", 5, note="")),
    (calling(of_order, "a", 5, note=""), calling(of_order, "a")),
    (calling(of_order, "a", 5, "x"), calling(with_more, "a", 5, "x")),
    (calling(of_order, "a", extra=1), calling(with_more, "a", extra=1)),
]

OTHER = [
    (calling(of_order, "a", 1), calling(of_order, "a", 2)),
    (calling(of_order, "a", 1), calling(of_order, "a")),
    (calling(of_order, "a", 5, "x"), calling(of_order, "a", 5, "y")),
    (calling(of_order, order="a", cents=1), calling(of_item, item="a", price=1)),
    (calling(of_order, "a", note="x"), calling(of_order, "a", note="y")),
]


@pytest.mark.parametrize(("before", "after"), SAME)
async def test_a_call_that_says_the_same_is_the_same(before: Body, after: Body) -> None:
    """Parameters may be renamed, given by position or by name, or left to their defaults."""
    await passed(before, after)


@pytest.mark.parametrize(("before", "after"), OTHER)
async def test_a_call_that_says_something_else_is_changed(before: Body, after: Body) -> None:
    """A call is changed even if only an argument's name differs."""
    with pytest.raises(NondeterminismError, match="was recorded with"):
        await passed(before, after)


class Shop:
    @step
    async def sell(self, what: str) -> str:
        return what

    @classmethod
    @step
    async def open(cls, where: str) -> str:
        return f"{cls.__name__} in {where}"


class Corner(Shop):
    pass


async def test_what_a_method_belongs_to_is_no_argument() -> None:
    """
    This holds however the method is called, and in Python 3.13, which binds class methods
    otherwise.
    """
    opened: Any = vars(Shop)["open"].__func__
    bound, handed = opened.__get__(Corner), MethodType(opened, Corner)
    through: list[Body] = [lambda: bound("Ulm"), lambda: handed("Ulm")]
    sold: list[Body] = [lambda: Corner().sell("tea"), lambda: Shop.sell(Corner(), "tea")]

    for one, other in (through, sold):
        for before, after in ((one, other), (other, one)):
            core = await passed(_calls(before), _calls(after))
            call = json.loads(core.states[next(key for key in core.states if "#" in key)])["call"]
            assert list(call) in (["where"], ["what"])


def _calls(call: Body) -> Body:
    async def body() -> None:
        await call()

    return body


async def test_a_step_put_on_a_class_is_no_method_of_it() -> None:
    """The first argument of such a step counts."""

    @step(name="sell")
    async def sell(what: str) -> None:
        pass

    class Stall:
        sold = sell

    with pytest.raises(NondeterminismError):
        await passed(_calls(lambda: Stall.sold("tea")), _calls(lambda: Stall.sold("milk")))


async def test_a_step_of_the_same_name_is_another() -> None:
    """With both in the process, neither gets the other's results."""

    class Invoices:
        @staticmethod
        @step
        async def create(number: int) -> str:
            return "invoice"

    class Shipments:
        @staticmethod
        @step
        async def create(number: int) -> str:
            return "shipment"

    async def one() -> None:
        await Invoices.create(1)
        await Shipments.create(1)

    async def other() -> None:
        await Shipments.create(1)
        await Invoices.create(1)

    with pytest.raises(
        NondeterminismError,
        match=r"call of .*Shipments\.create, and was recorded as one of .*Invoices",
    ):
        await passed(one, other)


def known(name: str, *functions: str) -> list[Identity]:
    """Steps of one name, known to this process."""
    found = [Identity(name, function) for function in functions]
    for each in found:
        each.enter()
    return found


def test_the_nearest_step_of_the_name_is_meant() -> None:
    """Its module may have another name by now, and a name that says too little means none."""
    alone, *_ = known("alone", "new:alone")
    bills, parcels = known("made", "new:Bills.made", "new:Parcels.made")
    here, there = known("run", "shop.here:run", "shop.there:run")
    was = Identity("made", "new:Bills.made", was=("Invoices.made",))
    named = Identity("made", "new:Bills.made", is_named=True)

    assert alone.is_meant("old:whatever")
    assert [one.is_meant("old:Bills.made") for one in (bills, parcels)] == [True, False]
    assert [one.is_meant("old:Invoices.made") for one in (bills, parcels)] == [False, False]
    assert [one.is_meant("here:run") for one in (here, there)] == [True, False]
    assert [one.is_meant("elsewhere:run") for one in (here, there)] == [False, False]
    assert bills.is_meant(None)
    assert was.is_meant("old:Invoices.made")
    assert named.is_meant("old:Invoices.made")


async def test_a_mapping_over_a_set_has_one_order() -> None:
    """The keys give the order, since the set's own differs in each process."""

    async def itself(item: str) -> str:
        await asyncio.sleep(0)
        return item

    @workflow
    async def mapping() -> list[str]:
        return await map_steps(itself, {"b", "a", "d", "c"}, key=str)

    assert await life(mapping, Core()) == Ended(Outcome.DONE, b'["a","b","c","d"]')
