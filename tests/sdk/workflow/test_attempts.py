"""Attempts are counted over crashes, and effects that a crash left open are asked about."""

import asyncio
import itertools
import json
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import httpx
import pytest
from tests.sdk.workflow.memory_store import Core, life, lives
from tests.sdk.workflow.probe import probe

from runtara_sdk import (
    Ended,
    NondeterminismError,
    NotDone,
    Outcome,
    Retry,
    SignalType,
    StepFailed,
    Workflow,
    current,
    sleep,
    step,
    timeout,
    workflow,
)
from runtara_sdk.workflow.engine.retry import retry_after

Die = Callable[[str, bool], bool]


@step(retry=Retry(attempts=4, wait=0, on=OSError))
async def fails() -> int:
    probe.numbers.append(current().attempt)
    probe.keys.add(current().idempotency_key)
    raise OSError("out")


@workflow
async def failing() -> str:
    try:
        await fails()
    except StepFailed as error:
        return f"{error.cause}: {error.message} {error.attempts}"
    return ""


def dying_in(call: str) -> Die:
    """Die once, when a call that begins so has been carried out."""
    first = itertools.count()
    return lambda made, is_done: is_done and made.startswith(call) and next(first) == 0


async def test_counting_goes_on_after_a_crash() -> None:
    """All attempts, over crashes, get the same idempotency key and rising numbers."""
    core = Core()
    ended = await lives(failing, core, None, dying_in("attempt fails#1 2"))

    assert probe.numbers == [1, 2, 3, 4]
    assert core.attempts == {"fails#1": [1, 2, 3]}
    assert ended.output == b'"OSError: out 4"'
    assert len(probe.keys) == 1


async def test_an_error_that_is_not_named_is_not_tried_again() -> None:
    """An error outside `on`, or named in `raises`, ends the step at its first attempt."""

    @step(retry=Retry(attempts=5, wait=0, on=OSError))
    async def wrong() -> None:
        probe.numbers.append(0)
        raise ValueError("wrong")

    @step(retry=Retry(attempts=5, wait=0), raises=KeyError)
    async def answer() -> None:
        probe.numbers.append(1)
        raise KeyError("answer")

    @workflow
    async def trying() -> None:
        with pytest.raises(StepFailed):
            await wrong()
        with pytest.raises(KeyError):
            await answer()

    assert await life(trying, Core()) == Ended(Outcome.DONE, b"null")
    assert probe.numbers == [0, 1]


async def test_an_attempt_that_takes_too_long_is_tried_again() -> None:
    """The timeout of an attempt is tried again even if `on` does not name TimeoutError."""

    @step(retry=Retry(attempts=2, wait=0, on=OSError), timeout=0.01)
    async def slow() -> int:
        if current().attempt == 1:
            await asyncio.get_running_loop().create_future()
        return current().attempt

    @workflow
    async def waiting() -> int:
        return await slow()

    assert await life(waiting, Core()) == Ended(Outcome.DONE, b"2")


async def test_a_long_wait_between_attempts_is_a_durable_sleep() -> None:
    """The wait ends the process, and the next process makes the attempt in time."""

    @step(retry=Retry(attempts=2, wait="1h", cap="1h"))
    async def patient() -> int:
        probe.numbers.append(current().attempt)
        if current().attempt == 1:
            raise OSError("later")
        return 7

    @workflow
    async def waiting() -> int:
        return await patient()

    core = Core()
    began = core.now
    first = await life(waiting, core)
    early = await life(waiting, core)
    assert core.wake is not None
    slept = core.wake - began
    core.now = core.wake
    last = await life(waiting, core)

    assert first == early == Ended(Outcome.SUSPENDED)
    assert timedelta(minutes=29) < slept <= timedelta(hours=1)
    assert last == Ended(Outcome.DONE, b"7")
    assert probe.numbers == [1, 2]


async def test_no_attempt_begins_behind_the_budget() -> None:
    """The budget counts from the first failure, over crashes."""

    @step(retry=Retry(attempts=100, wait="30m", cap="30m", budget="1h"))
    async def hopeless() -> None:
        probe.numbers.append(current().attempt)
        raise OSError("no")

    @workflow
    async def hoping() -> None:
        await hopeless()

    core = Core()
    began = core.now
    ended = await lives(hoping, core)

    assert ended.outcome is Outcome.FAILED
    assert core.now - began <= timedelta(hours=1)
    assert 2 < len(probe.numbers) <= 5


def test_the_other_side_says_when() -> None:
    """Retry-After is obeyed, in seconds or as a date, and nonsense in it is ignored."""
    now = datetime(2026, 10, 21, 7, 28, tzinfo=UTC)

    def error(value: str) -> Exception:
        request = httpx.Request("GET", "http://x")
        response = httpx.Response(429, headers={"Retry-After": value})
        return httpx.HTTPStatusError("429", request=request, response=response)

    class OfUrllib(Exception):
        headers: ClassVar = {"Retry-After": "120"}

    class OfOurs(Exception):
        retry_after = timedelta(minutes=2)

    waits = ["120", "Wed, 21 Oct 2026 07:29:30 GMT", "Wed, 21 Oct 2026 07:29:30 -0000"]
    none = ["Wed, 21 Oct 2026 07:27:00 GMT", "Wed, 99 Oct", "-1", "nan", "inf", "soon"]

    assert [retry_after(error(value), now).total_seconds() for value in waits] == [120, 90, 90]
    assert {retry_after(error(value), now) for value in none} == {timedelta(0)}
    assert retry_after(OfUrllib(), now) == retry_after(OfOurs(), now) == timedelta(minutes=2)
    assert retry_after(ValueError(), now) == timedelta(0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"retry": 3}, "retry= takes a Retry"),
        ({"raises": [ValueError]}, "raises= takes a class of errors or a tuple"),
        ({"raises": (ValueError, asyncio.CancelledError)}, "raises= takes a class of errors"),
    ],
)
def test_options_that_would_fail_only_with_an_attempt_are_refused(
    options: dict[str, Any], said: str
) -> None:
    """The decorator raises where the options are written."""
    with pytest.raises(TypeError, match=said):
        step(**options)(plain)


def test_a_retry_that_could_not_be_is_refused() -> None:
    """The error says what to give instead."""
    is_ours: Any = ValueError("x").__eq__

    with pytest.raises(TypeError, match=r"on= takes .* raise an error of your own"):
        Retry(on=is_ours)
    with pytest.raises(ValueError, match="give a longer cap"):
        Retry(wait="2m")


async def plain() -> None: ...


@step(effect="external")
async def pay() -> str:
    probe.numbers.append(current().attempt)
    return "paid"


@step(effect="external", doubt="again")
async def pay_again() -> str:
    probe.numbers.append(current().attempt)
    return "paid"


@step(effect="external")
async def pay_asked() -> str:
    probe.numbers.append(current().attempt)
    return "paid"


@pay_asked.in_doubt
async def find() -> str | NotDone:
    probe.asked.append(current().idempotency_key)
    return "found" if len(probe.numbers) else NotDone()


@workflow(suspend_after="0s")
async def asking() -> str:
    return await pay_asked()


@workflow(suspend_after="0s")
async def again() -> str:
    return await pay_again()


@workflow(suspend_after="0s")
async def stopping() -> str:
    return await pay()


def dying_before(call: str) -> Die:
    """Die once, when a call that begins so is made."""
    first = itertools.count()
    return lambda made, is_done: not is_done and made == call and next(first) == 0


async def test_an_effect_that_may_have_happened_is_asked_about() -> None:
    """The function is asked once, and only after a crash that followed the intent."""
    probe.asked.clear()
    assert (await lives(asking, Core())).output == b'"paid"'
    assert probe.asked == []
    ended = await lives(asking, Core(), None, dying_before("save pay_asked#1"))

    assert ended.output == b'"found"'
    assert (probe.numbers, len(probe.asked)) == ([1, 1], 1)


async def test_an_effect_that_never_started_is_just_made() -> None:
    """Without an intent neither the function nor an operator is asked."""
    probe.asked.clear()
    await lives(asking, Core(), None, dying_before("save pay_asked#1!intent#1"))

    assert (probe.numbers, probe.asked) == ([1], [])


async def test_doubt_again_makes_it_again() -> None:
    """`doubt="again"` repeats the attempt with the same idempotency key."""
    ended = await lives(again, Core(), None, dying_before("save pay_again#1"))

    assert (ended.output, probe.numbers) == (b'"paid"', [1, 1])


async def in_doubt(workflow: Workflow[[], Any], name: str) -> Core:
    """A core whose instance died behind the effect, before its result was saved."""
    core = Core()
    assert await life(workflow, core, None, dying_before(f"save {name}#1")) is None
    return core


@pytest.mark.parametrize(
    ("said", "output", "times"),
    [(b'{"done": "by hand"}', b'"by hand"', 1), (b'{"again": true}', b'"paid"', 2)],
)
async def test_doubt_waits_for_a_person(said: bytes, output: bytes, times: int) -> None:
    """An operator gives the result, or has the attempt repeated; the process ends meanwhile."""
    core = await in_doubt(stopping, "pay")
    assert await life(stopping, core) == Ended(Outcome.SUSPENDED)
    core.sent["pay#1!decision#1"] = said
    ended = await lives(stopping, core)

    assert (ended.output, len(probe.numbers)) == (output, times)


@pytest.mark.parametrize("said", [b'{"Done": "x"}', b'"no"', b"no", b'{"done": 5}', b"{}"])
async def test_what_decides_nothing_is_asked_for_again(said: bytes) -> None:
    """The decision is awaited under another name, since the first value sent to one stands."""
    core = await in_doubt(stopping, "pay")
    core.sent["pay#1!decision#1"] = said
    waits = await life(stopping, core)
    core.sent["pay#1!decision#1.2"] = b'{"done": "by hand"}'
    ended = await lives(stopping, core)

    assert waits == Ended(Outcome.SUSPENDED)
    assert (ended.output, len(probe.numbers)) == (b'"by hand"', 1)


async def test_a_decision_is_for_one_crash() -> None:
    """An effect that is in doubt again after "again" needs another decision."""
    core = await in_doubt(stopping, "pay")
    core.sent["pay#1!decision#1"] = b'{"again": true}'
    assert await life(stopping, core, None, dying_before("save pay#1")) is None
    waits = await life(stopping, core)
    core.sent["pay#1!decision#2"] = b'{"done": "by hand"}'
    ended = await lives(stopping, core)

    assert waits == Ended(Outcome.SUSPENDED)
    assert (ended.output, probe.numbers) == (b'"by hand"', [1, 2])


@pytest.mark.parametrize("name", ["pay_asked", "pay"])
@pytest.mark.parametrize("cause", ["cancel", "timeout"])
async def test_a_cancellation_waits_until_the_doubt_is_settled(cause: str, name: str) -> None:
    """The doubt is settled and its outcome saved before the cancellation is raised."""
    probe.asked.clear()

    @workflow(suspend_after="0s")
    async def limited() -> str:
        async with timeout("1m"):
            await (pay_asked if name == "pay_asked" else pay)()
        await asyncio.sleep(0)
        await sleep("1s")
        return "went on"

    core = await in_doubt(limited, name)
    core.sent[f"{name}#1!decision#1"] = b'{"done": "found"}'
    core.now += timedelta(minutes=5)
    if cause == "cancel":
        await core.tell(SignalType.CANCEL)
    ended = await lives(limited, core)

    assert json.loads(core.states[f"{name}#1"])["value"] == "found"
    assert ended.outcome is (Outcome.CANCELLED if cause == "cancel" else Outcome.DONE)
    assert len(probe.numbers) == 1


async def test_a_plain_function_is_asked_in_a_thread() -> None:
    """A plain function runs in a thread, and an awaitable that it returns is awaited."""
    threads: list[int] = []

    @step(effect="external")
    async def send() -> str:
        return "sent"

    async def found() -> str:
        return "found"

    @send.in_doubt
    def find_sent() -> Any:
        threads.append(threading.get_ident())
        return found()

    @workflow
    async def sending() -> str:
        return await send()

    core = await in_doubt(sending, "send")

    assert await lives(sending, core) == Ended(Outcome.DONE, output=b'"found"')
    (asked_in,) = threads
    assert asked_in != threading.get_ident()


async def test_a_service_that_cannot_be_asked_leaves_it_to_a_person() -> None:
    """A function that raises is asked as often as the step is tried, then an operator decides."""
    asks: list[int] = []

    @step(effect="external", retry=Retry(attempts=3, wait=0, on=OSError))
    async def wire() -> str:
        probe.numbers.append(1)
        return "paid"

    @wire.in_doubt
    async def find_wire() -> str | NotDone:
        asks.append(current().attempt)
        raise OSError("refused")

    @workflow(suspend_after="0s")
    async def wiring() -> str:
        return await wire()

    core = await in_doubt(wiring, "wire")
    waits = await life(wiring, core)
    core.sent["wire#1!decision#1"] = b'{"done": "by hand"}'
    ended = await lives(wiring, core)

    assert waits == Ended(Outcome.SUSPENDED)
    assert (ended.output, len(probe.numbers)) == (b'"by hand"', 1)
    assert len(asks) >= 3


async def test_an_effect_in_doubt_is_known_under_its_new_name() -> None:
    """It keeps the key that it was begun with, and code that forgets it is refused."""
    probe.asked.clear()

    @step(name="wire", was="pay_asked", effect="external")
    async def wire() -> str:
        probe.numbers.append(2)
        return "paid"

    wire.in_doubt(find)

    @workflow(name="asking", suspend_after="0s")
    async def renamed() -> str:
        return await wire()

    @workflow(name="asking", suspend_after="0s")
    async def forgetful() -> str:
        return "done"

    core = await in_doubt(asking, "pay_asked")
    with pytest.raises(NondeterminismError, match="without calling 'pay_asked#1'"):
        await life(forgetful, core)
    ended = await lives(renamed, core)

    assert ended.output == b'"found"'
    assert probe.numbers == [1]


async def test_a_renamed_step_goes_on_counting() -> None:
    """Attempts that were saved under the old name count under the new one."""

    async def work() -> None:
        probe.numbers.append(current().attempt)
        raise OSError("out")

    retry = Retry(attempts=3, wait="2m", cap="2m")
    old = step(name="old", retry=retry)(work)
    new = step(name="new", was="old", retry=retry)(work)

    @workflow(suspend_after="0s")
    async def counting() -> None:
        await (old if not probe.numbers else new)()

    core = Core()
    await life(counting, core)
    ended = await lives(counting, core)

    assert ended.outcome is Outcome.FAILED
    assert probe.numbers == [1, 2, 3]


async def test_a_core_that_lists_nothing_counts_as_well() -> None:
    """Attempts are read one by one from a core that can't list them."""
    core = Core(lists=False)
    await lives(failing, core, None, dying_in("attempt fails#1 2"))

    assert probe.numbers == [1, 2, 3, 4]


async def test_the_wait_for_an_attempt_outlives_a_crash() -> None:
    """
    Its end is saved with the failed attempt; if the budget ends before it, no attempt is made.
    """

    class Busy(Exception):
        retry_after = 3600

    @step(retry=Retry(attempts=3, wait=0, budget="2h"))
    async def busy() -> None:
        probe.numbers.append(current().attempt)
        raise Busy

    @workflow(suspend_after="0s")
    async def calling() -> None:
        await busy()

    core = Core()
    assert await life(calling, core, None, dying_in("save busy#1!failed#1")) is None
    waits = await life(calling, core)
    wake, began = core.wake, core.now
    core.now += timedelta(hours=5)
    ended = await lives(calling, core)

    assert waits == Ended(Outcome.SUSPENDED)
    assert wake == began + timedelta(hours=1)
    assert ended.outcome is Outcome.FAILED
    assert "budget" in ended.error
    assert probe.numbers == [1]


async def test_a_file_name_that_is_no_text_does_not_hinder_a_retry() -> None:
    """The record shows the name escaped."""

    @step(retry=Retry(attempts=2, wait=0))
    async def opening() -> None:
        probe.numbers.append(1)
        raise FileNotFoundError("caf\udce9.csv")

    @workflow
    async def reading() -> None:
        await opening()

    ended = await life(reading, Core())

    assert ended is not None
    assert ended.outcome is Outcome.FAILED
    assert r"caf\udce9.csv" in ended.error
    assert len(probe.numbers) == 2


@pytest.mark.parametrize("error", [SystemExit(0), StopIteration("end")])
@pytest.mark.parametrize("is_plain", [True, False])
async def test_what_no_task_can_raise_is_a_failure(error: BaseException, is_plain: bool) -> None:
    """StopIteration and the like fail the step: the process neither ends nor waits for ever."""

    def plain() -> None:
        raise error

    async def coroutine() -> None:
        raise error

    leaving: Callable[[], Awaitable[None]] = step(plain) if is_plain else step(coroutine)

    @workflow
    async def going() -> str:
        try:
            await leaving()
        except StepFailed as failed:
            return failed.cause
        return "went"

    ended = await life(going, Core())

    assert ended is not None
    assert ended.output == b'"RuntimeError"'
