"""What the steps of a test have done, and where the test holds them."""

import asyncio
from collections import Counter, defaultdict


class Probe:
    """
    Notes of one test's steps: texts seen, numbers, keys, counts, values made; and events that they
    wait for.

    `begun` counts steps that have begun to wait; `broken` names what fails.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all of it."""
        self.seen: list[str] = []
        self.asked: list[str] = []
        self.numbers: list[int] = []
        self.keys: set[str] = set()
        self.broken: set[str] = set()
        self.made: list[object] = []
        self.counts: Counter[str] = Counter()
        self.begun = asyncio.Semaphore(0)
        self.events: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)


probe = Probe()
"""The one that module-level steps and workflows write to; each test begins with a new one."""
