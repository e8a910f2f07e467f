"""Plug-ins of other packages, found by entry points."""

from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Any


class PluginBroken(Exception):
    """An installed package's entry point can't be used: repair it, or uninstall the package."""

    def __init__(self, group: str, name: str, reason: str) -> None:
        super().__init__(
            f"The entry point {name!r} of {group} can't be used: {reason};"
            " repair its package, or uninstall it"
        )


def plugins(group: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the name and the object of each entry point of a group; raises PluginBroken."""
    for entry in entry_points(group=group):
        try:
            found = entry.load()
        except Exception as error:
            reason = f"{entry.value}: {type(error).__name__}: {error}"
            raise PluginBroken(group, entry.name, reason) from error
        yield entry.name, found
