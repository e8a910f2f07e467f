"""Queues, which bound the launches of the instances that are started in them."""

import re
from dataclasses import dataclass
from datetime import timedelta

from runtara_sdk.workflow.duration import duration

_RATE = re.compile(r"([1-9]\d{0,8})/(.+)\Z", re.DOTALL)
_LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Queue:
    """
    A queue, by its name: it bounds the instances that run at once, and the launches in a period.

    concurrency: the most running instances, over all workers and environments. per_worker: the most
    in each of them. rate: the most launches in a period, such as "100/1m". None: no bound. An
    instance has its slot from its launch to the launch's end, also while it waits in its process.
    Raises ValueError.
    """

    name: str
    concurrency: int | None = None
    rate: str | None = None
    per_worker: int | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("Queue(name): takes a name, got an empty one")
        for what, number in (("concurrency", self.concurrency), ("per_worker", self.per_worker)):
            if number is not None and not 1 <= number <= _LARGEST:
                raise ValueError(f"Queue({what}=): takes 1 or more, got {number}")
        if self.rate is not None:
            self._parsed(self.rate)

    @property
    def rate_limit(self) -> tuple[int, timedelta] | None:
        """The most launches and their period; None without a rate."""
        return None if self.rate is None else self._parsed(self.rate)

    @staticmethod
    def _parsed(rate: str) -> tuple[int, timedelta]:
        found = _RATE.match(rate)
        if found is None:
            raise ValueError(f'Queue(rate=): takes a number in a period, as "100/1m", got {rate!r}')
        return int(found[1]), duration("Queue(rate=)", found[2])
