"""The bound on unacknowledged data, and which connection is closed when it is exceeded."""

import logging
from collections.abc import Callable, Iterable
from typing import Protocol

logger = logging.getLogger(__name__)

FLOOR = 64 * 1024
"""Bytes that a client may leave unread for as long as it likes."""

STALLED_AFTER = 30.0
"""After so many seconds a client that reads none of its waiting data is closed."""

SLOW_AFTER = 2.0
SLOW_RATE = 64 * 1024
"""A client is slow if it read fewer bytes a second than SLOW_RATE for SLOW_AFTER seconds."""

_SPAN = 1.0
_PAUSE = 0.1
"""Seconds between two counts of all data when there is no room: a count reads every stream."""


class Debt:
    """
    The unread bytes of one client, and its speed; times in seconds, by one clock.

    size: an upper bound of the bytes. It is exact after `counted`, and only grows until the next.
    """

    __slots__ = ("_counted", "_fast_at", "_since", "_taken", "_took_at", "size")

    def __init__(self) -> None:
        self.size = 0
        self._counted = 0
        self._took_at = self._fast_at = self._since = 0.0
        self._taken = 0

    def counted(self, size: int, now: float) -> None:
        """Set the exact number of bytes."""
        taken = self.size - size
        if taken or not self._counted:
            self._took_at = now
        if not self._counted:
            self._begin(now)
        self._taken += taken
        if now - self._since >= _SPAN:
            if self._taken >= SLOW_RATE * (now - self._since):
                self._fast_at = now
            self._taken, self._since = 0, now
        self.size = self._counted = size

    def is_slow(self, now: float) -> bool:
        """Return whether the client read too little lately."""
        return self._counted > 0 and now - self._fast_at >= SLOW_AFTER

    def is_stalled(self, now: float) -> bool:
        """Return whether the client read nothing for too long."""
        return self._counted > FLOOR and now - self._took_at >= STALLED_AFTER

    def _begin(self, now: float) -> None:
        self._fast_at = self._since = now
        self._taken = 0


class Debtor(Protocol):
    """A connection that may leave sent data unread."""

    debt: Debt

    def count_debt(self, now: float) -> None:
        """Count the waiting bytes anew."""
        ...

    def close(self, reason: str) -> None:
        """Give up all waiting data."""
        ...


class Deliveries:
    """
    The unread bytes of all clients together, bounded by closing the connections with the most.

    most: while there are at most so many unread bytes, any answer may be sent. Beyond that, a large
    answer has room only if its connection has less than a fair share: then the largest slow
    connection with more than a fair share is closed. Small answers are always sent. If small
    answers, or data that can't be refused, exceed `most` by `excess`, the largest connection is
    closed, even if it is fast. clock: in seconds.
    """

    def __init__(
        self, most: int, excess: int, debtors: Iterable[Debtor], clock: Callable[[], float]
    ) -> None:
        self._most = most
        self._excess = excess
        self._debtors = debtors
        self._clock = clock
        self._total = 0
        self._counted_at = 0.0

    def sent(self, size: int) -> None:
        """Count this many bytes as unread; beyond the bound close the largest connections."""
        self._total += size
        if self._total > self._most + self._excess:
            self._count(self._clock())
            while self._total > self._most + self._excess:
                self._close(max(self._debtors, key=_size), "left too many bytes unread")

    def has_room(self, asker: Debtor) -> bool:
        """Return whether a large answer may be sent; a slow connection may be closed for it."""
        now = self._clock()
        if self._total > self._most and now >= self._counted_at + _PAUSE:
            self._count(now)
        if self._total <= self._most:
            return True
        debtors = [each for each in self._debtors if each.debt.size]
        share = self._most // (len(debtors) + 1)
        slow = [each for each in debtors if each.debt.size > share and each.debt.is_slow(now)]
        if asker.debt.size > share or not slow:
            return False
        self._close(max(slow, key=_size), "read too slowly while other answers waited for room")
        return True

    def expire(self) -> None:
        """Close connections whose clients read nothing; call this about once a second."""
        now = self._clock()
        self._count(now)
        for debtor in [each for each in self._debtors if each.debt.is_stalled(now)]:
            self._close(debtor, "read nothing of its answers for too long")

    def _count(self, now: float) -> None:
        self._counted_at = now
        self._total = 0
        for debtor in self._debtors:
            if debtor.debt.size:
                debtor.count_debt(now)
                self._total += debtor.debt.size

    def _close(self, debtor: Debtor, reason: str) -> None:
        size = debtor.debt.size
        logger.warning("client disconnected: it %s", reason, extra={"undelivered": size})
        self._total -= size
        debtor.close(f"the client {reason}")


def _size(debtor: Debtor) -> int:
    return debtor.debt.size
