"""Reads attributes of the user's objects; errors of their methods do not end the run."""

import sys
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def asked(look: Callable[[], T], otherwise: T) -> T:
    """
    Return the result of `look` on one of the user's objects; `otherwise` if it raises.

    Properties, `__getattr__`, `__eq__`, `__str__` and the like are user code. Their errors must
    neither replace the error that is described nor end the run. Only KeyboardInterrupt passes: a
    person may have sent it.
    """
    try:
        return look()
    except KeyboardInterrupt:
        raise
    except BaseException:
        return otherwise


def text_of(value: object) -> str:
    """Return `str(value)` as a plain str; if it raises, the text that a traceback would show."""
    return asked(lambda: str.__str__(str(value)), "<exception str() failed>")


def shown(value: object, longest: int = sys.maxsize) -> str:
    """Return `repr(value)` as a plain str, cut if it is longer; if it raises, the type's name."""
    text = asked(lambda: str.__str__(repr(value)), f"<{type_name(value)}>")
    return text if len(text) <= longest else f"{text[:longest]}…"


def attribute(holder: object, name: str) -> object:
    """An attribute's value; None if there is none, or to look it up raises."""
    return asked(lambda: getattr(holder, name, None), None)


def type_name(value: object) -> str:
    """The qualified name of the value's class."""
    return asked(lambda: str.__str__(type(value).__qualname__), "object")


def is_a(error: BaseException | None, *kinds: type[BaseException]) -> bool:
    """Return whether `except` would take an error for one of these; none of its code runs."""
    return any(one is kind for kind in kinds for one in type(error).__mro__)
