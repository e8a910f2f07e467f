"""Calls that are made when something happens, for as long as a block runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Listeners:
    """Those that want to hear of one kind of event; their calls may neither block nor raise."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], None]] = []

    @contextmanager
    def told(self, call: Callable[[], None]) -> Iterator[None]:
        """Make this call for each event within the block."""
        self._calls.append(call)
        try:
            yield
        finally:
            self._calls.remove(call)

    def tell(self) -> None:
        """Make all calls: it has happened."""
        for call in list(self._calls):
            call()
