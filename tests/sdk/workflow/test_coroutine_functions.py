"""Steps and workflows are coroutine functions to other decorators, and are awaited or refused."""

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from typing import Any

import pytest
from tests.sdk.workflow.memory_store import Core, life
from tests.sdk.workflow.probe import probe

from runtara_sdk import Ended, Outcome, StepFailed, step, workflow


@step
def halve(number: int, by: int = 2) -> int:
    probe.seen.append("halved")
    return number // by


@step
async def double(number: int, *, times: int = 1) -> int:
    probe.seen.append("doubled")
    return number * 2 * times


class Mill:
    @step
    def grind(self, number: int) -> int:
        return number + 1

    @staticmethod
    @step
    def sieve(number: int) -> int:
        return number


@workflow
async def flow(number: int) -> int:
    return await halve(number)


@pytest.mark.parametrize(
    "called",
    [
        halve,
        double,
        Mill.grind,
        Mill().grind,
        Mill.sieve,
        halve.keyed("k"),
        partial(halve, 4),
        flow,
        workflow(name="named")(flow.function),
        step(name="named")(halve.__wrapped__),
    ],
)
def test_a_step_is_a_coroutine_function(called: Callable[..., object]) -> None:
    """This holds for a plain step, whose call gives a coroutine, and for a method."""
    assert inspect.iscoroutinefunction(called)
    assert asyncio.iscoroutinefunction(called)


def test_a_step_has_its_functions_signature_and_source() -> None:
    """What else is asked of a function is answered as the function would."""
    assert inspect.signature(halve) == inspect.signature(halve.__wrapped__)
    assert inspect.getsource(halve).startswith("@step\ndef halve")
    assert not inspect.isgeneratorfunction(halve)


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    """As tracing libraries do it."""
    if not inspect.iscoroutinefunction(function):
        raise AssertionError("it would be timed until it gives its coroutine")

    @wraps(function)
    async def wrapper(*args: object, **kwargs: object) -> object:
        probe.seen.append("begun")
        try:
            return await function(*args, **kwargs)
        finally:
            probe.seen.append("ended")

    return wrapper


async def test_a_tracing_decorator_times_the_whole_step() -> None:
    """It awaits what it traces, and what it makes is no step itself."""
    tracing: Callable[[int], Coroutine[Any, Any, int]] = traced(halve)

    @workflow
    async def tracked() -> int:
        return await tracing(4)

    assert await life(tracked, Core()) == Ended(Outcome.DONE, b"2")
    assert probe.seen == ["begun", "halved", "ended"]


@pytest.mark.parametrize("made", [halve, flow, Mill().grind])
def test_no_workflow_is_made_of_a_step_or_a_workflow(made: Any) -> None:
    """Both are refused although they are coroutine functions."""
    with pytest.raises(TypeError, match="a workflow is an async function"):
        workflow(made)


async def in_executor(called: Callable[[int], object]) -> object:
    return await asyncio.get_running_loop().run_in_executor(None, called, 4)


async def in_own_executor(called: Callable[[int], object]) -> object:
    with ThreadPoolExecutor() as threads:
        return await asyncio.wrap_future(threads.submit(called, 4))


async def to_thread(called: Callable[[int], object]) -> object:
    return await asyncio.to_thread(called, 4)


async def in_thread(called: Callable[[int], object]) -> object:
    found: list[object] = []

    def run() -> None:
        try:
            found.append(called(4))
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    await asyncio.to_thread(thread.join)
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


async def from_a_thread_in_the_loop(called: Callable[[int], object]) -> object:
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[object] = loop.create_future()

    def call() -> None:
        try:
            failed.set_result(called(4))
        except Exception as error:
            failed.set_exception(error)

    threading.Thread(target=loop.call_soon_threadsafe, args=(call,)).start()
    return await failed


@pytest.mark.parametrize(
    "way", [in_executor, in_own_executor, to_thread, in_thread, from_a_thread_in_the_loop]
)
@pytest.mark.parametrize("called", [halve, double, Mill().grind, halve.keyed("k")])
async def test_a_step_is_not_called_where_nothing_awaits_it(
    way: Callable[[Any], Coroutine[Any, Any, object]], called: Any
) -> None:
    """It raises NotInBranchTask there, as it does in `to_thread`, and the instance is not done."""

    @workflow
    async def threading_() -> None:
        await way(called)

    ended = await life(threading_, Core())

    assert ended is not None
    assert ended.outcome is Outcome.FAILED
    assert ended.error.startswith("NotInBranchTask: ")
    assert probe.seen == []


async def test_outside_of_workflows_a_step_is_called_in_any_thread() -> None:
    """Each caller there has an event loop of its own."""
    assert await asyncio.to_thread(lambda: asyncio.run(halve(4))) == 2
    with ThreadPoolExecutor() as threads:
        assert threads.submit(lambda: asyncio.run(double(4))).result() == 8


@step
def forgetful(number: int) -> str:
    halve(number)  # type: ignore[unused-coroutine]
    return "done"


@step
def nested(number: int) -> int:
    return asyncio.run(halve(number))


@step
def spread(number: int) -> str:
    with ThreadPoolExecutor() as threads:
        list(threads.map(halve, [number]))
    return "done"


@step
def returning(number: int) -> Any:
    return halve(number)


async def test_a_plain_step_that_awaits_no_step_it_calls_has_failed() -> None:
    """Its call did nothing, and it can't await: the error says what to do."""

    @workflow
    async def forgetting() -> str:
        try:
            await forgetful(4)
        except StepFailed as error:
            return f"{error.cause.rpartition('.')[2]}: {error.message}"
        return "done"

    ended = await life(forgetting, Core())

    assert ended is not None
    assert ended.output.startswith(b'"DurableCallInStep: forgetful is a plain function')
    assert b"halve.__wrapped__" in ended.output
    assert probe.seen == []


async def test_the_warning_of_a_step_that_nothing_awaits_names_it() -> None:
    """Python's own warning is the only sign of such a call."""

    @workflow
    async def forgetting() -> str:
        halve(4)  # type: ignore[unused-coroutine]
        return "done"

    with pytest.warns(RuntimeWarning, match="coroutine 'halve' was never awaited"):
        await life(forgetting, Core())

    assert probe.seen == []


async def test_threads_of_a_plain_step_call_no_steps() -> None:
    """Nothing awaits them there."""

    @workflow
    async def spreading() -> str:
        try:
            return await spread(4)
        except StepFailed as error:
            return error.cause.rpartition(".")[2]

    assert await life(spreading, Core()) == Ended(Outcome.DONE, b'"NotInBranchTask"')


@pytest.mark.parametrize("called", [nested, returning])
async def test_a_plain_step_may_see_to_the_end_of_a_step(called: Any) -> None:
    """It may run a loop of its own for it, or return it."""

    @workflow
    async def nesting() -> Any:
        return await called(4)

    assert await life(nesting, Core()) == Ended(Outcome.DONE, b"2")
    assert probe.seen == ["halved"]
