"""Reports of errors, for whoever wrote the workflow."""

import asyncio
import concurrent.futures
import contextlib
import importlib
import os
import traceback
from collections.abc import Iterable
from pathlib import Path
from traceback import FrameSummary, StackSummary, TracebackException
from types import FrameType

from runtara_sdk.errors import RuntaraError

_OURS = f"{Path(__file__).parents[1]}{os.sep}"

_PACKAGES = (asyncio, concurrent.futures, importlib)
_LONGEST = 100_000
"""Characters of a report."""

# What stands between our frames and those that they call; elsewhere it is left in.
_BETWEEN = (
    "<frozen ",
    contextlib.__file__,
    *(str(each.__file__).removesuffix("__init__.py") for each in _PACKAGES),
)


def report(error: BaseException) -> str:
    """The error in one line, then its traceback with the frames of user code alone."""
    head = f"{type(error).__qualname__}: {said(error)}"
    found = _trimmed(error)
    # One of ours with none of the user's frames says it all in its message.
    is_all = found.stack is None and (found.__suppress_context__ or found.__context__ is None)
    return _cut(readable(head if is_all else f"{head}\n\n{_text(found)}"))


def said(error: BaseException) -> str:
    """What an error says of itself; it may be one that fails to."""
    try:
        return str(error)
    except Exception:
        return "<exception str() failed>"


def traced(error: BaseException) -> str:
    """The error's traceback, and those of what caused it, with the frames of user code alone."""
    return readable(_text(_trimmed(error)))


def readable(text: str) -> str:
    """As text that the core keeps; what a file's name may hold besides is shown escaped."""
    return text.replace("\0", "").encode(errors="backslashreplace").decode()


def _cut(text: str) -> str:
    """Leave out the middle of what is too long to be read."""
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:half]}\n…\n{text[-half:]}"


def stack(frame: FrameType) -> str:
    """Where code stands now: the frames of user code, innermost last."""
    frames = traceback.extract_stack(frame)
    return "".join(StackSummary.from_list(_users(frames) or frames).format()).rstrip("\n")


def _text(found: TracebackException) -> str:
    return "".join(found.format()).rstrip("\n")


def _trimmed(error: BaseException) -> TracebackException:
    found = TracebackException.from_exception(error)
    _trim(found, error)
    return found


def _trim(found: TracebackException, error: BaseException) -> None:
    users = _users(found.stack)
    if users:
        found.stack = StackSummary.from_list(users)
    elif isinstance(error, RuntaraError | SyntaxError) or error.__cause__ is not None:
        found.stack = None  # type: ignore[assignment]  # as it is for one never raised
    inner = [(found.__cause__, error.__cause__), (found.__context__, error.__context__)]
    if isinstance(error, BaseExceptionGroup):
        inner += zip(found.exceptions or (), error.exceptions, strict=False)
    for part, cause in inner:
        if part is not None and cause is not None:
            _trim(part, cause)


def _users(frames: Iterable[FrameSummary]) -> list[FrameSummary]:
    """Leave out our frames, and what stands before, between and behind them on the way."""
    kept, is_ours = [], True
    for frame in frames:
        if frame.filename.startswith(_OURS):
            is_ours = True
        elif not (is_ours and frame.filename.startswith(_BETWEEN)):
            is_ours = False
            kept.append(frame)
    return kept
