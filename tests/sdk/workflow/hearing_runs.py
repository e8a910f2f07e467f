"""What the code of a workflow hears of its calls, in runs that are killed anywhere."""

import itertools
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

from tests.sdk.workflow.memory_store import Core, life

from runtara_sdk import Ended, Outcome
from runtara_sdk.client.records import SignalType
from runtara_sdk.workflow import Workflow

_heard: ContextVar[list[str]] = ContextVar("heard")
"""What the code of a run has got so far, in this order; the tasks of a dead run have another."""


def hear(*news: str) -> None:
    """Note that the code has got this."""
    _heard.get().extend(news)


def listen() -> list[str]:
    """What code that runs from here on hears."""
    heard: list[str] = []
    _heard.set(heard)
    return heard


def all_heard() -> str:
    """Give it as one text."""
    return ",".join(_heard.get())


async def news(core: Core) -> None:
    """Send what a promise waits for."""
    await core.send("news~z", b'"hello"')


async def to_its_end(
    flow: Workflow[[], Any],
    core: Core,
    dies: Callable[[str, bool], bool] | None = None,
    between: Callable[[Core], Awaitable[None]] = news,
) -> tuple[Ended, list[list[str]]]:
    """
    Run an instance until it has ended; gives what the code of each run has heard as well.

    `between`: what happens between two runs.
    """
    got: list[list[str]] = []
    while True:
        heard = listen()
        ended = await life(flow, core, dies=dies)
        got.append(list(heard))
        if core.ended is not None:
            return core.ended, got
        assert ended is None or ended.outcome is Outcome.SUSPENDED
        core.now = max(core.now + timedelta(seconds=1), core.wake or core.now)
        await between(core)


def dying_at(number: int, *, is_done: bool) -> Callable[[str, bool], bool]:
    """Die once: before or after so many calls of the core."""
    calls = itertools.count(1)

    def dies(call: str, is_after: bool) -> bool:
        return is_after is is_done and next(calls) == number

    return dies


async def goes_on_as_it_went(
    flow: Workflow[[], Any],
    outcome: Outcome = Outcome.DONE,
    between: Callable[[Core], Awaitable[None]] = news,
    every: int = 1,
) -> list[str]:
    """
    Kill runs before and after each (`every`) call of the core; gives what an unharmed one heard.

    All that code heard before a crash it hears after it, in the same order, and a replay from the
    end as well.
    """
    whole = Core()
    ended, (*_, heard) = await to_its_end(flow, whole, between=between)
    assert ended.outcome is outcome, ended.error

    for number, is_done in itertools.product(range(1, len(whole.calls) + 1, every), (False, True)):
        one = Core()
        again, got = await to_its_end(flow, one, dying_at(number, is_done=is_done), between)
        assert again.outcome is outcome, again.error
        for before in got:  # A run that died early has heard less than the one before it.
            assert before == got[-1][: len(before)], (number, is_done)
        one.ended = None
        one.told = SignalType.CANCEL if outcome is Outcome.CANCELLED else None
        once_more, replayed = await to_its_end(flow, one, between=between)
        assert once_more == again
        assert replayed == [got[-1]]
    return heard
