"""Children: started once, awaited without asking, and their endings raised as they were."""

import asyncio
import itertools
import json
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import pytest
from tests.sdk.workflow.memory_store import Core, MemoryStore, life
from tests.sdk.workflow.outcomes_got import (
    all_got,
    dying_at,
    goes_on_as_it_went,
    new_record,
    received,
)

from runtara_sdk import (
    ChildNotStarted,
    Ended,
    Outcome,
    SignalType,
    TaskGroup,
    WorkflowCancelled,
    WorkflowFailed,
    child,
    sleep,
    start_child,
    step,
    timeout,
    workflow,
)
from runtara_sdk.workflow.engine.child_starts import ChildStarts


@dataclass(frozen=True)
class Parcel:
    number: int


class Lost(Exception):
    def __init__(self, number: int) -> None:
        super().__init__(f"parcel {number} is lost")
        self.number = number


@step
async def note(text: str) -> str:
    return text


@workflow(raises=Lost)
async def ship(parcel: Parcel) -> str:
    if parcel.number == 0:
        raise Lost(0)
    if parcel.number < 0:
        raise ValueError(parcel.number)
    return f"shipped {parcel.number}"


async def finish_children(core: Core) -> None:
    """Carry out what is started, as an environment does, and tell the parent as the core does."""
    for child_id, (name, given) in list(core.children.items()):
        if child_id not in core.ended_children:
            assert name == "ship"
            own = Core(input=given)
            if child_id in core.cancelled_children:
                ended = Ended(Outcome.CANCELLED)
            else:
                outcomes = await asyncio.create_task(life(ship, own))
                assert outcomes is not None
                ended = outcomes
            core.ended_children[child_id] = ended
            await core.send(f"~child/{child_id}", told(ended))


def told(ended: Ended, **others: Any) -> bytes:
    words = {Outcome.DONE: "completed", Outcome.FAILED: "failed", Outcome.CANCELLED: "cancelled"}
    output = ended.output or ended.failure
    said: dict[str, Any] = {"status": words[ended.outcome], "error": ended.error or None}
    said["output"] = b64encode(output).decode() if output else None
    return json.dumps(said | others).encode()


async def result(number: int) -> str:
    return await child(ship.bind(Parcel(number)), id=f"ship-{number}")


async def tried(number: int) -> None:
    try:
        received(await result(number))
    except (Lost, WorkflowFailed, WorkflowCancelled) as error:
        received(f"{type(error).__name__} {error}")


@workflow(suspend_after="0s")
async def shipping() -> str:
    """Children one after the other, in branches, and in tasks of asyncio's."""
    await tried(1)
    async with TaskGroup() as group:
        group.create_task(tried(2), name="two")
        group.create_task(tried(0), name="lost")
    async with asyncio.TaskGroup() as foreign:
        foreign.create_task(tried(3))
        foreign.create_task(tried(-4))
    handle = await start_child(ship.bind(Parcel(5)), id="ship-5")
    received(await note("between"))
    received(await handle.result())
    return all_got()


@pytest.mark.parametrize("starts_together", [True, False])
async def test_a_parent_killed_anywhere_goes_on_as_it_went(starts_together: bool) -> None:
    """It is killed before and after every third (sixth) call of the core; children end then."""
    outcomes = await goes_on_as_it_went(
        shipping,
        between=finish_children,
        every=3 if starts_together else 6,
        starts_together=starts_together,
    )

    assert outcomes[0] == "shipped 1"
    assert sorted(outcomes[1:3]) == ["Lost parcel 0 is lost", "shipped 2"]
    assert sorted(outcomes[3:5]) == [
        "WorkflowFailed workflow 'ship' has failed: ValueError: -4",
        "shipped 3",
    ]
    assert outcomes[5:] == ["between", "shipped 5"]


@workflow(suspend_after="0s")
async def one_child() -> str:
    return await result(1)


async def test_a_parent_killed_anywhere_starts_no_second_child() -> None:
    """A run that finds a recorded start does not ask for it again."""
    for number, starts_together in itertools.product(range(1, 8), (True, False)):
        core = Core(starts_together=starts_together)
        new_record()
        await life(one_child, core, dies=dying_at(number, is_done=True))
        await life(one_child, core)
        again = len(core.calls)
        await life(one_child, core)
        assert "start ship-1" not in core.calls[again:]
        await finish_children(core)
        ended = await life(one_child, core)

        assert ended is not None
        assert ended.output == b'"shipped 1"'
        assert list(core.children) == ["ship-1"]


async def test_a_suspended_parent_says_what_it_waits_for() -> None:
    ended = await life(one_child, Core())

    assert ended is not None
    assert [(one.kind, one.name) for one in ended.awaits] == [("child", "ship-1")]


@workflow(suspend_after="0s")
async def cancelling(how: str) -> str:
    try:
        match how:
            case "timeout":
                async with timeout("1h"):
                    await result(1)
            case "code":
                async with asyncio.timeout(0.01):
                    await result(1)
            case "sibling":
                async with TaskGroup() as group:
                    group.create_task(result(1), name="child")
                    group.create_task(_fails(), name="fails")
            case _:
                await result(1)
    except (TimeoutError, ExceptionGroup) as error:
        return type(error).__name__
    return "in time"


async def _fails() -> None:
    await sleep("2h")
    raise ValueError


@pytest.mark.parametrize("how", ["timeout", "code", "sibling", "cancel"])
async def test_what_ends_the_wait_is_passed_on_to_the_child(how: str) -> None:
    """The child is cancelled even if the process dies between that cancel and its record."""
    whole = await _cancelled_run(how, Core())
    assert whole.cancelled_children == {"ship-1"}

    for number in range(1, len(whole.calls) + 1):
        core = await _cancelled_run(how, Core(), number)
        assert core.cancelled_children == {"ship-1"}, number
        assert core.ended == whole.ended


async def _cancelled_run(how: str, core: Core, dies_at: int = 0) -> Core:
    given = json.dumps(how).encode()
    dies = dying_at(dies_at, is_done=True) if dies_at else None
    while core.ended is None:
        await life(cancelling, core, given, dies)
        if "start ship-1" in core.calls and how == "cancel":
            await core.tell(SignalType.CANCEL)
        core.now = max(core.now, core.wake or core.now)
    return core


@workflow(suspend_after="0s")
async def starting(how: str) -> str:
    try:
        async with asyncio.timeout(None if how == "cancel" else 0.01):
            if how == "whole":
                return await result(1)
            return (await start_child(ship.bind(Parcel(1)), id="ship-1")).id
    except TimeoutError:
        return "in no time"


async def test_a_start_that_is_cancelled_leaves_no_child() -> None:
    """A process died when the child was started, and before that was recorded."""
    core = Core(starts_together=False)
    given = json.dumps("cancel").encode()
    await life(starting, core, given, lambda call, is_done: is_done and call == "start ship-1")
    await core.tell(SignalType.CANCEL)
    ended = await life(starting, core, given)

    assert ended is not None
    assert ended.outcome is Outcome.CANCELLED
    assert list(core.children) == ["ship-1"]
    assert core.cancelled_children == {"ship-1"}


@pytest.mark.parametrize("how", ["start", "whole"])
async def test_a_start_that_code_cuts_off_leaves_no_child(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cancel follows the answer to its request."""
    start, cancel, cut_off = MemoryStore.start_child, ChildStarts.cancel, asyncio.Event()

    async def start_late(
        self: MemoryStore, child_id: str, workflow: str, input: bytes | None
    ) -> None:
        await cut_off.wait()
        await start(self, child_id, workflow, input)

    async def cancel_it(self: ChildStarts, child_id: str) -> None:
        cut_off.set()
        await cancel(self, child_id)

    monkeypatch.setattr(MemoryStore, "start_child", start_late)
    monkeypatch.setattr(ChildStarts, "cancel", cancel_it)
    core = Core(starts_together=False)
    ended = await life(starting, core, json.dumps(how).encode())

    assert ended is not None
    assert ended.output == b'"in no time"'
    assert core.calls.index("start ship-1") < core.calls.index("cancel ship-1")
    assert core.cancelled_children == {"ship-1"}


async def test_a_cancelled_child_raises_workflow_cancelled() -> None:
    core = Core()
    await life(one_child, core)
    core.cancelled_children.add("ship-1")
    await finish_children(core)
    ended = await life(one_child, core)

    assert ended is not None
    assert ended.error.startswith("WorkflowCancelled: workflow 'ship' was cancelled")


@pytest.mark.parametrize("starts_together", [True, False])
async def test_an_id_that_is_taken_is_raised_now_and_on_every_replay(
    starts_together: bool,
) -> None:
    @workflow
    async def other() -> str:
        try:
            await result(1)
        except ChildNotStarted as error:
            return str(error)
        return ""

    core = Core(children={"ship-1": ("another", None)}, starts_together=starts_together)
    ended = await life(other, core)
    core.ended = None
    core.children.clear()
    again = await life(other, core)

    assert ended is not None
    assert b"child 'ship-1' was started with another input" in ended.output
    assert again == ended
    assert not core.children


async def test_a_large_output_is_read_where_the_core_left_it_out() -> None:
    core = Core()
    await life(one_child, core)
    core.ended_children["ship-1"] = Ended(Outcome.DONE, json.dumps("x" * 70_000).encode())
    await core.send("~child/ship-1", b'{"status": "completed", "error": null}')
    ended = await life(one_child, core)

    assert ended is not None
    assert len(ended.output) == 70_002


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        (b"\xff", "an output that is no JSON"),
        (b'{"restarted_as": "ship-1~2"}', "'ship-1~2', whose end"),
    ],
)
async def test_an_output_that_is_no_result_is_a_failure(output: bytes, problem: str) -> None:
    core = Core()
    await life(one_child, core)
    await core.send("~child/ship-1", told(Ended(Outcome.DONE, output)))
    ended = await life(one_child, core)

    assert ended is not None
    assert problem in ended.error


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.long)])
async def test_many_children_are_awaited_at_once(count: int) -> None:
    """A request starts a hundred children with their records; each child's result is one more."""

    @workflow(suspend_after="0s")
    async def many() -> int:
        async with TaskGroup() as group:
            tasks = [
                group.create_task(result(number), name=f"{number}")
                for number in range(1, count + 1)
            ]
        return len({task.result() for task in tasks})

    core = Core()
    ended = await life(many, core)
    assert ended is not None
    assert (ended.outcome, len(core.children)) == (Outcome.SUSPENDED, count)
    for number in range(1, count + 1):
        output = json.dumps(f"shipped {number}").encode()
        await core.send(f"~child/ship-{number}", told(Ended(Outcome.DONE, output)))
    again = await life(many, core)

    assert again is not None
    assert again.output == b"%d" % count
    assert sum(call.startswith("start ") for call in core.calls) == count // 100
    assert len(core.calls) == len(set(core.calls))


def test_what_is_no_bound_call_is_refused() -> None:
    with pytest.raises(TypeError, match=r"give it workflow\.bind\(\.\.\.\)"):
        _ = child(ship, id="x")  # type: ignore[arg-type]
