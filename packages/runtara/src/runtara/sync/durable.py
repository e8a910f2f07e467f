"""The durable calls of plain workflows; each awaits the SDK's call of the same name."""

import functools
import inspect
from collections.abc import Callable
from datetime import datetime
from typing import Any, Generic, Literal, ParamSpec, TypedDict, TypeVar, Unpack, overload

import runtara_sdk as sdk
from runtara.threads import in_thread, is_in_workflow, wait
from runtara_sdk.workflow import Call, Retry, Workflow
from runtara_sdk.workflow.duration import Duration

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

Kinds = type[Exception] | tuple[type[Exception], ...]


class StepOptions(TypedDict, total=False):
    """The options of a step, as for `runtara.step`."""

    name: str | None
    retry: Retry
    timeout: Duration | None
    raises: Kinds
    effect: Literal["external"] | None
    doubt: Literal["stop", "again"]
    was: str | tuple[str, ...]


class WorkflowOptions(TypedDict, total=False):
    """The options of a workflow, as for `runtara.workflow`."""

    name: str | None
    suspend_after: Duration
    recheck_every: Duration
    core_timeout: Duration
    was: str | tuple[str, ...]
    raises: Kinds


class Step(Generic[P, R]):
    """A plain function that runs once; outside a plain workflow it is that function."""

    def __init__(self, function: Callable[P, R], options: StepOptions) -> None:
        self._function = function
        self._step: Any = sdk.step(**options)(function) if options else sdk.step(function)
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if not is_in_workflow():
            return self._function(*args, **kwargs)
        result: R = wait(lambda: self._step(*args, **kwargs), self._function.__name__)
        return result


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...


@overload
def step(**options: Unpack[StepOptions]) -> "Callable[[Callable[P, R]], Step[P, R]]": ...


def step(function: Callable[..., Any] | None = None, /, **options: Unpack[StepOptions]) -> Any:
    """Make a plain function a step, with the options of `runtara.step`; it runs in a thread."""
    if function is None:
        return lambda decorated: Step(_plain("step", decorated), options)
    return Step(_plain("step", function), options)


@overload
def workflow(function: Callable[P, R], /) -> Workflow[P, R]: ...


@overload
def workflow(
    **options: Unpack[WorkflowOptions],
) -> "Callable[[Callable[P, R]], Workflow[P, R]]": ...


def workflow(
    function: Callable[..., Any] | None = None, /, **options: Unpack[WorkflowOptions]
) -> Any:
    """Make a plain function a workflow, with the options of `runtara.workflow`."""
    if function is None:
        return lambda decorated: sdk.workflow(**options)(_threaded(decorated))
    return sdk.workflow(_threaded(function))


def sleep(duration: Duration) -> None:
    """Sleep durably, without a process."""
    wait(lambda: sdk.sleep(duration), "sleep()")


def now() -> datetime:
    """Return the time, the same on every replay."""
    return wait(sdk.now, "now()")


def child(call: Call[R], *, id: str) -> R:
    """Run a workflow as an instance of its own, and wait for its result."""
    return wait(lambda: sdk.child(call, id=id), "child()")


def get(promise: "sdk.Promise[T]", timeout: Duration | None = None) -> T:
    """Wait for the value that is sent to a promise."""
    return wait(lambda: promise.get(timeout), f"get({promise!r})")


def continue_as_new(*args: object, **kwargs: object) -> None:
    """Go on as a new instance of the same workflow, with these arguments; doesn't return."""
    wait(lambda: sdk.continue_as_new(*args, **kwargs), "continue_as_new()")


def _threaded(function: Callable[..., Any]) -> Callable[..., Any]:
    _plain("workflow", function)

    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        return await in_thread(function, args, kwargs)

    return run


def _plain(what: str, function: Callable[P, R]) -> Callable[P, R]:
    if not inspect.isfunction(function) or inspect.iscoroutinefunction(function):
        raise TypeError(f"a {what} of runtara.sync is a function defined by def, got {function!r}")
    return function
