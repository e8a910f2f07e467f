"""Which outcomes the code of a workflow got, in order, in runs that are killed anywhere."""

import itertools
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

from tests.sdk.workflow.memory_store import Core, life

from runtara_sdk import Ended, Outcome
from runtara_sdk.client.records import SignalType
from runtara_sdk.workflow import Workflow

_got: ContextVar[list[str]] = ContextVar("got")
"""What the code of a run has got so far, in this order; the tasks of a dead run have another."""


def received(*news: str) -> None:
    """Note that the code has got this."""
    _got.get().extend(news)


def new_record() -> list[str]:
    """The record of what code that runs from here on gets."""
    record: list[str] = []
    _got.set(record)
    return record


def all_got() -> str:
    """Give it as one text."""
    return ",".join(_got.get())


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
    Run an instance until it has ended; gives the outcomes that the code of each run got as well.

    `between`: what happens between two runs.
    """
    got: list[list[str]] = []
    while True:
        outcomes = new_record()
        ended = await life(flow, core, dies=dies)
        got.append(list(outcomes))
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
    **of_core: Any,
) -> list[str]:
    """
    Kill runs before and after each (`every`) call of the core; gives an unharmed run's outcomes.

    `of_core`: what the core knows. The code gets after a crash all outcomes that it got before it,
    in the same order, and so does a replay from the end.
    """
    whole = Core(**of_core)
    ended, (*_, outcomes) = await to_its_end(flow, whole, between=between)
    assert ended.outcome is outcome, ended.error

    for number, is_done in itertools.product(range(1, len(whole.calls) + 1, every), (False, True)):
        one = Core(**of_core)
        again, got = await to_its_end(flow, one, dying_at(number, is_done=is_done), between)
        assert again.outcome is outcome, again.error
        for before in got:  # A run that died early has got fewer than the one before it.
            assert before == got[-1][: len(before)], (number, is_done)
        one.ended = None
        one.told = SignalType.CANCEL if outcome is Outcome.CANCELLED else None
        once_more, replayed = await to_its_end(flow, one, between=between)
        assert once_more == again
        assert replayed == [got[-1]]
    return outcomes
