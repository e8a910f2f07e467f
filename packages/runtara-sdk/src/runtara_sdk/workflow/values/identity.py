"""Identity: which function a saved name stands for, also after its module has moved."""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

_steps: defaultdict[str, set[str]] = defaultdict(set)
"""The qualified names of this process's steps, by the names that their keys begin with."""


class Nearness(IntEnum):
    """How much two qualified names have in common."""

    NOTHING = 0
    FUNCTION = 1  # the function's name and its class
    PATH = 2  # one dotted path is the end of the other
    ALL = 3


def qualified(function: Callable[..., Any]) -> str:
    """Return `module:function`, with the class of a method; the same if run as a script."""
    module = function.__module__
    if module == "__main__":
        module = _script() or module
    return f"{module}:{function.__qualname__}"


def nearness(one: str, other: str) -> Nearness:
    """Return how near two qualified names are."""
    if one == other:
        return Nearness.ALL
    short, long = sorted((_parts(one), _parts(other)), key=len)
    if long[-len(short) :] == short:
        return Nearness.PATH
    is_one = one.rpartition(":")[2] == other.rpartition(":")[2]
    return Nearness.FUNCTION if is_one else Nearness.NOTHING


def is_named(saved: str, names: Iterable[str]) -> bool:
    """Return whether the saved name is one of the names, or one is the end of the other."""
    return any(nearness(saved, name) >= Nearness.PATH for name in names)


@dataclass(frozen=True, slots=True)
class Identity:
    """
    A step's identity: the name that its keys begin with, its function, and its former names.

    `is_named`: the user gave the name, so it identifies the step even if its function is renamed.
    """

    name: str
    function: str
    was: tuple[str, ...] = ()
    is_named: bool = False

    def enter(self) -> None:
        """Add it to the known steps of this process."""
        _steps[self.name].add(self.function)

    def is_meant(self, saved: str | None) -> bool:
        """
        Return whether a call was saved by this step.

        Only matters if other steps of this process have the same name: then the saved function must
        be nearest to this step's.
        """
        others = _steps[self.name] - {self.function}
        if saved is None or self.is_named or not others or is_named(saved, self.was):
            return True
        own = nearness(saved, self.function)
        best = max(nearness(saved, other) for other in others)
        return own > best or own == best >= Nearness.PATH


def _parts(name: str) -> list[str]:
    return name.replace(":", ".").split(".")


def _script() -> str:
    """The name under which the module that runs as a script would be imported."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name).removesuffix(".__main__")
    return Path(getattr(main, "__file__", None) or "").stem
