"""Reports of errors, for the workflow's author."""

import asyncio
import concurrent.futures
import contextlib
import importlib
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from traceback import FrameSummary, StackSummary, TracebackException
from types import FrameType, TracebackType

from runtara_sdk.errors import RuntaraError
from runtara_sdk.workflow.user_objects import asked, is_a, text_of, type_name

_OURS = f"{Path(__file__).parents[2]}{os.sep}"

_LOOPS = (asyncio.base_events.__file__,)

# The modules that the SDK calls; user code may call them, too.
_LIBRARIES = sys.stdlib_module_names | {
    "aioquic",
    "annotated_types",
    "cryptography",
    "google",
    "pydantic",
    "pydantic_core",
    "pydantic_settings",
    "runtara_protocol",
    "typing_extensions",
    "typing_inspection",
}

_PACKAGES = (asyncio, concurrent.futures, importlib)
_LONGEST = 100_000
"""The most characters of an error and its traceback."""

# Frames between ours and those they call are left out; elsewhere these modules' frames stay.
_BETWEEN = (
    "<frozen ",
    contextlib.__file__,
    *(str(each.__file__).removesuffix("__init__.py") for each in _PACKAGES),
)


def format_error(error: BaseException) -> str:
    """Return the error in one line, then its traceback with only the frames of user code."""
    head = _head(error)
    text = None if _is_long(error) else asked(lambda: _needed(error), None)
    text = _bare(error) if text is None else text
    return _cut(storable(f"{head}\n\n{text}" if text else head))


def _needed(error: BaseException) -> str:
    """The traceback; "" for an error of the SDK without user frames: the message says it all."""
    found = _trim(TracebackException.from_exception(error), error)
    is_all = found.stack is None and (found.__suppress_context__ or found.__context__ is None)
    return "" if is_all else _text(found)


def message(error: BaseException) -> str:
    """An error's message as text that the core can store; the middle of a long one is cut."""
    return _cut(storable(text_of(error)))


def format_traceback(error: BaseException) -> str:
    """The tracebacks of the error and of its causes, with only the frames of user code."""
    text = (
        None
        if _is_long(error)
        else asked(lambda: _text(_trim(TracebackException.from_exception(error), error)), None)
    )
    return storable(_bare(error) if text is None else text)


def _is_long(error: BaseException) -> bool:
    """Return whether an error's text would leave no room for its traceback."""
    return len(text_of(error)) > _LONGEST // 4


def _bare(error: BaseException) -> str:
    """The traceback of an error that raises when asked for its cause, its notes or its text."""
    frames: list[FrameSummary] = asked(lambda: traceback.extract_tb(_raised_at(error)), [])
    lines = StackSummary.from_list(_user_frames(frames)).format()
    return "".join(["Traceback (most recent call last):\n", *lines, _head(error)])


def _raised_at(error: BaseException) -> TracebackType | None:
    # Not `error.__traceback__`, because a class can override that attribute.
    found: TracebackType | None = BaseException.__dict__["__traceback__"].__get__(error)
    return found


def _head(error: BaseException) -> str:
    return f"{type_name(error)}: {_cut(text_of(error), _LONGEST // 4)}"


def storable(text: str) -> str:
    """Return text that the core can store: no NUL; surrogates, as in file names, are escaped."""
    return text.replace("\0", "").encode(errors="backslashreplace").decode()


def _cut(text: str, longest: int = _LONGEST) -> str:
    """Leave out the middle of a text that is too long."""
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]}\n…\n{text[-half:]}"


def stack(frame: FrameType) -> str:
    """Show where code is now: the frames of user code, innermost last."""
    frames = traceback.extract_stack(frame)
    return "".join(StackSummary.from_list(_user_frames(frames) or frames).format()).rstrip("\n")


def in_user_code(frame: FrameType) -> bool:
    """
    Return whether a thread at this frame does the work of user code.

    A library works for its caller, which is user code, this SDK, or the event loop itself.
    """
    at: FrameType | None = frame
    while at is not None and not _is_loop(at):
        if at.f_code.co_filename.startswith(_OURS):
            return False
        if str(at.f_globals.get("__name__", "")).partition(".")[0] not in _LIBRARIES:
            return True
        at = at.f_back
    return False


def _is_loop(frame: FrameType) -> bool:
    """Return whether the frames before this one only run the loop."""
    return frame.f_code.co_name == "_run_once" and frame.f_code.co_filename in _LOOPS


def _text(found: TracebackException) -> str:
    return "".join(found.format()).rstrip("\n")


def _trim(found: TracebackException, error: BaseException) -> TracebackException:
    """Keep only the frames of user code in a traceback, and in those of its causes."""
    users = _user_frames(found.stack)
    if users:
        found.stack = StackSummary.from_list(users)
    elif is_a(error, RuntaraError, SyntaxError) or error.__cause__ is not None:
        found.stack = None  # type: ignore[assignment]  # as for an error that was never raised
    inner = [(found.__cause__, error.__cause__), (found.__context__, error.__context__)]
    if isinstance(error, BaseExceptionGroup):
        inner += zip(found.exceptions or (), error.exceptions, strict=False)
    for part, cause in inner:
        if part is not None and cause is not None:
            _trim(part, cause)
    return found


def _user_frames(frames: Iterable[FrameSummary]) -> list[FrameSummary]:
    """Leave out the SDK's frames, and library frames before, between and behind them."""
    kept, is_ours = [], True
    for frame in frames:
        if frame.filename.startswith(_OURS):
            is_ours = True
        elif not (is_ours and frame.filename.startswith(_BETWEEN)):
            is_ours = False
            kept.append(frame)
    return kept
