"""How much clients can make the server hold: each connection, and all of them together."""

from typing import Protocol

from aioquic.quic.packet import QuicFrameType

# How far ahead of what has come a client may send; no budget counts it, so small requests never
# wait for others' large ones.
AHEAD = 512 * 1024
# A client may leave this much of its allowance unused and still wait for more.
MARGIN = 64 * 1024


class BudgetUser(Protocol):
    """A connection that holds, or wants, more than the floor."""

    def shed(self, *, keep: int) -> bool:
        """Refuse its youngest half-received stream if it has more than `keep`."""
        ...

    def relieve(self) -> None:
        """Try again to grow."""
        ...


class Pool:
    """What all connections together may have beyond their floors."""

    def __init__(self, size: int) -> None:
        self._free = size
        # In the order of their claims: of two, the younger is refused.
        self._claimants: dict[BudgetUser, None] = {}
        self._starved: dict[BudgetUser, None] = {}

    def take(self, claimant: BudgetUser, size: int) -> bool:
        """Take this many bytes if they are free; else call the claimant when some come back."""
        self._claimants.setdefault(claimant)
        if size > self._free:
            self._starved.setdefault(claimant)
            return False
        self._free -= size
        return True

    def give(self, size: int) -> None:
        """Put it back, and let the waiting requests try again."""
        self._free += size
        starved, self._starved = self._starved, {}
        for claimant in starved:
            claimant.relieve()

    def forget(self, claimant: BudgetUser) -> None:
        """Drop the claim of a holder that has nothing of the pool any more."""
        self._claimants.pop(claimant, None)
        self._starved.pop(claimant, None)

    def make_room(self, asker: BudgetUser) -> None:
        """Refuse one half-received stream, of the youngest claimant; never of the oldest asker."""
        oldest = next(iter(self._claimants))
        for claimant in reversed(self._claimants):
            if claimant is asker is oldest or claimant.shed(keep=0):
                return


class ReceiveWindow:
    """
    One connection's limit of data, in place of aioquic's, which doubles with what is received.

    The client may send a little ahead of what has come, as long as what was received and not yet
    released stays under the ceiling, and the pool has room for it.
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
        """How many bytes were received and not yet released."""
        return self.used - self._released

    @property
    def is_low(self) -> bool:
        """Return whether the client should soon be given more."""
        return self._granted - self.used < AHEAD // 2

    @property
    def is_exhausted(self) -> bool:
        """Return whether the client has to wait for more."""
        return self._granted - self.used < MARGIN

    @property
    def is_widest(self) -> bool:
        """Return whether it holds all that one connection may."""
        return self._granted - self._released >= self._ceiling

    def advance(self) -> bool:
        """Let the client send on; False if the ceiling or the pool forbids it."""
        wanted = self.held - AHEAD - self._pooled
        if wanted > 0:
            if not self._pool.take(self._claimant, wanted):
                return False
            self._pooled += wanted
        granted = min(self.used + AHEAD, self._released + self._ceiling)
        has_more = granted > self._granted
        self._granted = max(granted, self._granted)
        return has_more

    def release(self, size: int) -> None:
        """Let go of so many bytes that were received, and of their part of the pool."""
        self._released += size
        self._give_back(self._pooled - max(0, self.held - AHEAD))

    def abandon(self) -> None:
        """Give all back: the connection is gone, and nothing is asked of this any more."""
        self._give_back(self._pooled)
        self._pool.forget(self._claimant)
        del self._claimant

    def _give_back(self, size: int) -> None:
        if size > 0:
            self._pooled -= size
            self._pool.give(size)
        if not self._pooled:
            self._pool.forget(self._claimant)
