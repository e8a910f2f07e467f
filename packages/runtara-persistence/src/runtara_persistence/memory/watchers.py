"""The watchers of signals and of what may be launched, in this process alone."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

_Changed = Callable[[Collection[str]], None]
_Launchable = Callable[[], None]


class Watchers:
    """The callbacks of all open watches; a step that changes something calls them at once."""

    def __init__(self) -> None:
        self._watches: list[tuple[_Changed, _Launchable | None]] = []

    @contextmanager
    def watching(self, changed: _Changed, launchable: _Launchable | None) -> Iterator[None]:
        """Call both callbacks during the block; the same callbacks may watch twice."""
        watch = (changed, launchable)
        self._watches.append(watch)
        try:
            yield
        finally:
            self._watches.remove(watch)

    def tell(self, instance_id: str) -> None:
        """Call the watches for a new signal of the instance."""
        for changed, _ in list(self._watches):
            changed([instance_id])

    def tell_launchable(self) -> None:
        """Call the watches because an instance may have become launchable."""
        for _, launchable in list(self._watches):
            if launchable is not None:
                launchable()
