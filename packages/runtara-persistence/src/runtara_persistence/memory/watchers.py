"""The watchers of signals and of what may be launched, in this process alone."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

_Changed = Callable[[Collection[str]], None]
_Launchable = Callable[[], None]


class Watchers:
    """The callbacks of the watches that run, called at once by the step that has news."""

    def __init__(self) -> None:
        self._watches: list[tuple[_Changed, _Launchable | None]] = []

    @contextmanager
    def watching(self, changed: _Changed, launchable: _Launchable | None) -> Iterator[None]:
        """Call both for the time of the block; the same callbacks may watch twice."""
        watch = (changed, launchable)
        self._watches.append(watch)
        try:
            yield
        finally:
            self._watches.remove(watch)

    def tell(self, instance_id: str) -> None:
        """Say that a signal for the instance was put in."""
        for changed, _ in list(self._watches):
            changed([instance_id])

    def tell_launchable(self) -> None:
        """Say that there may be something to launch."""
        for _, launchable in list(self._watches):
            if launchable is not None:
                launchable()
