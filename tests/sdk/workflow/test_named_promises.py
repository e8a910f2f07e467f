"""A `Promise` is named by the instance alone: its first value is what every `get()` gives."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import pytest
from tests.sdk.workflow.memory_store import Core, life
from tests.sdk.workflow.outcomes_got import all_got, goes_on_as_it_went, received

from runtara_sdk import (
    NotSerializable,
    Outcome,
    Promise,
    TaskGroup,
    promise,
    sleep,
    step,
    timeout,
    workflow,
)


@dataclass(frozen=True)
class Decision:
    granted: bool
    by: str = ""


pytestmark = pytest.mark.slow

APPROVAL = Promise("approval", Decision)
EITHER: Promise[int | str] = Promise("either", int | str)
NEWS = Promise("news", str)
YES = b'{"granted": true, "by": "Ann"}'


@step
async def note(text: str) -> str:
    return text


async def asks(name: str) -> None:
    received(f"{name} {(await APPROVAL.get()).by}")


@workflow(suspend_after="0s")
async def everywhere() -> str:
    """In branches, in their groups, in foreign tasks, and again."""

    async def branch(name: str) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asks(f"{name} task"))
            group.create_task(asks(f"{name} other task"))
        await asks(name)

    async with TaskGroup() as group:
        group.create_task(branch("one"), name="one")
        group.create_task(branch("two"), name="two")
    await asks("root")
    await note("between")
    await asks("root again")
    return all_got()


async def approve(core: Core) -> None:
    await core.send("approval", YES)


async def test_every_get_in_any_branch_or_task_gives_the_first_value_sent() -> None:
    """Killed before and after each call of the core, and replayed: in the same order."""
    outcomes = await goes_on_as_it_went(everywhere, between=approve)

    assert {one.removesuffix(" Ann") for one in outcomes[:4]} == {
        f"{branch} {task}" for branch in ("one", "two") for task in ("task", "other task")
    }
    assert outcomes[-2:] == ["root Ann", "root again Ann"]


async def test_a_second_value_changes_nothing() -> None:
    core = Core()

    @workflow(suspend_after="0s")
    async def twice() -> list[str]:
        first = await APPROVAL.get()
        await sleep("1d")
        return [first.by, (await APPROVAL.get()).by]

    await life(twice, core)
    await core.send("approval", YES)
    await life(twice, core)
    await core.send("approval", b'{"granted": false, "by": "Bob"}')
    core.now += timedelta(days=2)
    ended = await life(twice, core)

    assert ended is not None
    assert ended.output == b'["Ann","Ann"]'


async def test_one_of_many_is_found_by_its_key() -> None:
    one, other = APPROVAL.keyed("order/17"), APPROVAL.keyed("18")

    @workflow(suspend_after="0s")
    async def both() -> list[str]:
        return [(await other.get()).by, (await one.get()).by]

    core = Core(sent={one.signal: YES, other.signal: b'{"granted": false, "by": "Bob"}'})
    ended = await life(both, core)

    assert (one.signal, other.signal) == ("approval~order%2F17", "approval~18")
    assert ended is not None
    assert ended.output == b'["Bob","Ann"]'


@workflow(suspend_after="0s")
async def in_time() -> str:
    try:
        received(await NEWS.get(timeout="2s"))
    except TimeoutError as error:
        received(str(error))
    async with asyncio.TaskGroup() as group:
        group.create_task(_late("a"))
        group.create_task(_late("b"))
    async with timeout("1h"):
        received(await Promise("news~z", str).get(timeout="30d"))
    return all_got()


async def _late(name: str) -> None:
    try:
        await NEWS.get(timeout="1s")
    except TimeoutError:
        received(f"{name} late")


async def between(core: Core) -> None:
    """The value comes when all were late."""
    if any(key.endswith("!until") and "7E" in key for key in core.states):
        await core.send("news%7Ez", b'"hello"')


async def test_a_get_that_is_over_raises_timeout_error_on_every_replay() -> None:
    outcomes = await goes_on_as_it_went(in_time, between=between)

    assert outcomes == [
        "get:news#1: Promise('news').get('2s') is over",
        *("a late", "b late"),
        "hello",
    ]


async def test_a_value_that_was_sent_in_time_wins_over_the_deadline() -> None:
    """No process was there to receive it before."""
    core = Core()

    @workflow(suspend_after="0s")
    async def asking() -> str:
        return await NEWS.get(timeout="1d")

    await life(asking, core)
    await core.send("news", b'"in time"')
    core.now += timedelta(days=2)
    ended = await life(asking, core)

    assert ended is not None
    assert ended.output == b'"in time"'


async def test_a_suspended_instance_shows_what_it_waits_for_and_until_when() -> None:
    core = Core()

    @workflow(suspend_after="0s")
    async def asking() -> str:
        return await NEWS.keyed("k").get(timeout="30d")

    ended = await life(asking, core)

    assert ended is not None
    assert ended.outcome is Outcome.SUSPENDED
    assert [(one.kind, one.name, one.until) for one in ended.awaits] == [
        ("signal", "news~k", core.now + timedelta(days=30))
    ]


async def test_the_function_and_the_object_of_one_name_hear_the_same() -> None:
    @workflow
    async def both() -> list[str]:
        return [await promise("news", str), await NEWS.get()]

    ended = await life(both, Core(sent={"news": b'"x"'}))

    assert ended is not None
    assert ended.output == b'["x","x"]'


async def test_what_was_sent_by_others_and_is_none_of_the_type_is_raised() -> None:
    @workflow
    async def asking() -> str:
        try:
            await APPROVAL.get()
        except NotSerializable as error:
            return str(error)
        return ""

    core = Core(sent={"approval": b"17"})
    ended, again = await life(asking, core), None
    core.ended = None
    again = await life(asking, core)

    assert ended is not None
    assert ended == again
    assert b"promise 'approval' takes" in ended.output


def test_a_value_of_another_type_is_refused_where_it_is_sent() -> None:
    assert APPROVAL.payload(Decision(granted=True, by="Ann")) == b'{"granted":true,"by":"Ann"}'
    assert EITHER.payload("x") == b'"x"'
    assert Promise("raw", bytes).payload(b"\xff") == b"\xff"
    with pytest.raises(
        NotSerializable, match=r"'approval' takes .* was given 'yes': nothing was sent"
    ):
        APPROVAL.payload("yes")  # type: ignore[arg-type]
    with pytest.raises(NotSerializable, match="nothing was sent"):
        EITHER.payload(1.5)  # type: ignore[arg-type]
    with pytest.raises(
        NotSerializable, match="takes at most 524288 bytes, got 524290: nothing was sent"
    ):
        NEWS.payload("x" * 524_288)
    with pytest.raises(TypeError, match="takes a text, got 17"):
        NEWS.keyed(17)  # type: ignore[arg-type]
