"""Steps: functions whose results and failures are saved."""

import inspect
import logging
import typing
from collections.abc import Callable, Coroutine
from functools import update_wrapper
from typing import Any, Concatenate, Generic, Literal, NoReturn, ParamSpec, TypeVar, cast, overload

from runtara_sdk.workflow.attempts import Attempts, Failed
from runtara_sdk.workflow.context import InWorkflow, in_workflow
from runtara_sdk.workflow.duration import Duration
from runtara_sdk.workflow.entries import Entry, Kind
from runtara_sdk.workflow.errors import NotSaveable, StateUnreadable
from runtara_sdk.workflow.fingerprint import fingerprint
from runtara_sdk.workflow.places import Place
from runtara_sdk.workflow.plan import Doubt, NotDone, Plan
from runtara_sdk.workflow.retry import NEVER, Kinds, Retry, kinds
from runtara_sdk.workflow.run import Run
from runtara_sdk.workflow.threads import in_thread
from runtara_sdk.workflow.values import value_of

logger = logging.getLogger(__name__)

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")


class Step(Generic[P, R]):
    """
    A function that runs once: called again by a replay, it gives what it gave.

    Its place is taken when it is called, and the call is to be awaited. Outside a workflow and
    inside another step it is its function. A plain function runs in a thread.
    """

    def __init__(self, function: Callable[..., Any], plan: Plan, key: str | None = None) -> None:
        self._function = function
        self._plan = plan
        self._key = key
        self._self: tuple[object, ...] = ()
        self._ask: Callable[..., object] | None = None
        update_wrapper(self, function)

    @overload
    def __get__(self, instance: None, owner: type) -> "Step[P, R]": ...

    @overload
    def __get__(
        self: "Step[Concatenate[S, Q], R]", instance: S, owner: type | None = None
    ) -> "Step[Q, R]": ...

    def __get__(self, instance: object, owner: type | None = None) -> "Step[Any, R]":
        if instance is None:
            return self
        bound: Step[Any, R] = self._copy(self._key)
        bound._self = (instance,)
        return bound

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[None, None, R]:
        where = in_workflow()
        if where is None:
            return self._work(self._self + args, kwargs)
        # What the method belongs to is no argument: it need not be the same in another process.
        call = fingerprint(self._function, self._self + args, kwargs, skip=len(self._self))
        place = where.branch.place(self._plan.name, key=self._key, call=call, was=self._plan.was)
        return self._durable(where, place, self._self + args, kwargs)

    def keyed(self, key: str) -> "Step[P, R]":
        """The same step under a key that is given: it may be called in any order, once."""
        return self._copy(key)

    @overload
    def in_doubt(
        self, ask: Callable[P, Coroutine[Any, Any, R | NotDone]]
    ) -> Callable[P, Coroutine[Any, Any, R | NotDone]]: ...

    @overload
    def in_doubt(self, ask: Callable[P, R | NotDone]) -> Callable[P, R | NotDone]: ...

    def in_doubt(self, ask: Callable[..., object]) -> Callable[..., object]:
        """
        Ask this function, called like the step, about an effect that a crash left open.

        It returns the result, or `NotDone()`; a plain function is asked in a thread.
        """
        if not self._plan.is_external:
            raise ValueError(f'{self._plan.name}: in_doubt is for @step(effect="external")')
        self._ask = ask
        return ask

    def _copy(self, key: str | None) -> "Step[P, R]":
        copy: Step[P, R] = Step(self._function, self._plan, key)
        copy._self, copy._ask = self._self, self._ask
        return copy

    async def _work(self, args: tuple[object, ...], kwargs: dict[str, Any]) -> R:
        return cast("R", await _carried_out(self._function, args, kwargs))

    async def _durable(
        self, where: InWorkflow, place: Place, args: tuple[object, ...], kwargs: dict[str, Any]
    ) -> R:
        run = where.run
        entry = await run.passed(place)
        if entry is None:
            with run.flight(place):
                try:
                    entry = await self._live(run, place, args, kwargs)
                except NotSaveable as error:
                    # Raised here, it would be caught, and the work done again by a replay.
                    await run.stop(error)
        if entry.kind is Kind.FAILURE:
            await self._fail(run, place, entry)
        return cast("R", await value_of(run, place, entry, self._returns(place)))

    async def _live(
        self, run: Run, place: Place, args: tuple[object, ...], kwargs: dict[str, Any]
    ) -> Entry:
        """Carry it out, and give what is saved then."""
        # Only now: they import pydantic.
        from runtara_sdk.workflow import codec, failures

        ask = self._ask
        annotation = self._returns(place)
        codec.check(place.key, annotation)
        attempts = Attempts(
            run=run,
            place=place,
            plan=self._plan,
            work=lambda: self._work(args, kwargs),
            given=lambda text: codec.decode(place.key, text, annotation),
            ask=None if ask is None else lambda: _carried_out(ask, args, kwargs),
        )
        try:
            value = await self._watched(place, attempts.result(), args, kwargs)
        except Failed as failed:
            text = failures.encode(place.key, failed.error, failed.attempts, self._plan.raises)
            entry = Entry(Kind.FAILURE, text, place.at, place.call, run.turns.begin())
        else:
            text = codec.encode(place.key, value, annotation)
            entry = Entry(Kind.RESULT, text, place.at, place.call)
        return await run.save(place.key, entry)

    async def _watched(
        self,
        place: Place,
        result: Coroutine[Any, Any, object],
        args: tuple[object, ...],
        kwargs: dict[str, Any],
    ) -> object:
        """Warn if arguments are changed meanwhile."""
        try:
            return await result
        finally:
            if fingerprint(self._function, args, kwargs, skip=len(self._self)) != place.call:
                logger.warning(
                    "the arguments of %s have changed since it was called; a replay, for which the"
                    " step does not run, has them as they were: let it copy them, and return what"
                    " it makes",
                    place.key,
                )

    async def _fail(self, run: Run, place: Place, entry: Entry) -> NoReturn:
        from runtara_sdk.workflow import failures

        try:
            error = failures.decode(self._plan.name, place.key, entry.value, self._plan.raises)
        except StateUnreadable as unreadable:
            await run.stop(unreadable)
        await run.turns.come(entry.nth)
        raise error

    def _returns(self, place: Place) -> object:
        try:
            return typing.get_type_hints(self._function, include_extras=True).get("return", Any)
        except NameError as error:
            raise NotSaveable(
                f"{place.key}: the annotations of {self._function.__qualname__} can't be read"
                f" ({error}): import what they name at run time"
            ) from error


async def _carried_out(
    function: Callable[..., Any], args: tuple[object, ...], kwargs: dict[str, Any]
) -> object:
    if inspect.iscoroutinefunction(function):
        return await function(*args, **kwargs)
    found = await in_thread(_called, function, args, kwargs)
    # As a decorator's plain function gives it that is put on an async one.
    return await found if inspect.isawaitable(found) else found


def _called(
    function: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, Any]
) -> object:
    try:
        return function(*args, **kwargs)
    except StopIteration as error:
        # No future takes it: who awaits the thread would wait for ever.
        raise RuntimeError(f"{function.__qualname__} raised StopIteration") from error


class _Decorator:
    """What `step(...)` gives: to be put on a function."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]]) -> Step[P, R]: ...

    @overload
    def __call__(self, function: Callable[P, R]) -> Step[P, R]: ...

    def __call__(self, function: Callable[..., Any]) -> Step[..., Any]:
        return _made(function, **self._options)


@overload
def step(function: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...


@overload
def step(
    *,
    name: str | None = None,
    retry: Retry = NEVER,
    timeout: Duration | None = None,
    raises: Kinds = (),
    effect: Literal["external"] | None = None,
    doubt: Literal["stop", "again"] = "stop",
    was: str | tuple[str, ...] = (),
) -> _Decorator: ...


def step(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """
    Make a function a step.

    `name`: what its keys are made of, the function's name unless given; `was`: names it had before.
    `retry`: a `Retry(...)`; without one there is one attempt. `timeout`: of each attempt. `raises`:
    errors that are answers, never tried again. `effect`: "external" saves the intent first; an
    attempt that a crash left open is asked about (`in_doubt`); where nobody can be asked, `doubt`
    is "stop" to wait for a person, as it does unless given, or "again" to make the attempt again.
    """
    return _Decorator(options) if function is None else _made(function)


def _made(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    retry: Retry = NEVER,
    timeout: Duration | None = None,
    raises: Kinds = (),
    effect: str | None = None,
    doubt: str = "stop",
    was: str | tuple[str, ...] = (),
) -> Step[..., Any]:
    if not inspect.isfunction(function):
        raise TypeError(
            f"a step is a function, defined with def or async def: {function!r} is none; put other"
            " decorators, such as @staticmethod, above @step"
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{function.__qualname__} yields, and a step's result is saved whole: return a list"
        )
    plan = Plan(
        name=name or function.__name__,
        raises=kinds("raises", raises),
        retry=retry,
        timeout=timeout,
        is_external=_is_external(effect),
        is_thread=not inspect.iscoroutinefunction(function),
        doubt=Doubt(doubt),
        was=(was,) if isinstance(was, str) else was,
    )
    return Step(function, plan)


def _is_external(effect: str | None) -> bool:
    if effect not in (None, "external"):
        raise ValueError(f'effect is "external" or left out, got {effect!r}')
    return effect is not None
