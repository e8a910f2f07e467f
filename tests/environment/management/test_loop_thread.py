"""The loop that clients without one share between their threads."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future

import pytest

from runtara_management_sdk.loop import LoopThread
from runtara_sdk.errors import ClientNotOpen

GENEROUS = 60.0


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    """One that runs, and may be stopped."""
    made = LoopThread("test")
    made.start()
    yield made
    if made._running is not None:
        in_thread(made.stop).result(GENEROUS)


def in_thread(work: Callable[[], object]) -> "Future[object]":
    """Do it in a thread that the test's end does not wait for."""
    done: Future[object] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return done


def test_what_is_under_way_in_other_threads_is_cancelled_by_the_stop(loop: LoopThread) -> None:
    """It may clean up first; then the threads that wait for it go on."""
    begun = threading.Event()
    seen: list[str] = []

    async def long() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            seen.append("cleaned up")

    waiting = in_thread(lambda: loop.run(long()))
    assert begun.wait(GENEROUS)
    loop.stop()

    with pytest.raises(ClientNotOpen, match="closed while"):
        waiting.result(GENEROUS)
    assert seen == ["cleaned up"]


def test_an_iterator_that_is_left_behind_is_closed_by_the_stop(loop: LoopThread) -> None:
    seen: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            seen.append("closed")

    left = loop.iterate(numbers())
    assert next(left) == 1
    loop.stop()

    assert seen == ["closed"]
    with pytest.raises(ClientNotOpen):
        next(left)


def test_a_call_in_the_loops_own_thread_is_refused(loop: LoopThread) -> None:
    async def callback() -> None:
        loop.run(asyncio.sleep(0))

    with pytest.raises(RuntimeError, match="'test' can't call the client"):
        in_thread(lambda: loop.run(callback())).result(GENEROUS)


def test_a_second_start_is_refused_and_harms_nothing(loop: LoopThread) -> None:
    with pytest.raises(ClientNotOpen, match="open already"):
        loop.start()

    assert loop.run(asyncio.sleep(0, "well")) == "well"
