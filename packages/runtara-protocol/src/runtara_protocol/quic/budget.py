"""Bounds on the request bytes that the server holds: for each connection, and for all together."""

from typing import Protocol

from aioquic.quic.packet import QuicFrameType

# How many bytes a client may send beyond the bytes that have arrived. No budget counts these bytes,
# so a small request never waits for another client's large request.
AHEAD = 512 * 1024
# A client with less credit left than this has to wait for more.
MARGIN = 64 * 1024


class BudgetUser(Protocol):
    """A connection that holds, or needs, more bytes than its floor."""

    def shed(self, *, keep: int) -> bool:
        """Refuse its youngest half-received stream if it has more than `keep` such streams."""
        ...

    def relieve(self) -> None:
        """Ask for more bytes again."""
        ...


class Pool:
    """The bytes that all connections together may hold beyond their floors."""

    def __init__(self, size: int) -> None:
        self._free = size
        # In the order of their claims: the youngest claimant is refused first.
        self._claimants: dict[BudgetUser, None] = {}
        self._starved: dict[BudgetUser, None] = {}

    def take(self, claimant: BudgetUser, size: int) -> bool:
        """Take this many bytes if they are free; else call `relieve` when some come back."""
        self._claimants.setdefault(claimant)
        if size > self._free:
            self._starved.setdefault(claimant)
            return False
        self._free -= size
        return True

    def give(self, size: int) -> None:
        """Put bytes back, and let the connections that wait for bytes try again."""
        self._free += size
        starved, self._starved = self._starved, {}
        for claimant in starved:
            claimant.relieve()

    def forget(self, claimant: BudgetUser) -> None:
        """Drop the claim of a connection that holds no bytes of the pool any more."""
        self._claimants.pop(claimant, None)
        self._starved.pop(claimant, None)

    def make_room(self, asker: BudgetUser) -> None:
        """
        Refuse one half-received stream of the youngest claimant that has one.

        An asker that is the oldest claimant refuses none of its own.
        """
        oldest = next(iter(self._claimants))
        for claimant in reversed(self._claimants):
            if claimant is asker is oldest or claimant.shed(keep=0):
                return


class ReceiveWindow:
    """
    One connection's limit of data. It replaces aioquic's limit, which doubles as data arrives.

    The client may send `AHEAD` bytes beyond the received bytes, on two conditions: the bytes that
    are received and not yet released stay under the ceiling, and the pool has room for them.
    """

    def __init__(self, claimant: BudgetUser, pool: Pool, ceiling: int) -> None:
        self.frame_type = QuicFrameType.MAX_DATA
        self.name = "max_data"
        self.used = 0
        self.sent = AHEAD
        self._claimant = claimant
        self._pool = pool
        self._ceiling = ceiling
        self._pooled = 0
        self._has_claim = False
        self._released = 0
        self._granted = AHEAD

    @property
    def value(self) -> int:
        """The offset up to which the client may send."""
        return self._granted

    @value.setter
    def value(self, doubled: int) -> None:
        """Ignore aioquic's doubling."""

    @property
    def held(self) -> int:
        """The number of bytes that were received and not yet released."""
        return self.used - self._released

    @property
    def is_low(self) -> bool:
        """Return whether the client should soon get more credit."""
        return self._granted - self.used < AHEAD // 2

    @property
    def is_exhausted(self) -> bool:
        """Return whether the client has to wait for more credit."""
        return self._granted - self.used < MARGIN

    @property
    def is_widest(self) -> bool:
        """Return whether the connection holds as much as one connection may."""
        return self._granted - self._released >= self._ceiling

    def advance(self) -> bool:
        """Give the client more credit; False if the ceiling or the pool forbids it."""
        wanted = self.held - AHEAD - self._pooled
        if wanted > 0:
            self._has_claim = True
            if not self._pool.take(self._claimant, wanted):
                return False
            self._pooled += wanted
        granted = min(self.used + AHEAD, self._released + self._ceiling)
        has_more = granted > self._granted
        self._granted = max(granted, self._granted)
        return has_more

    def release(self, size: int) -> None:
        """Release this many received bytes, and their part of the pool."""
        self._released += size
        if self._has_claim:
            self._give_back(self._pooled - max(0, self.held - AHEAD))

    def abandon(self) -> None:
        """Give all bytes of the pool back: the connection is gone."""
        self._give_back(self._pooled)
        del self._claimant

    def _give_back(self, size: int) -> None:
        if size > 0:
            self._pooled -= size
            self._pool.give(size)
        if not self._pooled:
            self._has_claim = False
            self._pool.forget(self._claimant)
