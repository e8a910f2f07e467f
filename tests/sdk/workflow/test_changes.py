"""Code, input and names that changed under an instance are errors that name both sides."""

import logging
from collections.abc import Awaitable, Callable

import pytest
from tests.sdk.workflow.memory_store import Core, life

from runtara_sdk import (
    Ended,
    Incompatible,
    NondeterminismError,
    Outcome,
    Workflow,
    logger,
    patched,
    step,
    workflow,
)

Body = Callable[[], Awaitable[object]]


@step
async def one(number: int) -> int:
    return number


@step
async def two(number: int) -> int:
    return number


@step(was="two")
async def zwei(number: int) -> int:
    return number


@step
async def three(number: int) -> int:
    return number


def flow(body: Body) -> Workflow[[], None]:
    @workflow(name="flow")
    async def made() -> None:
        await body()

    return made


async def before() -> None:
    await one(1)
    await two(2)


async def passed(body: Body) -> Core:
    """An instance that has passed a body, and is run again."""
    core = Core()
    await life(flow(body), core)
    core.ended = None
    return core


async def with_three_first() -> None:
    await three(3)
    await before()


async def without_one() -> None:
    await two(2)


async def in_other_order() -> None:
    await two(2)
    await one(1)


async def without_two() -> None:
    await one(1)


async def with_other_arguments() -> None:
    await one(1)
    await two(3)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (with_three_first, r"calls 'three#1' where the history has recorded 'one#1'"),
        (without_one, r"calls 'two#1' where the history has recorded 'one#1'"),
        (in_other_order, r"calls 'two#1' where the history has recorded 'one#1'"),
        (without_two, r"ended without calling 'two#1'"),
        (with_other_arguments, r"called with \(number=3\), and was recorded with \(number=2\)"),
    ],
)
async def test_a_changed_call_stops_the_run(body: Body, said: str) -> None:
    """Nothing is saved, and the instance stays open for code that fits."""
    core = await passed(before)
    saved = dict(core.states)

    with pytest.raises(NondeterminismError, match=said):
        await life(flow(body), core)

    assert (core.states, core.ended) == (saved, None)
    assert await life(flow(before), core) == Ended(Outcome.DONE, b"null")


async def test_a_declared_change_is_none() -> None:
    """An instance that has gone the old way goes it again; a new one goes the new way."""
    seen: list[bool] = []

    async def after() -> None:
        await one(1)
        seen.append(await patched("three"))
        if seen[-1]:
            await three(3)
        await zwei(2)

    old, new = await passed(before), Core()
    for core in (old, old, new, new):
        core.ended = None
        ended = await life(flow(after), core)
        assert ended == Ended(Outcome.DONE, b"null")

    assert seen == [False, False, True, True]
    assert "zwei#1" not in old.states
    assert {"patched:three#1", "three#1", "zwei#1"} <= set(new.states)


async def test_what_was_under_way_when_the_patch_came_goes_the_new_way() -> None:
    """No call behind the patch was recorded, so the new way is free."""

    async def after() -> None:
        await one(1)
        if await patched("three"):
            await three(3)
        await two(2)

    core = await passed(without_two)
    await life(flow(after), core)

    assert {"three#1", "two#1"} <= set(core.states)


async def test_a_key_that_is_given_may_be_called_in_any_order() -> None:
    """The key alone tells which call it is."""

    async def keyed() -> None:
        await one.keyed("x")(1)
        await two.keyed("y")(2)

    async def turned() -> None:
        await two.keyed("y")(2)
        await one.keyed("x")(1)

    core = await passed(keyed)

    assert await life(flow(turned), core) == Ended(Outcome.DONE, b"null")
    assert set(core.states) == {"~workflow", "one~x", "two~y"}


async def test_a_key_in_its_branch_is_what_form_2_has() -> None:
    """A call that an older version saved so is found there, and one that it only began as well."""

    async def keyed() -> None:
        await one.keyed("x")(1)
        await two.keyed("y")(2)

    core = await passed(keyed)
    core.states["x"] = core.states.pop("one~x")
    core.states["y!failed#1"] = (
        b'{"kind": "attempt", "form": 2, "value": {"since": "2026-01-01T00:00:00+00:00",'
        b' "until": "2026-01-01T00:00:00+00:00", "error": "X"}}'
    )
    del core.states["two~y"]

    assert await life(flow(keyed), core) == Ended(Outcome.DONE, b"null")
    assert set(core.states) == {"~workflow", "x", "y", "y!failed#1"}


async def test_another_input_is_refused() -> None:
    """The error names both inputs; the same input, or none, goes on."""

    @workflow
    async def adding(number: int) -> int:
        return await one(number)

    core = Core()
    await life(adding, core, b"1")
    with pytest.raises(Incompatible, match="with input 1, not with 2"):
        await life(adding, core, b"2")
    with pytest.raises(Incompatible, match="is one of workflow 'adding', not of 'flow'"):
        await life(flow(before), core)

    assert await life(adding, core) == await life(adding, core, b" 1 ") == Ended(Outcome.DONE, b"1")


@pytest.mark.parametrize("text", [b'"x"', None, b"{}"])
async def test_an_input_that_does_not_fit_is_refused_before_anything_is_saved(
    text: bytes | None,
) -> None:
    """The instance can then be run with another input."""

    @workflow
    async def adding(number: int) -> int:
        return number

    core = Core()
    with pytest.raises(Incompatible, match=r"number|'x'|\{\}"):
        await life(adding, core, text)

    assert core.states == {}


async def test_several_parameters_are_an_object() -> None:
    """Parameters with defaults may be left out, and unknown ones are refused."""

    @workflow
    async def adding(one: int, two: int = 5) -> int:
        return one + two

    assert await life(adding, Core(), b'{"one": 1}') == Ended(Outcome.DONE, b"6")
    assert await life(adding, Core(input=b'{"one": 1, "two": 2}')) == Ended(Outcome.DONE, b"3")
    with pytest.raises(Incompatible, match="three"):
        await life(adding, Core(), b'{"one": 1, "three": 3}')


async def test_the_logger_says_nothing_twice(caplog: pytest.LogCaptureFixture) -> None:
    """It logs only what no earlier run has logged."""

    async def saying() -> None:
        logger.info("begun")
        await one(1)
        logger.info("between")
        await two(2)
        logger.info("after")

    with caplog.at_level(logging.INFO, "runtara.workflow"):
        core = await passed(saying)
        first = [record.message for record in caplog.records]
        caplog.clear()
        await life(flow(saying), core)

    assert first == ["begun", "between", "after"]
    assert [record.message for record in caplog.records] == ["after"]
