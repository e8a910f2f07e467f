"""How many children begin at once."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from runtara.core import Order, nothing

_FEWEST = 2
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def places(quota: Path = _QUOTA) -> int:
    """Return how many children may begin at once: as many as this process has CPUs, at least 2."""
    if hasattr(os, "sched_getaffinity"):
        cpus = len(os.sched_getaffinity(0))
    else:
        cpus = os.cpu_count() or _FEWEST
    # No such file: another system, or version 1 of control groups. "max": no limit.
    with suppress(OSError, ValueError):
        allowed, period = quota.read_text().split()
        cpus = min(cpus, -(-int(allowed) // int(period)))
    return max(cpus, _FEWEST)


class Starts:
    """
    Lets at most `most` orders begin at once; the one that has waited longest is next.

    begin: called with each order when its turn has come. An order holds its place from then until
    `has_begun` is called for it.
    """

    def __init__(self, most: int, begin: Callable[[Order], None]) -> None:
        self._most, self._begin = most, begin
        self._waiting: dict[str, tuple[Order, Callable[[], None]]] = {}
        self._beginning: set[str] = set()

    def __contains__(self, launch_id: str) -> bool:
        """Whether an order waits for its turn."""
        return launch_id in self._waiting

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, order: Order, begun: Callable[[], None] = nothing) -> None:
        """Begin an order now, or when those before it have begun; `begun` is called then."""
        self._waiting[order.launch_id] = order, begun
        self._go_on()

    def remove(self, launch_id: str) -> bool:
        """Let an order that waits never begin; return whether it waited."""
        return self._waiting.pop(launch_id, None) is not None

    def clear(self) -> None:
        """Let none of the orders that wait begin."""
        self._waiting.clear()

    def has_begun(self, launch_id: str) -> None:
        """Free the place of an order whose child runs it, or has ended."""
        self._beginning.discard(launch_id)
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting and len(self._beginning) < self._most:
            launch_id = next(iter(self._waiting))
            order, begun = self._waiting.pop(launch_id)
            self._beginning.add(launch_id)
            self._begin(order)
            begun()
