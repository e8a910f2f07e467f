"""Which peer's datagrams are taken in next: peers share the processor's time equally."""

from collections import deque
from heapq import heappop, heappush, heapreplace
from itertools import count
from typing import Generic, TypeVar

Address = tuple[str, int] | tuple[str, int, int, int]

# A little more than one connection may be sent ahead, so that no honest burst is cut.
WAITING_EACH = 704 * 1024
WAITING = 32 << 20
# What a datagram that waits takes beside its bytes: tiny ones are bounded by it, in number and in
# the time that they keep the server at work when their peer has long left.
OVERHEAD = 256
# What waits of one source is worked off in so many seconds, though its peer has left by then.
BACKLOG = 0.5
# One datagram counts so little, because the system may stop this process while it is taken in.
SMOOTHING = 1 / 32
# A client that waits for each answer has less waiting than its share: without this, each of its
# calls would wait for a datagram of each client that sends without a pause.
LIGHT = 4


class Source:
    """A peer, or a kind of peers, whose datagrams wait to be taken in."""

    def __init__(self, most: int = WAITING_EACH, backlog: float = BACKLOG) -> None:
        self.waiting: deque[tuple[bytes, Address]] = deque()
        self.waiting_bytes = 0
        self.most_waiting = most
        self.most_backlog = backlog
        # Seconds that one of its datagrams takes.
        self.cost = 0.0
        # Seconds of work it has had, or was credited with when it came back from a rest.
        self.used = 0.0

    @property
    def is_full(self) -> bool:
        """Return whether more than waits already would take too much room, or too long."""
        backlog = self.cost * len(self.waiting)
        return self.waiting_bytes > self.most_waiting or backlog > self.most_backlog

    def took(self, seconds: float) -> None:
        """Learn from how long one of its datagrams took."""
        self.cost += (seconds - self.cost) * SMOOTHING


SourceT = TypeVar("SourceT", bound=Source)


class FairQueue(Generic[SourceT]):
    """
    The datagrams of all sources, given out so that each source has the same time as any other.

    Next is always the source that has used least. A source that rested is set level with those at
    work: it has no claim to the time that it didn't want, so it is served at once, and then in
    its order. A datagram over a bound is dropped, as it would be at any other hop that is too busy.
    """

    def __init__(self, most: int = WAITING) -> None:
        self.dropped = 0
        self._most = most
        self._bytes = 0
        self._level = 0.0
        self._order = count()
        # By use. An entry whose source has been charged since is put right when it comes up.
        self._queue: list[tuple[float, int, SourceT]] = []

    @property
    def is_shared(self) -> bool:
        """Return whether more than one source waits."""
        return len(self._queue) > 1

    def put(self, source: SourceT, data: bytes, address: Address) -> None:
        """Let it wait; dropped if the source has too much waiting, or all have and it has any."""
        size = len(data) + OVERHEAD
        if source.waiting:
            if source.is_full or self._bytes > self._most:
                self.dropped += 1
                return
        else:
            source.used = max(source.used, self._level)
            heappush(self._queue, (source.used, next(self._order), source))
        source.waiting.append((data, address))
        source.waiting_bytes += size
        self._bytes += size

    def charge(self, source: SourceT, seconds: float) -> None:
        """Count so much work as this source's: in full only if more of it waits."""
        source.used += seconds if source.waiting else seconds / LIGHT

    def take(self) -> tuple[SourceT, bytes, Address] | None:
        """Give out the next datagram; None if none waits."""
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
        """Drop what waits of a source that is gone."""
        self._bytes -= source.waiting_bytes
        source.waiting_bytes = 0
        source.waiting.clear()

    def __bool__(self) -> bool:
        return self._bytes > 0

    def _given(self, source: SourceT) -> tuple[SourceT, bytes, Address]:
        self._level = source.used
        data, address = source.waiting.popleft()
        if not source.waiting:
            heappop(self._queue)
        size = len(data) + OVERHEAD
        source.waiting_bytes -= size
        self._bytes -= size
        return source, data, address
