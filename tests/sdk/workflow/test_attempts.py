"""Attempts are counted over crashes, and effects that a crash left open are asked about."""

import asyncio
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from tests.sdk.workflow.memory_journal import Core, life, lives

from runtara_sdk import Ended, NotDone, Outcome, Retry, StepFailed, current, step, workflow
from runtara_sdk.workflow.retry import retry_after

Die = Callable[[str, bool], bool]
tried: list[int] = []
keys: set[str] = set()


@pytest.fixture(autouse=True)
def nothing_tried() -> None:
    tried.clear()
    keys.clear()


@step(retry=Retry(attempts=4, wait=0, on=OSError))
async def fails() -> int:
    tried.append(current().attempt)
    keys.add(current().idempotency_key)
    raise OSError("out")


@workflow
async def failing() -> str:
    try:
        await fails()
    except StepFailed as error:
        return f"{error} {error.attempts}"
    return ""


def dying_in(call: str) -> Die:
    """Die once, when a call that begins so has been carried out."""
    first = itertools.count()
    return lambda made, is_done: is_done and made.startswith(call) and next(first) == 0


async def test_counting_goes_on_after_a_crash() -> None:
    """With the same idempotency key, until the last has failed."""
    core = Core()
    ended = await lives(failing, core, None, dying_in("attempt fails#1!attempts 2"))

    assert tried == [1, 2, 3, 4]
    assert core.attempts == {"fails#1!attempts": [1, 2, 3]}
    assert ended.output == b"\"step 'fails' (fails#1) failed after 4 attempts: OSError: out 4\""
    assert len(keys) == 1


async def test_an_error_that_is_not_named_is_not_tried_again() -> None:
    """Nor is one of `raises`, whatever `on` says."""

    @step(retry=Retry(attempts=5, wait=0, on=OSError))
    async def wrong() -> None:
        tried.append(0)
        raise ValueError("wrong")

    @step(retry=Retry(attempts=5, wait=0), raises=KeyError)
    async def answer() -> None:
        tried.append(1)
        raise KeyError("answer")

    @workflow
    async def trying() -> None:
        with pytest.raises(StepFailed):
            await wrong()
        with pytest.raises(KeyError):
            await answer()

    assert await life(trying, Core()) == Ended(Outcome.DONE, b"null")
    assert tried == [0, 1]


async def test_an_attempt_that_takes_too_long_is_tried_again() -> None:
    """Whatever `on` says."""

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
    """It ends the process, and is over when another one comes in time."""

    @step(retry=Retry(attempts=2, wait="1h", cap="1h"))
    async def patient() -> int:
        tried.append(current().attempt)
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
    assert tried == [1, 2]


async def test_no_attempt_begins_behind_the_budget() -> None:
    """Counted from the first failure, over crashes."""

    @step(retry=Retry(attempts=100, wait="30m", cap="30m", budget="1h"))
    async def hopeless() -> None:
        tried.append(current().attempt)
        raise OSError("no")

    @workflow
    async def hoping() -> None:
        await hopeless()

    core = Core()
    began = core.now
    ended = await lives(hoping, core)

    assert ended.outcome is Outcome.FAILED
    assert core.now - began <= timedelta(hours=1)
    assert 2 < len(tried) <= 5


def test_the_other_side_says_when() -> None:
    """By Retry-After, in seconds or until a date; nonsense is none."""
    now = datetime(2026, 10, 21, 7, 28, tzinfo=UTC)

    def error(value: str) -> Exception:
        request = httpx.Request("GET", "http://x")
        response = httpx.Response(429, headers={"Retry-After": value})
        return httpx.HTTPStatusError("429", request=request, response=response)

    waits = ["120", "Wed, 21 Oct 2026 07:29:30 GMT", "Wed, 21 Oct 2026 07:29:30 -0000"]
    none = ["Wed, 21 Oct 2026 07:27:00 GMT", "Wed, 99 Oct", "-1", "nan", "inf", "soon"]

    assert [retry_after(error(value), now).total_seconds() for value in waits] == [120, 90, 90]
    assert {retry_after(error(value), now) for value in none} == {timedelta(0)}


@step(effect="external")
async def pay() -> str:
    tried.append(current().attempt)
    return "paid"


@step(effect="external", doubt="again")
async def pay_again() -> str:
    tried.append(current().attempt)
    return "paid"


asked: list[str] = []


@step(effect="external")
async def pay_asked() -> str:
    tried.append(current().attempt)
    return "paid"


@pay_asked.in_doubt
async def find() -> str | NotDone:
    asked.append(current().idempotency_key)
    return "found" if len(tried) else NotDone()


@workflow(hold="0s")
async def asking() -> str:
    return await pay_asked()


@workflow(hold="0s")
async def again() -> str:
    return await pay_again()


@workflow(hold="0s")
async def stopping() -> str:
    return await pay()


def dying_before(call: str) -> Die:
    """Die once, when a call that begins so is made."""
    first = itertools.count()
    return lambda made, is_done: not is_done and made == call and next(first) == 0


async def test_an_effect_that_may_have_happened_is_asked_about() -> None:
    """Once, and only after a crash behind the intent."""
    asked.clear()
    assert (await lives(asking, Core())).output == b'"paid"'
    assert asked == []
    ended = await lives(asking, Core(), None, dying_before("save pay_asked#1"))

    assert ended.output == b'"found"'
    assert (tried, len(asked)) == ([1, 1], 1)


async def test_an_effect_that_never_started_is_just_made() -> None:
    """Whoever might be asked."""
    asked.clear()
    await lives(asking, Core(), None, dying_before("save pay_asked#1!intent#1"))

    assert (tried, asked) == ([1], [])


async def test_doubt_again_makes_it_again() -> None:
    """As declared, with the same idempotency key."""
    ended = await lives(again, Core(), None, dying_before("save pay_again#1"))

    assert (ended.output, tried) == (b'"paid"', [1, 1])


@pytest.mark.parametrize(
    ("said", "output", "times"), [(b'{"done": "by hand"}', b'"by hand"', 1), (b"{}", b'"paid"', 2)]
)
async def test_doubt_waits_for_a_person(said: bytes, output: bytes, times: int) -> None:
    """Who gives the result, or has it made again; the process ends meanwhile."""
    core = Core()
    assert await life(stopping, core, None, dying_before("save pay#1")) is None
    assert await life(stopping, core) == Ended(Outcome.SUSPENDED)
    core.sent["pay#1!decision"] = said
    ended = await lives(stopping, core)

    assert (ended.output, len(tried)) == (output, times)
