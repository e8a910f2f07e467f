"""Finds classes of errors by their saved names, also after they have moved."""

import importlib
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TypeVar, cast

E = TypeVar("E", bound=BaseException)


def class_name(kind: type) -> str:
    """Return the name that a class is saved under: with its module, unless it is built in."""
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def found(name: str, kinds: Sequence[type[E]]) -> type[E] | None:
    """
    Find the class of this name among these and their subclasses; None: there is none, or several.

    If the class is not imported yet, this imports its module. A class that has moved to another
    module is found by the rest of its name. A renamed class is found by its old name, if its module
    still has it under that name.
    """
    tree = _tree(kinds)
    exact = next((kind for kind in tree if class_name(kind) == name), None) or defined(name, kinds)
    if exact is not None:
        return exact
    ways: tuple[Callable[[type[E]], bool], ...] = (
        lambda kind: _is_end(class_name(kind), name),
        lambda kind: _is_end(kind.__qualname__, name),
        lambda kind: _is_alias(kind, name),
    )
    for is_it in ways:
        same = {kind for kind in tree if is_it(kind)}
        if same:
            return same.pop() if len(same) == 1 else None
    return None


def _tree(kinds: Sequence[type[E]]) -> list[type[E]]:
    tree = list(kinds)
    for kind in tree:
        tree += kind.__subclasses__()
    return tree


def defined(name: str, kinds: Sequence[type[E]]) -> type[E] | None:
    """Return the class with exactly this path, importing its module; None: there is none."""
    path = name.split(".") if "." in name else ["builtins", name]
    for number in range(len(path) - 1, 0, -1):
        try:
            module = importlib.import_module(".".join(path[:number]))
        except Exception:  # No such module, a class's name, or an error of the user's module.
            continue
        one = _within(module, path[number:])
        is_one = isinstance(one, type) and issubclass(one, tuple(kinds))
        return cast("type[E]", one) if is_one else None
    return None


def _within(module: ModuleType, path: Sequence[str]) -> object:
    found: object = module
    for part in path:
        found = getattr(found, part, None)
    return found


def _is_end(one: str, other: str) -> bool:
    """Return whether one dotted name is the end of the other."""
    short, long = sorted((one, other), key=len)
    return f".{long}".endswith(f".{short}")


def _is_alias(kind: type[E], name: str) -> bool:
    """Return whether a class's module has the class under this name, or an end of it."""
    module, path = sys.modules.get(kind.__module__), name.split(".")
    return module is not None and any(
        _within(module, path[number:]) is kind for number in range(len(path))
    )
