"""Workflows: functions of steps, known to the core by a name."""

import inspect
import json
import typing
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from functools import cached_property, update_wrapper
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from runtara_sdk.workflow import values
from runtara_sdk.workflow.api.bound import Call
from runtara_sdk.workflow.api.scheduling import (
    CodeSchedule,
    DuplicateName,
    MissingName,
    OverlapName,
    check_takes_ticks,
    code_version,
    declared,
    ticks_of,
)
from runtara_sdk.workflow.duration import Duration, duration
from runtara_sdk.workflow.engine.options import RunOptions
from runtara_sdk.workflow.engine.records import LIMIT, Record
from runtara_sdk.workflow.engine.retry import Kinds, kinds
from runtara_sdk.workflow.engine.start import first_record
from runtara_sdk.workflow.errors import Incompatible, InputRefused, NotSerializable
from runtara_sdk.workflow.values.coroutine_function import CoroutineFunction
from runtara_sdk.workflow.values.form import Form
from runtara_sdk.workflow.values.identity import is_named, qualified
from runtara_sdk.workflow.values.ticks import Tick, tick_of

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)

P = ParamSpec("P")
R = TypeVar("R")


class Workflow(CoroutineFunction, Generic[P, R]):
    """A workflow's function and stored name; called, it is its function, and nothing is durable."""

    def __init__(
        self,
        function: Callable[P, Coroutine[Any, Any, R]],
        name: str | None,
        options: RunOptions,
        was: tuple[str, ...] = (),
        raises: tuple[type[Exception], ...] = (),
        schedule: CodeSchedule | None = None,
    ) -> None:
        self.function = function
        self.schedule = schedule
        self.name = name or function.__name__
        self.options = options
        self.raises = raises
        self._is_named = name is not None
        self._qualified = qualified(function)
        self._was = was
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        return self.function(*args, **kwargs)

    def bind(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """
        Return a call of the workflow with these arguments, to start an instance or a child.

        Raises TypeError for arguments that the function does not take, NotSerializable for one that
        does not fit its annotation, and InputRefused for one that could not be read back.
        """
        text = self._input(self._bound(args, kwargs), Form.ALIASES)
        self.arguments(text)
        return Call(
            self.name,
            text,
            _result=self.decode_result,
            _failure=self.decode_failure,
        )

    def decode_failure(self, error: str, failure: bytes | None) -> Exception:
        """Return the error to raise for a failed instance; as a bound call does."""
        return values.failures.decode_of_workflow(self.name, error, failure, self.raises)

    def decode_result(self, output: bytes) -> R:
        """Read the output of a completed instance; raises StateUnreadable if it doesn't fit."""
        kind = self._hints().get("return", Any)
        what = f"the output of workflow {self.name!r}"
        return cast("R", values.codec.decode(what, output, kind, Form.ALIASES))

    def first(self, text: bytes | None, form: Form = Form.ALIASES) -> Record:
        """Return an instance's first record: the workflow's name and function, and the input."""
        return first_record(self.name, text, form, self._qualified)

    def check(self, instance_id: str, name: str, function: str | None) -> None:
        """
        Raise Incompatible unless an instance of this name and function belongs to the workflow.

        The function is compared only if another module may have a workflow of the same name: not if
        `name=` was given, nor for an instance that was begun before functions were saved (None).
        """
        if name in self._was or is_named(function or "", self._was):
            return
        if name != self.name:
            raise Incompatible(
                f"instance {instance_id!r} is one of workflow {name!r}, not of {self.name!r}: run"
                " that one, use another instance id, or if this one was called so, declare it with"
                f" @workflow(was={name!r})"
            )
        if self._is_named or function is None or is_named(function, [self._qualified]):
            return
        raise Incompatible(
            f"instance {instance_id!r} is one of {function}, not of {self._qualified}, which has"
            " the same name: run that one, use another instance id, or if its code has moved,"
            f" declare it with @workflow(was={function!r})"
        )

    def arguments(
        self, text: bytes | None, *, is_saved: bool = False, form: Form = Form.ALIASES
    ) -> dict[str, Any]:
        """
        Read an input: JSON of the one parameter, or an object of several by name.

        Raises InputRefused if it does not fit or, where `is_saved` says that the instance was
        started with it, Incompatible.
        """
        names = list(self._signature.parameters)
        if text is None:
            return self._without_input(names, is_saved=is_saved)
        tick = tick_of(text)
        if tick is not None:
            return self._with_tick(tick, is_saved=is_saved)
        what, annotation = self._taken
        try:
            found = values.codec.read(what, text, annotation, is_strict=not is_saved, form=form)
        except values.codec.TypeMismatch as error:
            kind = Incompatible if is_saved else InputRefused
            raise kind(self._misfit(names, text, error.problems, is_saved=is_saved)) from error
        return {names[0]: found} if len(names) == 1 else cast("dict[str, Any]", found)

    @cached_property
    def _taken(self) -> tuple[str, object]:
        """
        What errors call the input, and its annotation.

        Kept, because pydantic prepares each annotation at its first use, which takes milliseconds,
        and keeps what it has prepared.
        """
        hints, names = self._hints(), list(self._signature.parameters)
        if len(names) == 1:
            return names[0], hints.get(names[0], Any)
        kinds = {name: hints.get(name, Any) for name in names}
        return "input", values.codec.named(kinds, self._required())

    def _misfit(
        self, names: list[str], text: bytes, problems: Sequence[str], *, is_saved: bool
    ) -> str:
        got = text[:200].decode(errors="replace").strip()
        head = f"the input does not fit workflow {self.name!r}"
        lines = "".join(f"\n  {problem.removeprefix('input.')}" for problem in problems)
        if is_saved:
            return (
                f"{head}, which the instance was started with: let its parameters take {got} too:"
                f"{lines}"
            )
        if not names:
            return f"{head}, which takes none, and got {got}: leave it out"
        return f"{head}:{lines}\nit takes {self._shape(names)}\ngot {got}"

    def _shape(self, names: list[str]) -> str:
        shape = values.codec.shape(*self._taken)
        return f"the value of its parameter {names[0]}: {shape}" if len(names) == 1 else shape

    def input(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> tuple[bytes | None, Form]:
        """
        Return arguments as an input, with its form; None for no arguments.

        Raises NotSerializable for one that does not fit its annotation.
        """
        bound = self._bound(args, kwargs)
        try:
            return self._input(bound, Form.ALIASES), Form.ALIASES
        except NotSerializable:
            return self._input(bound, Form.NAMES), Form.NAMES

    def _bound(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, object]:
        try:
            return self._signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"workflow {self.name!r}: {error}") from None

    def _input(self, bound: Mapping[str, object], form: Form) -> bytes | None:
        hints = self._hints()
        texts = {
            name: values.codec.encode(
                f"{self.name}({name}=...)", value, hints.get(name, Any), forms=(form,)
            ).text
            for name, value in bound.items()
        }
        if len(self._signature.parameters) == 1:
            return next(iter(texts.values()), None)
        return json.dumps({name: json.loads(text) for name, text in texts.items()}).encode()

    def failure(self, error: BaseException) -> bytes:
        """Return the error that the workflow raised as JSON, for programs that read the end."""
        return values.failures.encode_of_workflow(f"workflow {self.name!r}", error, self.raises)

    def output(self, value: object) -> bytes:
        """
        Return the workflow's result as JSON, by the aliases of its fields: other programs read it.

        Raises NotSerializable for a result that is not JSON, or is larger than the core takes.
        """
        text = values.codec.output(
            f"workflow {self.name!r}", value, self._hints().get("return", Any)
        )
        if len(text) > LIMIT:
            raise NotSerializable(
                f"workflow {self.name!r} gave an output of {len(text)} bytes, and the core takes"
                f" {LIMIT}: save the data elsewhere, and return its location"
            )
        return text

    def _without_input(self, names: list[str], *, is_saved: bool) -> dict[str, Any]:
        missing = [name for name in names if name in self._required()]
        if missing and is_saved:
            raise Incompatible(
                f"workflow {self.name!r} takes {', '.join(missing)}, and the instance was started"
                " without an input: let what was added have defaults"
            )
        if missing:
            raise InputRefused(
                f"workflow {self.name!r} takes {', '.join(missing)}, and there is no input: give"
                " it with --input FILE where you run it by hand, or at the instance's start\n"
                f"it takes {self._shape(names)}"
            )
        return {}

    def _with_tick(self, tick: Tick, *, is_saved: bool) -> dict[str, Any]:
        taken = ticks_of(self._hints())
        missing = sorted(self._required() - set(taken))
        if missing:
            kind = Incompatible if is_saved else InputRefused
            raise kind(
                f"workflow {self.name!r} takes {', '.join(missing)}, and was started by schedule"
                f" {tick.schedule!r} without an input: give the schedule one, or let the workflow"
                " take no argument, or one annotated Tick"
            )
        return dict.fromkeys(taken, tick)

    @property
    def code_version(self) -> str:
        """The version of the workflow's module, a digest of its text."""
        return code_version(self.function)

    def _required(self) -> frozenset[str]:
        parameters = self._signature.parameters.values()
        return frozenset(one.name for one in parameters if one.default is one.empty)

    @cached_property
    def _signature(self) -> inspect.Signature:
        return inspect.signature(self.function)

    @cached_property
    def _read_hints(self) -> dict[str, Any]:
        return typing.get_type_hints(self.function, include_extras=True)

    def _hints(self) -> dict[str, Any]:
        try:
            return self._read_hints
        except Exception as error:  # An annotation that is a text can be resolved only now.
            raise NotSerializable(
                f"the annotations of workflow {self.name!r} can't be read ({error}): import what"
                " they name at run time"
            ) from error


class _Decorator(Protocol):
    """The decorator that `workflow(...)` returns."""

    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Workflow[P, R]: ...


def _made(
    function: Callable[P, Coroutine[Any, Any, R]],
    name: str | None,
    options: RunOptions,
    was: tuple[str, ...],
    raises: tuple[type[Exception], ...],
    schedule: CodeSchedule | None,
) -> Workflow[P, R]:
    if isinstance(function, str):
        raise TypeError(f"workflow takes options by name: write @workflow(name={function!r})")
    # A step declares that it is one, too.
    if not (inspect.isfunction(function) and inspect.iscoroutinefunction(function)):
        raise TypeError(f"a workflow is an async function: {function!r} is none")
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in _NAMED:
            raise TypeError(
                f"workflow {function.__name__!r} takes {str(parameter)!r}, and its input is"
                " given by name: let it take parameters that have one, with no * or /"
            )
    if schedule is not None:
        check_takes_ticks(function)
    return Workflow(function, name, options, was, raises, schedule)


@overload
def workflow(function: Callable[P, Coroutine[Any, Any, R]], /) -> Workflow[P, R]: ...


@overload
def workflow(
    *,
    name: str | None = None,
    suspend_after: Duration = "60s",
    recheck_every: Duration = "1d",
    core_timeout: Duration = "5m",
    was: str | tuple[str, ...] = (),
    raises: Kinds = (),
    cron: str | None = None,
    tz: str = "UTC",
    overlap: OverlapName = "skip",
    missing: MissingName = "cron",
    duplicate: DuplicateName = "cron",
    catch_up: Duration = "1d",
    jitter: Duration = "0s",
) -> _Decorator: ...


def workflow(
    function: Callable[..., Coroutine[Any, Any, Any]] | None = None,
    /,
    *,
    name: str | None = None,
    suspend_after: Duration = "60s",
    recheck_every: Duration = "1d",
    core_timeout: Duration = "5m",
    was: str | tuple[str, ...] = (),
    raises: Kinds = (),
    cron: str | None = None,
    tz: str = "UTC",
    overlap: OverlapName = "skip",
    missing: MissingName = "cron",
    duplicate: DuplicateName = "cron",
    catch_up: Duration = "1d",
    jitter: Duration = "0s",
) -> Any:
    """
    Make an async function a workflow.

    `name` is stored with each instance, so the function may be renamed and moved. `was` has the
    workflow's former names, each a name or `module:function`; it goes on with their instances.
    `raises` lists errors that are expected answers: a client that awaits an instance gets them in
    their own types.

    A run whose calls all wait is suspended after `suspend_after`, and its process ends. Shorter
    waits keep the process. A suspended instance is due when a promise's value is sent. A value that
    plain SQL inserts does not wake it; it is therefore also due every `recheck_every`. Calls of the
    core are repeated for `core_timeout` while it is out of reach, and for a second at least.

    `cron`, in the time zone `tz`: once the workflow is deployed or served, an instance starts at
    each tick. The workflow then takes no argument, or a `Tick`. The other options are those of
    `runtara schedules add`. Raises ValueError.
    """
    options = RunOptions(
        duration("core_timeout=", core_timeout),
        duration("suspend_after=", suspend_after),
        max(duration("recheck_every=", recheck_every), timedelta(seconds=1)),
    )
    schedule = declared(cron, tz, overlap, missing, duplicate, catch_up, jitter)
    names = (was,) if isinstance(was, str) else was
    given = (name, options, names, kinds("raises", raises), schedule)
    return (lambda made: _made(made, *given)) if function is None else _made(function, *given)
