"""Final failures of steps and workflows: how they are saved and raised again."""

from collections.abc import Sequence
from functools import partial
from typing import cast

from pydantic import BaseModel, JsonValue

from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.errors import StateUnreadable, StepFailed, WorkflowFailed
from runtara_sdk.workflow.user_objects import asked, is_a, shown, text_of, type_name
from runtara_sdk.workflow.values.error_classes import class_name, defined, found
from runtara_sdk.workflow.values.error_parts import ErrorParts, built, taken_apart
from runtara_sdk.workflow.values.form import Form
from runtara_sdk.workflow.values.tracebacks import format_traceback, message, storable

logger = get_logger(__name__)

_LONGEST = 2**20
"""The most bytes of a workflow's failure; a larger one is saved without its parts."""

_SHOWN = 1000

_TRACEBACK = 8000
"""The most characters of a traceback; its end is kept, because that says most."""

_ADVICE = (
    "to keep all of it, catch it in the step, and raise an error of your own with plain arguments,"
    " named in raises="
)


class _Failure(BaseModel):
    """
    A failure as it is stored in the database.

    `parts`: only of an error that is raised again with its class. `errors`: the errors in a group.
    `arguments` and `notes`: only of a workflow's failure.
    """

    type: str
    message: str
    attempts: int
    traceback: str
    parts: ErrorParts | None = None
    errors: list["_Failure"] | None = None
    arguments: list[JsonValue] | None = None
    notes: list[str] | None = None


def encode(key: str, error: Exception, attempts: int, raises: Sequence[type[Exception]]) -> bytes:
    """
    Write a failure. Of an error of one of the types in `raises`, its parts are saved as well.

    A part that can't be saved is left out, with a warning. An error that can't be made again at all
    will be raised as StepFailed.
    """
    return _written(_failure(key, error, attempts, raises))


def encode_of_workflow(what: str, error: BaseException, raises: Sequence[type[Exception]]) -> bytes:
    """Write how a workflow failed, as `decode_of_workflow` reads it."""
    failure = _failure(what, error, 1, raises)
    failure.arguments = asked(lambda: [_argument(one) for one in error.args], None)
    failure.notes = asked(lambda: [str(note) for note in error.__notes__], None)
    text = _written(failure)
    if len(text) > _LONGEST:
        failure.parts = failure.errors = failure.arguments = failure.notes = None
        text = _written(failure)
    return text


def decode_of_workflow(
    workflow: str, error: str, text: bytes | None, raises: Sequence[type[Exception]]
) -> Exception:
    """
    Read a workflow's failure as an error: of a type in `raises`, with notes, else WorkflowFailed.

    `error` is the failure as people read it, `text` the failure saved for programs; None: none was.
    """
    try:
        failure = _Failure.model_validate_json(text or b"")
    except ValueError:  # The instance was ended from outside, or by an older version.
        return WorkflowFailed(workflow, error)
    notes = failure.notes or []
    kind = None if failure.parts is None else found(failure.type, raises)
    if kind is not None:
        what = f"workflow {workflow!r}"
        made = asked(lambda: _made(what, failure, kind, raises, Form.NAMES), None)
        if isinstance(made, Exception):
            for note in (*notes, f"In {what}: {failure.traceback}"):
                asked(partial(BaseException.add_note, made, note), None)
            return made
    return WorkflowFailed(
        workflow,
        failure.message,
        cause=failure.type,
        arguments=failure.arguments or (),
        notes=notes,
        traceback=failure.traceback,
    )


def _failure(
    key: str, error: BaseException, attempts: int, raises: Sequence[type[Exception]]
) -> _Failure:
    failure = _plain(error, attempts)
    if is_a(error, *raises):
        try:
            left_out = _take_apart(key, failure, error, raises)
        except Exception as refusal:  # The user's classes may raise anything when inspected.
            failure = _plain(error, attempts)
            logger.warning(
                "%s has failed with %s, which can't be made again (%s), so its caller gets"
                " StepFailed or WorkflowFailed: %s",
                *(key, failure.type, text_of(refusal), _ADVICE),
            )
        else:
            _warn(key, failure, left_out)
    return failure


def _written(failure: _Failure) -> bytes:
    return failure.model_dump_json(exclude_none=True).encode()


def _argument(value: object) -> JsonValue:
    """Return an argument as a JSON value, or else as text that shows it."""
    if value is None or type(value) in (bool, int, float, str):
        return cast("JsonValue", storable(value) if isinstance(value, str) else value)
    return storable(shown(value))[:_SHOWN]


def decode(
    step: str,
    key: str,
    text: bytes,
    raises: Sequence[type[Exception]],
    form: Form = Form.NAMES,
) -> Exception:
    """
    Read a failure as the error to raise, with the step's traceback as a note.

    Raises StateUnreadable if the error's type is not in `raises`, or the error can't be made again.
    """
    failure = _Failure.model_validate_json(text)
    error = _read(step, key, failure, raises, form)
    note = f"In {key}, attempt {failure.attempts}: {failure.traceback}"
    asked(lambda: BaseException.add_note(error, note), None)
    return error


def _plain(error: BaseException, attempts: int) -> _Failure:
    return _Failure(
        type=class_name(type(error)),
        message=message(error),
        attempts=attempts,
        traceback=format_traceback(error)[-_TRACEBACK:],
    )


def _take_apart(
    key: str, failure: _Failure, error: BaseException, raises: Sequence[type[Exception]]
) -> list[str]:
    """Add the parts of an error to a failure; return descriptions of the parts left out."""
    what = f"{key}, failing with {failure.type},"
    failure.parts, left_out = taken_apart(what, error)
    if isinstance(error, BaseExceptionGroup):
        failure.errors = [_plain(one, failure.attempts) for one in error.exceptions]
        for part, one in zip(failure.errors, error.exceptions, strict=True):
            if _kind(part.type, raises) is type(one):
                left_out += _take_apart(key, part, one, raises)
    back = _made(key, failure, type(error), raises, Form.NAMES)
    if text_of(back) != text_of(error):
        left_out.append(f"its text, which would come back as {text_of(back)!r}")
    return left_out


def _warn(key: str, failure: _Failure, left_out: Sequence[str]) -> None:
    if left_out:
        logger.warning(
            "%s has failed with %s, and is saved without %s: %s",
            *(key, failure.type, "; ".join(left_out), _ADVICE),
        )


def _read(
    step: str, key: str, failure: _Failure, raises: Sequence[type[Exception]], form: Form
) -> Exception:
    if failure.parts is None:
        return _step_failed(step, key, failure, form)
    kind = found(failure.type, raises)
    if kind is None:
        raise StateUnreadable(
            f"{key} has failed with {failure.type}, and no class in the step's raises="
            f"{tuple(map(class_name, raises))} has this name: add the class, or if it was renamed,"
            " keep the old name beside the new one in its module:"
            f" {failure.type.rpartition('.')[2]} = NewName"
        )
    try:
        error = _made(key, failure, kind, raises, form, step)
    except StateUnreadable:
        raise
    except Exception as refusal:  # Properties and `__new__` are the user's code.
        raise StateUnreadable(
            f"{key} has failed with {failure.type}, which can't be made again from its saved"
            f" arguments ({type_name(refusal)}: {text_of(refusal)}): let the class accept them"
        ) from refusal
    assert isinstance(error, Exception)
    return error


def _step_failed(step: str, key: str, failure: _Failure, form: Form) -> StepFailed:
    # The error's text may be an argument of another step, and arguments are compared at replay.
    had_advice = form is not Form.ALIASES
    return StepFailed(
        *(step, key, failure.attempts, failure.type, failure.message), advice=had_advice
    )


def _made(
    key: str,
    failure: _Failure,
    kind: type[BaseException],
    raises: Sequence[type[Exception]],
    form: Form,
    step: str = "",
) -> BaseException:
    assert failure.parts is not None
    what = f"{key}, failing with {failure.type},"
    if failure.errors is None:
        return built(what, kind, failure.parts, form)
    grouped = [_member(step, key, one, raises, form) for one in failure.errors]
    return built(what, kind, failure.parts, form, grouped)


def _member(
    step: str, key: str, failure: _Failure, raises: Sequence[type[Exception]], form: Form
) -> BaseException:
    """Make an error of a group: it need not be in `raises`, but its class must still be found."""
    if failure.parts is None:
        return _step_failed(step, key, failure, form)
    kind = _kind(failure.type, raises)
    if kind is None:
        raise StateUnreadable(
            f"{key} has failed with a group that holds {failure.type}, and there is no such class"
            " any more: keep the old name beside the new one in its module:"
            f" {failure.type.rpartition('.')[2]} = NewName"
        )
    return _made(key, failure, kind, raises, form, step)


def _kind(name: str, raises: Sequence[type[Exception]]) -> type[BaseException] | None:
    """Find a class of errors by its name: among `raises`, or wherever it is defined."""
    return found(name, raises) or defined(name, (BaseException,))
