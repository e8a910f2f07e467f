"""A queue that decides whose datagrams are processed next: peers get equal shares of CPU time."""

from collections import deque
from heapq import heappop, heappush, heapreplace
from itertools import count
from typing import Generic, TypeVar

Address = tuple[str, int] | tuple[str, int, int, int]

# A little more than the credit of one connection, so that a client within it loses no datagram.
WAITING_EACH = 704 * 1024
WAITING = 32 << 20
# The memory that a waiting datagram takes besides its bytes. Counting it bounds the number of tiny
# datagrams, and the time that the server spends on them after their peer has left.
OVERHEAD = 256
# The waiting datagrams of one source take at most this many seconds of work.
BACKLOG = 0.5
# The weight of one datagram in the average. It is small, because the system may stop this process
# while a datagram is processed.
SMOOTHING = 1 / 32
# A client that waits for each answer uses less than its share. Without this factor each of its
# calls would wait until one datagram of every busy client is processed.
LIGHT = 4


class Source:
    """A peer, or a group of peers, whose datagrams wait to be processed."""

    def __init__(self, most: int = WAITING_EACH, backlog: float = BACKLOG) -> None:
        self.waiting: deque[tuple[bytes, Address]] = deque()
        self.waiting_bytes = 0
        self.most_waiting = most
        self.most_backlog = backlog
        # The average number of seconds that one of its datagrams takes.
        self.cost = 0.0
        # Its seconds of work so far. After a rest it is raised to the level of the other sources.
        self.used = 0.0

    @property
    def is_full(self) -> bool:
        """Return whether its waiting datagrams take too much memory or too much time."""
        backlog = self.cost * len(self.waiting)
        return self.waiting_bytes > self.most_waiting or backlog > self.most_backlog

    def took(self, seconds: float) -> None:
        """Add the time of one datagram to the average cost."""
        self.cost += (seconds - self.cost) * SMOOTHING


SourceT = TypeVar("SourceT", bound=Source)


class FairQueue(Generic[SourceT]):
    """
    The waiting datagrams of all sources, in an order that gives each source the same CPU time.

    The next datagram is always of the source that has used the least time. A source that comes back
    from a rest starts at the level of the others: it gets no credit for time that it didn't use.
    A datagram beyond a bound is dropped, as any busy hop of the network would drop it.
    """

    def __init__(self, most: int = WAITING) -> None:
        self.dropped = 0
        # 0 if no datagram waits.
        self.waiting_bytes = 0
        self._most = most
        self._level = 0.0
        self._order = count()
        # Ordered by used time. The entry of a source that was charged since is corrected when it
        # comes first.
        self._queue: list[tuple[float, int, SourceT]] = []

    @property
    def is_shared(self) -> bool:
        """Return whether more than one source waits."""
        return len(self._queue) > 1

    def put(self, source: SourceT, data: bytes, address: Address) -> None:
        """
        Queue a datagram.

        It is dropped if its source has too many waiting, or if all sources together have too many
        and its source has any.
        """
        size = len(data) + OVERHEAD
        if source.waiting:
            if source.is_full or self.waiting_bytes > self._most:
                self.dropped += 1
                return
        else:
            source.used = max(source.used, self._level)
            heappush(self._queue, (source.used, next(self._order), source))
        source.waiting.append((data, address))
        source.waiting_bytes += size
        self.waiting_bytes += size

    def charge(self, source: SourceT, seconds: float) -> None:
        """Charge a source for work: in full if more of its datagrams wait, else in part."""
        source.used += seconds if source.waiting else seconds / LIGHT

    def take(self) -> tuple[SourceT, bytes, Address] | None:
        """Return the next datagram; None if none waits."""
        queue = self._queue
        while queue:
            used, order, source = queue[0]
            if not source.waiting:
                heappop(queue)
            elif used < source.used:
                heapreplace(queue, (source.used, order, source))
            else:
                return self._given(source)
        return None

    def forget(self, source: SourceT) -> None:
        """Drop the waiting datagrams of a source that is gone."""
        self.waiting_bytes -= source.waiting_bytes
        source.waiting_bytes = 0
        source.waiting.clear()

    def _given(self, source: SourceT) -> tuple[SourceT, bytes, Address]:
        self._level = source.used
        data, address = source.waiting.popleft()
        if not source.waiting:
            heappop(self._queue)
        size = len(data) + OVERHEAD
        source.waiting_bytes -= size
        self.waiting_bytes -= size
        return source, data, address
