import pytest

from runtara_protocol.quic.budget import AHEAD
from runtara_protocol.quic.turns import OVERHEAD, Source, Turns

ADDRESS = ("127.0.0.1", 1)


def put(turns: Turns[Source], source: Source, times: int = 1, size: int = 1000) -> None:
    for _ in range(times):
        turns.put(source, bytes(size), ADDRESS)


def served(turns: Turns[Source], times: int, costs: dict[Source, float]) -> list[Source]:
    """Give out so many datagrams and charge their sources; tell whose they were."""
    order = []
    for _ in range(times):
        given = turns.take()
        assert given is not None
        order.append(given[0])
        turns.charge(given[0], costs[given[0]])
    return order


def test_a_newcomer_is_served_before_what_waits_of_others() -> None:
    """However much a source has waiting, another that comes after it waits for one datagram."""
    turns, upload, caller = Turns[Source](), Source(), Source()
    costs = {upload: 0.001, caller: 0.001}
    put(turns, upload, 500)
    served(turns, 10, costs)
    put(turns, caller)

    assert caller in served(turns, 2, costs)


def test_time_counts_and_not_datagrams() -> None:
    """A source whose datagrams take twenty times as long gets a twentieth as many of them in."""
    turns, costly, cheap = Turns[Source](), Source(), Source()
    put(turns, costly, 300)
    put(turns, cheap, 300)
    order = served(turns, 210, {costly: 0.020, cheap: 0.001})

    assert 8 <= order.count(costly) <= 12


def test_a_caller_goes_ahead_of_uploads() -> None:
    """Who has nothing more waiting is charged a part, so it isn't one among as many as upload."""
    turns, caller = Turns[Source](), Source()
    uploads = [Source() for _ in range(40)]
    costs = dict.fromkeys([*uploads, caller], 0.001)
    for upload in uploads:
        put(turns, upload, 100)
    served(turns, 80, costs)
    answered = 0
    for _ in range(400):
        if not caller.waiting:
            put(turns, caller)
        answered += served(turns, 1, costs)[0] is caller

    assert 30 <= answered <= 50


def test_rest_earns_no_claim() -> None:
    """A source that comes back after long has its share from now on, not what it left to others."""
    turns, busy, rested = Turns[Source](), Source(), Source()
    costs = {busy: 0.001, rested: 0.001}
    put(turns, busy, 600)
    served(turns, 300, costs)
    put(turns, rested, 100)
    order = served(turns, 100, costs)

    assert 45 <= order.count(rested) <= 55


def test_alone_a_source_has_all_the_time() -> None:
    """What it used before holds up nothing when nobody else waits."""
    turns, alone = Turns[Source](), Source()
    for _ in range(3):
        put(turns, alone, 5)
        assert served(turns, 5, {alone: 1.0}) == [alone] * 5
        assert turns.take() is None


def test_what_one_source_may_have_waiting_is_bounded() -> None:
    """What is over the bound is dropped and counted, and another's datagram is kept."""
    turns, greedy, other = Turns[Source](), Source(most=10 * (1000 + OVERHEAD)), Source()
    put(turns, greedy, 15)
    put(turns, other)

    assert len(greedy.waiting) == 11  # The one that is over it was the last to be let in.
    assert len(other.waiting) == 1
    assert turns.dropped == 4


def test_tiny_datagrams_are_bounded_in_number() -> None:
    """They are little to send and no less work: what waits is worked off in a moment."""
    turns, flood = Turns[Source](), Source()
    put(turns, flood, 5000, size=1)

    assert len(flood.waiting) < 3000


def test_dear_datagrams_wait_in_few_numbers() -> None:
    """What waits of one source takes half a second at most, so that it doesn't outlast its peer."""
    turns, dear, other = Turns[Source](), Source(), Source()
    for _ in range(100):
        dear.took(0.010)
    put(turns, dear, 200)
    put(turns, other, 200)

    assert 40 <= len(dear.waiting) <= 60
    assert len(other.waiting) == 200


def test_what_an_honest_client_may_be_ahead_waits_whole() -> None:
    """Its window, in datagrams of 1,200 bytes, of which 1,140 are its own."""
    turns, upload = Turns[Source](), Source()
    put(turns, upload, -(-AHEAD // 1140), size=1200)

    assert turns.dropped == 0


def test_over_the_bound_of_all_each_source_keeps_one() -> None:
    """However many sources flood, one that comes then has a place for its datagram."""
    turns = Turns[Source](most=20 * (1000 + OVERHEAD))
    flood = [Source() for _ in range(3)]
    for source in flood:
        put(turns, source, 30)
    late = Source()
    put(turns, late, 2)

    assert sum(len(one.waiting) for one in flood) <= 23
    assert len(late.waiting) == 1


def test_what_waits_of_a_source_that_is_gone_is_forgotten() -> None:
    """Its room is free again, and nobody is given its datagrams."""
    turns, gone, other = Turns[Source](), Source(), Source()
    put(turns, gone, 3)
    put(turns, other)
    turns.forget(gone)

    given = turns.take()
    assert given is not None
    assert given[0] is other
    assert turns.take() is None
    assert not turns


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_a_sources_datagrams_keep_their_order(order: tuple[int, ...]) -> None:
    turns, source = Turns[Source](), Source()
    for size in order:
        put(turns, source, size=size)

    assert [len(given[1]) for _ in order if (given := turns.take())] == list(order)
