"""Steps: functions whose results and failures are saved."""

import inspect
from collections.abc import Callable, Coroutine
from copy import copy
from functools import partial, update_wrapper
from types import CoroutineType
from typing import (
    Any,
    Concatenate,
    Generic,
    Literal,
    NoReturn,
    ParamSpec,
    Protocol,
    TypeVar,
    cast,
    overload,
)

from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow import values
from runtara_sdk.workflow.api.context import check_outside, in_workflow
from runtara_sdk.workflow.api.recorded import value_of
from runtara_sdk.workflow.duration import Duration
from runtara_sdk.workflow.engine.attempts import Attempts
from runtara_sdk.workflow.engine.calls import DurableCall
from runtara_sdk.workflow.engine.execution import Execution
from runtara_sdk.workflow.engine.options import NotDone, StepOptions, doubt_of
from runtara_sdk.workflow.engine.records import Kind, Record
from runtara_sdk.workflow.engine.retry import NEVER, Kinds, Retry, kinds
from runtara_sdk.workflow.errors import NotSerializable, StateUnreadable
from runtara_sdk.workflow.user_objects import shown
from runtara_sdk.workflow.values.coroutine_function import CoroutineFunction
from runtara_sdk.workflow.values.form import Form
from runtara_sdk.workflow.values.function import Arguments, Function, noted
from runtara_sdk.workflow.values.identity import Identity, qualified
from runtara_sdk.workflow.values.option_names import check_known

logger = get_logger(__name__)

_UNREAD = (
    ". The result is saved, and the step is not repeated: run the instance with another annotation"
    " or with this one, and the saved result is read by it"
)

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")


class Step(CoroutineFunction, Generic[P, R]):
    """
    A function whose result is saved: on a replay the call returns the saved result.

    The call takes its key when it is made, and must be awaited. Outside a workflow and inside
    another step it calls the function. A plain function runs in a thread.
    """

    def __init__(self, function: Callable[..., Any], options: StepOptions) -> None:
        # First: it copies the attributes that other decorators have set on the function.
        update_wrapper(self, function)
        self._function = Function(function)
        self._options = options
        # Made once, and not in each call.
        self._words = f"step {options.name!r}"
        self._keyed_words = f"{options.name}.keyed(...)(...)"
        self._identity = Identity(options.name, qualified(function), options.was, options.is_named)
        self._identity.enter()
        self._is_method = False
        self._key: str | None = None
        self._self: tuple[object, ...] = ()
        self._ask: Function | None = None

    def __set_name__(self, owner: type, name: str) -> None:
        self._is_method = self._is_method or self._function.is_of(owner)

    @overload
    def __get__(self, instance: None, owner: type) -> "Step[P, R]": ...

    @overload
    def __get__(
        self: "Step[Concatenate[S, Q], R]", instance: S, owner: type | None = None
    ) -> "Step[Q, R]": ...

    def __get__(self, instance: object, owner: type | None = None) -> "Step[Any, R]":
        if instance is None:
            return self
        bound: Step[Any, R] = copy(self)
        bound._self = (instance,)
        return bound

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[None, None, R]:
        name = self._options.name
        where = in_workflow(self._words, key=self._key, keyed=self._keyed_words)
        if where is None:
            check_outside(self._words, f"{name}.__wrapped__")
            plain = self._function.call(self._self + args, kwargs)
            return cast("Coroutine[None, None, R]", noted(name, plain))
        given = Arguments(self._self + args, kwargs, self._own(args))
        arguments = self._function.live(given, is_old=where.execution.recorder.is_old)
        call = where.next_call(name, key=self._key, step=self._identity)
        call.arguments = arguments
        made = cast("CoroutineType[Any, Any, R]", self._durable(where.execution, call, given))
        # For Python's warning of an unawaited coroutine: it names the step.
        made.__qualname__ = self._options.name
        return made

    def _own(self, args: tuple[object, ...]) -> int:
        """Return how many leading arguments are a method's object or class."""
        is_own = bool(self._self) or self._is_method or bool(args and self._is_of(args[0]))
        return 1 if is_own else 0

    def _is_of(self, kind: object) -> bool:
        """Return whether it is a class method of a class: before 3.13 its class is bound to it."""
        if not isinstance(kind, type):
            return False
        own = (each for one in kind.__mro__ for each in vars(one).values())
        methods = (getattr(each, "__func__", None) for each in own if type(each) is classmethod)
        return any(isinstance(one, Step) and one._function is self._function for one in methods)

    def keyed(self, key: str) -> "Step[P, R]":
        """
        Return the step with a key for one call.

        The key is unique among the step's calls in the instance. The call may then be made in any
        task that the workflow's code begins, in any order, at the same time as others.
        """
        if not isinstance(key, str):
            raise TypeError(f"{self._options.name}.keyed() takes a text, got {shown(key)}")
        keyed = copy(self)
        keyed._key = key
        return keyed

    @overload
    def in_doubt(
        self, ask: Callable[P, Coroutine[Any, Any, R | NotDone]]
    ) -> Callable[P, Coroutine[Any, Any, R | NotDone]]: ...

    @overload
    def in_doubt(self, ask: Callable[P, R | NotDone]) -> Callable[P, R | NotDone]: ...

    def in_doubt(self, ask: Callable[..., object]) -> Callable[..., object]:
        """
        Register the function that finds out whether an effect that a crash left open has happened.

        It gets the step's arguments, and returns the result or `NotDone()`. A plain function runs
        in a thread.
        """
        if not self._options.is_external:
            raise ValueError(f'{self._options.name}: in_doubt is for @step(effect="external")')
        self._ask = Function(ask)
        return ask

    async def _durable(self, execution: Execution, call: DurableCall, given: Arguments) -> R:
        record = await execution.durable(
            call,
            # Made only when they are needed, and without a frame of ours.
            lambda: self._attempts(execution, call, given).run(
                lambda: self._warn_if_changed(call, given)
            ),
        )
        if record.kind is Kind.FAILURE:
            await self._fail(execution, call, record)
        value = await value_of(execution, call, record, self._function.returns(call.key))
        return cast("R", value)

    def _attempts(self, execution: Execution, call: DurableCall, given: Arguments) -> Attempts:
        ask = self._ask
        annotation = self._function.returns(call.key)
        values.codec.check(call.key, annotation)
        return Attempts(
            execution=execution,
            call=call,
            options=self._options,
            work=lambda: self._function.call(given.args, given.kwargs),
            read=lambda text: values.codec.decode(call.key, text, annotation, Form.EITHER),
            result=lambda value: self._result(execution, call, value, annotation),
            failure=lambda error, number: self._failure(execution, call, error, number),
            ask=None if ask is None else lambda: ask.call(given.args, given.kwargs),
        )

    async def _result(
        self, execution: Execution, call: DurableCall, value: object, annotation: object
    ) -> Record:
        """Write a result; raises NotSerializable if it is lost, Unread if it is saved unread."""
        try:
            written = values.codec.encode(call.key, value, annotation)
        except values.codec.Unread as unread:
            await execution.recorder.record(call.key, call.record(Kind.UNREAD, unread.text))
            await execution.end.finish_and_block(
                values.codec.Unread(f"{unread}{_UNREAD}", unread.text)
            )
        record = call.record(Kind.RESULT, written.text, form=written.form)
        record.back = (written.back,)
        return record

    def _failure(
        self, execution: Execution, call: DurableCall, error: Exception, attempts: int
    ) -> Record:
        text = values.failures.encode(call.key, error, attempts, self._options.raises)
        whole = call.record(Kind.FAILURE, text)
        try:
            whole.check_size()
        except NotSerializable:
            # Its parts are larger than the core takes.
            text = values.failures.encode(call.key, error, attempts, ())
            return call.record(Kind.FAILURE, text)
        return whole

    def _warn_if_changed(self, call: DurableCall, given: Arguments) -> None:
        if call.arguments is None or not given.may_change():
            return
        if self._function.describe(given) != call.arguments.call:
            logger.warning(
                "the step of %s has changed its arguments; a replay does not run the step, so there"
                " they stay unchanged: let the step copy them, and return the copy",
                call.key,
            )

    async def _fail(self, execution: Execution, call: DurableCall, record: Record) -> NoReturn:
        try:
            error = values.failures.decode(
                self._options.name, call.key, record.value, self._options.raises, record.form
            )
        except StateUnreadable as unreadable:
            await execution.end.finish_and_block(unreadable)
        raise error


class _Decorator(Protocol):
    """The decorator that `step(...)` returns."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...

    @overload
    def __call__(self, function: Callable[P, R], /) -> Step[P, R]: ...


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

    `name`: the name in its keys, by default the function's. `was`: its former names. `retry`: a
    `Retry(...)`; without one there is one attempt. `timeout`: the time of each attempt. `raises`:
    errors that are expected answers, which are never retried. `effect`: "external" saves the intent
    first. If a crash leaves an attempt open, the function registered by `in_doubt` decides. Without
    one, `doubt` decides: "stop" (the default) waits for an operator, "again" repeats the attempt.
    """
    check_known("step", options, _OPTIONS)
    return partial(_made, **options) if function is None else _made(function)


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
    if isinstance(function, str):
        raise TypeError(f"step takes options by name: write @step(name={function!r})")
    if not inspect.isfunction(function):
        raise TypeError(
            f"a step is a function, defined with def or async def: {function!r} is none; put other"
            " decorators, such as @staticmethod, above @step"
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{function.__qualname__} yields, and a step's result is saved whole: return a list"
        )
    if effect not in (None, "external"):
        raise ValueError(f'effect= takes "external" or is left out, got {effect!r}')
    options = StepOptions(
        name=name or function.__name__,
        raises=kinds("raises", raises),
        retry=retry,
        timeout=timeout,
        is_external=effect is not None,
        is_thread=not inspect.iscoroutinefunction(function),
        doubt=doubt_of(doubt),
        was=tuple(was) if isinstance(was, tuple | list) else (was,),
        is_named=name is not None,
    )
    return Step(function, options)


_OPTIONS = tuple(inspect.signature(_made).parameters)[1:]
