"""Ends of instances, waited for by many at the cost of one."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextvars import ContextVar
from datetime import timedelta
from typing import cast

import pytest

from runtara_domain.error import DatabaseError, InvalidValue
from runtara_domain.launching import endings as module
from runtara_domain.launching.endings import Endings
from runtara_domain.model import RunState
from runtara_domain.ports.instances import Instances
from runtara_domain.status import State

GENEROUS = 30
LONG = timedelta(seconds=1000)
"""Longer than a test may take: a wait that is over looks once more."""
STEP = ContextVar("STEP", default="none")


class Rows:
    """States of instances, and what is asked of them."""

    def __init__(self, *names: str) -> None:
        self.states = dict.fromkeys(names, State.RUNNING)
        self.asked: list[list[str]] = []
        self.steps: set[str] = set()
        self.answering = asyncio.Event()
        self.answering.set()
        self.error: DatabaseError | None = None

    async def run_states(self, instance_ids: Collection[str]) -> Mapping[str, RunState]:
        self.asked.append(sorted(instance_ids))
        self.steps.add(STEP.get())
        error = self.error
        found = {
            name: RunState(self.states[name], 1) for name in instance_ids if name in self.states
        }
        await self.answering.wait()
        if error is not None:
            raise error
        return found

    async def run_state(self, instance_id: str) -> RunState | None:
        state = self.states.get(instance_id)
        return None if state is None else RunState(state, 1)

    def endings(self) -> Endings:
        return Endings(cast("Instances", self))


@pytest.fixture
def rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first look, nothing is looked at by itself as long as a test lasts."""
    monkeypatch.setattr(module, "_LAST_LOOK", 1000.0)
    monkeypatch.setattr(module, "_FIRST_LOOK", 1000.0)


async def until_asked(rows: Rows, times: int) -> None:
    async with asyncio.timeout(GENEROUS):
        while len(rows.asked) < times:  # noqa: ASYNC110
            await asyncio.sleep(0)


def waiting(endings: Endings, *names: str, wait: timedelta = LONG) -> list["asyncio.Task[object]"]:
    return [asyncio.create_task(endings.until_final(name, wait)) for name in names]


@pytest.mark.usefixtures("rarely")
async def test_waiting_instances_are_read_together_and_again_when_one_changes() -> None:
    names = [f"i-{number:02}" for number in range(50)]
    rows = Rows(*names)
    endings = rows.endings()
    tasks = waiting(endings, *names, *names)
    await until_asked(rows, 1)

    rows.states |= {"i-03": State.COMPLETED, "i-04": State.FAILED}
    endings.tell(["i-03", "i-04", "unknown"])
    async with asyncio.timeout(GENEROUS):
        assert (await tasks[3], await tasks[54]) == (State.COMPLETED, State.FAILED)
    assert rows.asked == [names, ["i-03", "i-04"]]
    for task in tasks:
        task.cancel()


@pytest.mark.usefixtures("rarely")
async def test_a_stored_end_is_heard_without_a_read() -> None:
    """Whoever waited for it reads what it needs; the instance may have been reopened since."""
    rows = Rows("one", "other")
    endings = rows.endings()
    tasks = [asyncio.create_task(endings.until_heard(name, LONG)) for name in ("one", "other")]
    await until_asked(rows, 1)
    endings.ended(["one", "unknown"])
    async with asyncio.timeout(GENEROUS):
        assert await tasks[0]
    assert len(rows.asked) == 1
    assert not tasks[1].done()
    tasks[1].cancel()


@pytest.mark.usefixtures("rarely")
async def test_an_instance_that_was_reopened_is_not_final_though_its_end_is_heard() -> None:
    rows = Rows("one")
    endings = rows.endings()
    [task] = waiting(endings, "one")
    await until_asked(rows, 1)
    endings.ended(["one"])
    await until_asked(rows, 2)
    assert not task.done()
    rows.states["one"] = State.FAILED
    endings.ended(["one"])

    async with asyncio.timeout(GENEROUS):
        assert await task is State.FAILED


@pytest.mark.usefixtures("rarely")
async def test_a_change_during_a_read_leads_to_another_read() -> None:
    rows = Rows("one")
    endings = rows.endings()
    rows.answering.clear()
    [task] = waiting(endings, "one")
    await until_asked(rows, 1)
    rows.states["one"] = State.CANCELLED
    endings.tell(["one"])
    rows.answering.set()

    async with asyncio.timeout(GENEROUS):
        assert await task is State.CANCELLED


async def test_an_end_without_a_notification_is_seen() -> None:
    rows = Rows("one", "other")
    [task] = waiting(rows.endings(), "one")
    await until_asked(rows, 3)
    rows.states["one"] = State.COMPLETED

    async with asyncio.timeout(GENEROUS):
        assert await task is State.COMPLETED


async def test_what_runs_here_is_read_rarely_from_the_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its end is reported; a change that is told has it read all the same."""
    monkeypatch.setattr(module, "_LAST_LOOK", 1000.0)
    rows = Rows("here", "there")
    endings = rows.endings()
    endings.runs_here = "here".__eq__
    here, there = waiting(endings, "here", "there")
    await until_asked(rows, 4)
    by_itself = [name for names in rows.asked for name in names]
    rows.states["here"] = State.COMPLETED
    endings.tell(["here"])

    async with asyncio.timeout(GENEROUS):
        assert await here is State.COMPLETED
    assert (by_itself.count("here"), by_itself.count("there")) == (1, 4)
    there.cancel()


async def test_with_nothing_that_waits_nothing_is_asked() -> None:
    rows = Rows("one")
    endings = rows.endings()
    assert await endings.until_final("one", timedelta(0)) is State.RUNNING
    assert rows.asked == []
    [task] = waiting(endings, "one")
    await until_asked(rows, 2)
    task.cancel()
    await asyncio.wait([task])
    looking = endings._looking
    assert looking is not None

    async with asyncio.timeout(GENEROUS):
        await looking


async def test_the_unknown_and_what_goes_on_are_returned_as_they_are() -> None:
    endings = Rows("one").endings()

    async with asyncio.timeout(GENEROUS):
        assert await endings.until_final("unknown", LONG) is None
    assert await endings.until_final("one", timedelta(milliseconds=1)) is State.RUNNING


@pytest.mark.usefixtures("rarely")
async def test_a_wait_that_is_given_up_returns() -> None:
    rows = Rows("one")
    given_up: list[Callable[[], None]] = []

    class Abandoned:
        def __init__(self, call: Callable[[], None]) -> None:
            given_up.append(call)

        def __enter__(self) -> None: ...

        def __exit__(self, *error: object) -> None: ...

    task = asyncio.create_task(rows.endings().until_final("one", LONG, Abandoned))
    await until_asked(rows, 1)
    [call] = given_up
    call()

    async with asyncio.timeout(GENEROUS):
        assert await task is State.RUNNING


async def test_a_failure_of_the_database_comes_to_each_that_waits() -> None:
    rows = Rows("one", "other")
    rows.error = DatabaseError("it is away")
    endings = rows.endings()

    found = await asyncio.gather(*waiting(endings, "one", "other"), return_exceptions=True)
    assert found == [rows.error] * 2
    rows.error = None
    rows.states["one"] = State.FAILED
    assert await endings.until_final("one", LONG) is State.FAILED


@pytest.mark.parametrize("error", [None, DatabaseError("it is away")])
async def test_an_answer_is_for_those_that_waited_before_it_was_asked_for(
    error: DatabaseError | None,
) -> None:
    """An instance that is started, or retried, meanwhile is neither unknown nor at its end."""
    rows = Rows()
    rows.error = error
    endings = rows.endings()
    rows.answering.clear()
    early = asyncio.create_task(endings.until_heard("one", LONG))
    await until_asked(rows, 1)
    rows.error, rows.states["one"] = None, State.COMPLETED
    [late] = waiting(endings, "one")
    await asyncio.sleep(0)
    rows.answering.set()

    async with asyncio.timeout(GENEROUS):
        found = await asyncio.gather(*[early, late], return_exceptions=True)
    assert found == [error or True, State.COMPLETED]


@pytest.mark.parametrize("wait", [LONG, timedelta(0)])
async def test_an_id_that_none_can_have_is_refused_before_it_is_asked_for(wait: timedelta) -> None:
    """A database that refuses it would fail the waits of all others."""
    rows = Rows()
    with pytest.raises(InvalidValue, match="instance_id"):
        await rows.endings().until_final("\0", wait)
    assert rows.asked == []


async def test_looks_are_nothing_of_the_step_that_waits_first() -> None:
    """They go on for others when it is over."""
    rows = Rows("one")
    STEP.set("charge")
    [task] = waiting(rows.endings(), "one")
    await until_asked(rows, 1)
    task.cancel()

    assert rows.steps == {"none"}
