"""Durations and moments, as people compute and write them."""

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

import pytest
from tests.sdk.workflow.memory_store import Core, life, lives

from runtara_sdk import Ended, Outcome, Retry, now, sleep, sleep_until, step, timeout, workflow

CENTURY = timedelta(days=36525)


async def slept(how_long: Any) -> timedelta:
    """How long a workflow sleeps in all."""

    @workflow(suspend_after=0)
    async def napping() -> None:
        await sleep(how_long)

    core = Core()
    began = core.now
    assert await lives(napping, core) == Ended(Outcome.DONE, b"null")
    return core.now - began


async def slept_until(moment: Any) -> timedelta:
    """How long a workflow sleeps in all."""

    @workflow(suspend_after=0)
    async def napping() -> None:
        await sleep_until(moment)

    core = Core()
    began = core.now
    assert await lives(napping, core) == Ended(Outcome.DONE, b"null")
    return core.now - began


@pytest.mark.parametrize(
    "past", [timedelta(days=-3), timedelta.min, -1, -0.5, -math.inf, -(10**400), Decimal(-2), 0]
)
async def test_a_sleep_to_a_moment_that_has_passed_is_over_at_once(past: Any) -> None:
    """The workflow goes on, as it would one second before the moment."""
    assert await slept(past) == timedelta(0)


async def test_a_due_date_that_has_passed_is_no_failure() -> None:
    """The difference of a due date and now() is slept, or nothing."""

    @workflow
    async def reminding(due: datetime) -> str:
        await sleep(due - await now())
        return "reminded"

    ended = await life(reminding, Core(), b'"2025-12-24T00:00:00Z"')

    assert ended == Ended(Outcome.DONE, b'"reminded"')


@pytest.mark.parametrize("vast", [timedelta.max, 1e300, 10**400, "9999999999999w"])
async def test_more_than_a_century_counts_as_a_century(vast: Any) -> None:
    """The core counts it so, too."""
    assert await slept(vast) == CENTURY


@pytest.mark.parametrize(
    ("given", "length"),
    [
        ("1h 30m", timedelta(minutes=90)),
        (Decimal("1.5"), timedelta(seconds=1.5)),
        (True, timedelta(seconds=1)),
        (timedelta(days=2), timedelta(days=2)),
    ],
)
async def test_a_duration_is_text_a_number_or_a_timedelta(given: Any, length: timedelta) -> None:
    """Any real number is one of seconds."""
    assert await slept(given) == length


class Mute:
    def __repr__(self) -> NoReturn:
        raise ValueError


@pytest.mark.parametrize(
    ("given", "kind", "text"),
    [
        (math.nan, ValueError, r"sleep\(\) takes a duration: .* got nan"),
        (math.inf, ValueError, r"sleep\(inf\): .* never ends"),
        ("soon", ValueError, r"sleep\(\) takes a duration: .* got 'soon'"),
        ("-5s", ValueError, r"sleep\(\) takes a duration: .* got '-5s'"),
        ("", ValueError, r"sleep\(\) takes a duration: .* got ''"),
        (None, TypeError, r"sleep\(\) takes a duration: .* got None"),
        ([], TypeError, r"sleep\(\) takes a duration: .* got \[\]"),
        (Mute(), TypeError, r"sleep\(\) takes a duration: .* got <Mute>"),
        (datetime(2026, 1, 1, tzinfo=UTC), TypeError, r"sleep_until\(moment\) sleeps until then"),
    ],
)
def test_what_is_no_duration_is_refused_with_what_one_is(
    given: Any, kind: type[Exception], text: str
) -> None:
    """The error names the call, what it got and what it takes."""
    with pytest.raises(kind, match=text):
        sleep(given).close()


OPTIONS: list[tuple[str, Callable[[Any], object]]] = [
    ("suspend_after=", lambda value: workflow(suspend_after=value)),
    ("recheck_every=", lambda value: workflow(recheck_every=value)),
    ("core_timeout=", lambda value: workflow(core_timeout=value)),
    ("wait=", lambda value: Retry(wait=value)),
    ("cap=", lambda value: Retry(cap=value)),
    ("budget=", lambda value: Retry(budget=value)),
    ("step 'one': timeout=", lambda value: step(name="one", timeout=value)(slept)),
]


@pytest.mark.parametrize("value", [-1, timedelta(seconds=-1), math.nan, "soon", "-1s", {}])
@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_an_option_that_is_no_duration_is_refused_by_its_name(
    name: str, option: Callable[[Any], object], value: Any
) -> None:
    """It is refused where it is written, and not when a wait begins."""
    with pytest.raises((TypeError, ValueError), match=f"^{name} takes a duration"):
        option(value)


@pytest.mark.parametrize("value", [math.inf, timedelta.max, 1e300, "9999999999999w"])
@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_an_option_takes_what_is_endless(
    name: str, option: Callable[[Any], object], value: Any
) -> None:
    """An endless option counts as a century, which overflows nothing."""
    if name == "wait=":
        with pytest.raises(ValueError, match="give a longer cap"):
            option(value)
    else:
        option(value)


async def test_endless_options_overflow_nothing() -> None:
    """Steps are tried again within them, and sleeps keep the process."""
    tried = 0

    @step(retry=Retry(attempts=3, wait=0, cap=math.inf, budget=math.inf), timeout=math.inf)
    async def flaky() -> int:
        nonlocal tried
        tried += 1
        if tried < 3:
            raise ConnectionError
        return tried

    @workflow(suspend_after=math.inf, recheck_every=timedelta.max, core_timeout=1e300)
    async def trying() -> int:
        await sleep("10ms")
        return await flaky()

    assert await life(trying, Core(clock_runs=True)) == Ended(Outcome.DONE, b"3")


@pytest.mark.parametrize("endless", [None, math.inf])
async def test_a_timeout_without_an_end_sets_no_deadline(endless: float | None) -> None:
    """No run raises TimeoutError, however late it is."""

    @workflow(suspend_after=0)
    async def waiting() -> str:
        async with timeout(endless):
            await sleep(timedelta.max)
        return "slept"

    assert await lives(waiting, Core(), later=CENTURY) == Ended(Outcome.DONE, b'"slept"')


async def test_a_deadline_stands_as_it_was_when_it_was_set() -> None:
    """A replay whose timeout is another keeps what the first run saved."""
    given: list[float | None] = [None, 1]

    @workflow(suspend_after=0)
    async def waiting() -> str:
        async with timeout(given.pop(0)):
            await sleep("1d")
        return "slept"

    assert await lives(waiting, Core()) == Ended(Outcome.DONE, b'"slept"')


@pytest.mark.parametrize("past", [0, -1, timedelta.min, -math.inf])
async def test_an_expired_timeout_cancels_the_first_durable_call(past: Any) -> None:
    """asyncio's timeout does the same."""

    @workflow
    async def waiting() -> str:
        try:
            async with timeout(past):
                await sleep("1d")
        except TimeoutError:
            return "late"
        return "slept"

    assert await life(waiting, Core()) == Ended(Outcome.DONE, b'"late"')


@pytest.mark.parametrize("given", [math.nan, "soon", [], datetime(2026, 1, 1, tzinfo=UTC)])
def test_a_timeout_that_is_no_duration_is_refused(given: Any) -> None:
    """It is refused where it is made."""
    with pytest.raises((TypeError, ValueError), match=r"timeout\(\) takes a duration"):
        timeout(given)


WEST = timezone(timedelta(hours=-12))
EAST = timezone(timedelta(hours=14))


@pytest.mark.parametrize(
    ("moment", "length"),
    [
        (datetime(2026, 1, 3, tzinfo=UTC), timedelta(days=2)),
        (datetime(2026, 1, 3, 1, tzinfo=ZoneInfo("Europe/Berlin")), timedelta(days=2)),
        (datetime(2025, 1, 3, tzinfo=UTC), timedelta(0)),
        (datetime.min.replace(tzinfo=EAST), timedelta(0)),
        (datetime.max.replace(tzinfo=WEST), CENTURY),
    ],
)
async def test_a_workflow_sleeps_until_a_moment(moment: datetime, length: timedelta) -> None:
    """The moment may be in any zone; one that has passed is over at once."""
    assert await slept_until(moment) == length


async def test_the_moment_of_the_first_run_stands() -> None:
    """A replay that comes with another moment sleeps until the saved one."""
    moments = [datetime(2026, 1, 2, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)]

    @workflow(suspend_after=0)
    async def napping() -> None:
        await sleep_until(moments.pop(0))

    core = Core()
    await lives(napping, core)

    assert core.now == datetime(2026, 1, 2, tzinfo=UTC)


class Unruly(tzinfo):
    def utcoffset(self, moment: datetime | None) -> NoReturn:
        raise LookupError

    dst = tzname = utcoffset


@pytest.mark.parametrize(
    ("moment", "kind", "text"),
    [
        (datetime(2026, 1, 1), ValueError, "no time zone: give it one"),
        (datetime(2026, 1, 1, tzinfo=Unruly()), ValueError, "no time zone: give it one"),
        (date(2026, 1, 1), TypeError, "takes an aware datetime"),
        ("2026-01-01", TypeError, "takes an aware datetime"),
        (1767225600.0, TypeError, "takes an aware datetime"),
        (None, TypeError, "takes an aware datetime"),
    ],
)
def test_what_is_no_moment_is_refused(moment: Any, kind: type[Exception], text: str) -> None:
    """A naive datetime is another moment on another machine."""
    with pytest.raises(kind, match=text):
        sleep_until(moment).close()
