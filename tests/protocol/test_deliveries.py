"""Which connection is closed when clients leave too much unread."""

import pytest

from runtara_protocol.quic.delivery import (
    FLOOR,
    SLOW_AFTER,
    SLOW_RATE,
    STALLED_AFTER,
    Debt,
    Deliveries,
)

MIB = 1 << 20


class Client:
    """A client that takes as many bytes as the test says."""

    def __init__(self, room: "Room") -> None:
        self.debt = Debt()
        self.left = 0
        self.reason = ""
        self._room = room

    def sends(self, size: int) -> None:
        self.left += size
        self.debt.size += size
        self._room.deliveries.sent(size)

    def takes(self, size: int) -> None:
        self.left -= size

    def count_debt(self, now: float) -> None:
        self.debt.counted(self.left, now)

    def close(self, reason: str) -> None:
        self.reason = reason
        self._room.clients.remove(self)


class Room:
    """Ten MiB for all together, and five more for what can't be refused."""

    def __init__(self) -> None:
        self.now = 100.0
        self.clients: list[Client] = []
        self.deliveries = Deliveries(10 * MIB, 5 * MIB, self.clients, lambda: self.now)

    def client(self) -> Client:
        self.clients.append(Client(self))
        return self.clients[-1]

    def passes(self, seconds: float) -> None:
        """Let time pass as the listener's timer does."""
        for _ in range(round(seconds)):
            self.now += 1
            self.deliveries.expire()


@pytest.fixture
def room() -> Room:
    return Room()


def test_while_there_is_room_every_client_has_it(room: Room) -> None:
    greedy, other = room.client(), room.client()
    greedy.sends(10 * MIB)

    assert room.deliveries.has_room(greedy)
    assert room.deliveries.has_room(other)


def test_the_greatest_of_the_slow_ones_goes_for_one_below_its_share(room: Room) -> None:
    greatest, great, other = room.client(), room.client(), room.client()
    greatest.sends(6 * MIB)
    great.sends(5 * MIB)
    room.passes(SLOW_AFTER + 2)

    assert room.deliveries.has_room(other)
    assert "too slowly" in greatest.reason
    assert (great.reason, other.reason) == ("", "")


def test_one_above_its_share_is_refused(room: Room) -> None:
    greedy, slow = room.client(), room.client()
    greedy.sends(6 * MIB)
    slow.sends(5 * MIB)
    room.passes(SLOW_AFTER + 2)

    assert not room.deliveries.has_room(greedy)
    assert slow.reason == ""


def test_no_client_that_reads_is_closed(room: Room) -> None:
    """Honest clients that fetch much together wait for each other."""
    readers, other = [room.client(), room.client()], room.client()
    for each in readers:
        each.sends(7 * MIB)
    for _ in range(20):
        for each in readers:
            each.takes(SLOW_RATE)
        room.passes(1)

    assert not room.deliveries.has_room(other)
    assert [each.reason for each in readers] == ["", ""]
    for each in readers:
        each.takes(3 * MIB)
    room.passes(1)
    assert room.deliveries.has_room(other)


def test_a_trickle_is_slow(room: Room) -> None:
    trickling, other = room.client(), room.client()
    trickling.sends(11 * MIB)
    for _ in range(5):
        trickling.takes(1200)
        room.passes(1)

    assert room.deliveries.has_room(other)
    assert "too slowly" in trickling.reason


def test_what_cannot_be_refused_is_sent_and_the_greatest_debtor_goes(room: Room) -> None:
    """Its speed doesn't matter: the bound holds."""
    greatest, other = room.client(), room.client()
    greatest.sends(9 * MIB)
    other.sends(5 * MIB)
    assert greatest.reason == ""
    other.sends(2 * MIB)

    assert "too many bytes unread" in greatest.reason
    assert room.deliveries.has_room(other)


@pytest.mark.parametrize("left", [FLOOR + 1, MIB])
def test_one_that_takes_nothing_for_thirty_seconds_is_closed(room: Room, left: int) -> None:
    stalled, reading = room.client(), room.client()
    stalled.sends(left)
    reading.sends(left)
    for _ in range(round(STALLED_AFTER)):
        reading.takes(1)
        reading.sends(1)
        room.passes(1)
    assert stalled.reason == ""
    room.passes(2)

    assert "read nothing" in stalled.reason
    assert reading.reason == ""


def test_a_little_may_be_left_for_long(room: Room) -> None:
    """A process that stands in a debugger comes back to its connection."""
    idle = room.client()
    idle.sends(FLOOR)
    room.passes(10 * STALLED_AFTER)

    assert idle.reason == ""


def test_the_time_of_one_that_took_everything_begins_anew(room: Room) -> None:
    client = room.client()
    client.sends(MIB)
    client.takes(MIB)
    room.passes(2 * STALLED_AFTER)
    client.sends(MIB)
    room.passes(STALLED_AFTER - 1)

    assert client.reason == ""
