"""Callbacks of an event, for as long as a block runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Listeners:
    """
    The callbacks of one kind of event; none may block or raise.

    count: how often the event has happened.
    """

    def __init__(self) -> None:
        self._calls: list[Callable[[], None]] = []
        self.count = 0

    @contextmanager
    def calling(self, call: Callable[[], None]) -> Iterator[None]:
        """Call this function at each event within the block."""
        self._calls.append(call)
        try:
            yield
        finally:
            self._calls.remove(call)

    @property
    def is_empty(self) -> bool:
        """Whether no function is called."""
        return not self._calls

    def tell(self) -> None:
        """Call all functions, because the event has happened."""
        self.count += 1
        for call in list(self._calls):
            call()
