"""Identity: which function a saved name stands for, wherever its module lies by now."""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

_steps: defaultdict[str, set[str]] = defaultdict(set)
"""The qualified names of all steps of this process, by the name that their keys are made of."""


class Nearness(IntEnum):
    """How much of two qualified names is the same."""

    NOTHING = 0
    FUNCTION = 1  # and its class
    PATH = 2  # one dotted path is the other's end
    ALL = 3


def qualified(function: Callable[..., Any]) -> str:
    """Give `module:function`, with its class if it has one; the same when it runs as a script."""
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
    """Return whether one of the names, perhaps less than its whole path, is the saved one."""
    return any(nearness(saved, name) >= Nearness.PATH for name in names)


@dataclass(frozen=True, slots=True)
class Identity:
    """
    A step's: the name that its keys are made of, its function, and names that it had before.

    `is_named`: the name was given, so that it stands for the step whatever its function is.
    """

    name: str
    function: str
    was: tuple[str, ...] = ()
    is_named: bool = False

    def enter(self) -> None:
        """Let it be known among the steps of this process."""
        _steps[self.name].add(self.function)

    def is_meant(self, saved: str | None) -> bool:
        """
        Return whether a call was saved by this step.

        That is asked only where others of this process have its name: it must be the nearest then.
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
    """What the module that was run as a script is called where it is imported."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name).removesuffix(".__main__")
    return Path(getattr(main, "__file__", None) or "").stem
