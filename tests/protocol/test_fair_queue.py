import pytest

from runtara_protocol.quic.budget import AHEAD
from runtara_protocol.quic.fair_queue import OVERHEAD, FairQueue, Source

ADDRESS = ("127.0.0.1", 1)


def put(queue: FairQueue[Source], source: Source, times: int = 1, size: int = 1000) -> None:
    for _ in range(times):
        queue.put(source, bytes(size), ADDRESS)


def served(queue: FairQueue[Source], times: int, costs: dict[Source, float]) -> list[Source]:
    """Give out so many datagrams and charge their sources; tell whose they were."""
    order = []
    for _ in range(times):
        given = queue.take()
        assert given is not None
        order.append(given[0])
        queue.charge(given[0], costs[given[0]])
    return order


def test_a_newcomer_is_served_before_what_waits_of_others() -> None:
    """However much a source has waiting, another that comes after it waits for one datagram."""
    queue, upload, caller = FairQueue[Source](), Source(), Source()
    costs = {upload: 0.001, caller: 0.001}
    put(queue, upload, 500)
    served(queue, 10, costs)
    put(queue, caller)

    assert caller in served(queue, 2, costs)


def test_time_counts_and_not_datagrams() -> None:
    """A source whose datagrams take twenty times as long gets a twentieth as many of them in."""
    queue, costly, cheap = FairQueue[Source](), Source(), Source()
    put(queue, costly, 300)
    put(queue, cheap, 300)
    order = served(queue, 210, {costly: 0.020, cheap: 0.001})

    assert 8 <= order.count(costly) <= 12


def test_a_caller_goes_ahead_of_uploads() -> None:
    """A source with nothing more waiting is charged a part, so it is served before uploads."""
    queue, caller = FairQueue[Source](), Source()
    uploads = [Source() for _ in range(40)]
    costs = dict.fromkeys([*uploads, caller], 0.001)
    for upload in uploads:
        put(queue, upload, 100)
    served(queue, 80, costs)
    answered = 0
    for _ in range(400):
        if not caller.waiting:
            put(queue, caller)
        answered += served(queue, 1, costs)[0] is caller

    assert 30 <= answered <= 50


def test_rest_earns_no_claim() -> None:
    """A source that comes back after long has its share from now on, not what it left to others."""
    queue, busy, rested = FairQueue[Source](), Source(), Source()
    costs = {busy: 0.001, rested: 0.001}
    put(queue, busy, 600)
    served(queue, 300, costs)
    put(queue, rested, 100)
    order = served(queue, 100, costs)

    assert 45 <= order.count(rested) <= 55


def test_alone_a_source_has_all_the_time() -> None:
    """Its earlier use delays nothing when no other source waits."""
    queue, alone = FairQueue[Source](), Source()
    for _ in range(3):
        put(queue, alone, 5)
        assert served(queue, 5, {alone: 1.0}) == [alone] * 5
        assert queue.take() is None


def test_what_one_source_may_have_waiting_is_bounded() -> None:
    """What is over the bound is dropped and counted, and another's datagram is kept."""
    queue, greedy, other = FairQueue[Source](), Source(most=10 * (1000 + OVERHEAD)), Source()
    put(queue, greedy, 15)
    put(queue, other)

    assert len(greedy.waiting) == 11  # The one that is over it was the last to be let in.
    assert len(other.waiting) == 1
    assert queue.dropped == 4


def test_tiny_datagrams_are_bounded_in_number() -> None:
    """They are little to send and no less work: what waits is worked off in a moment."""
    queue, flood = FairQueue[Source](), Source()
    put(queue, flood, 5000, size=1)

    assert len(flood.waiting) < 3000


def test_dear_datagrams_wait_in_few_numbers() -> None:
    """What waits of one source takes half a second at most, so that it doesn't outlast its peer."""
    queue, dear, other = FairQueue[Source](), Source(), Source()
    for _ in range(100):
        dear.took(0.010)
    put(queue, dear, 200)
    put(queue, other, 200)

    assert 40 <= len(dear.waiting) <= 60
    assert len(other.waiting) == 200


def test_what_an_honest_client_may_be_ahead_waits_whole() -> None:
    """Its window, in datagrams of 1,200 bytes, of which 1,140 are its own."""
    queue, upload = FairQueue[Source](), Source()
    put(queue, upload, -(-AHEAD // 1140), size=1200)

    assert queue.dropped == 0


def test_over_the_bound_of_all_each_source_keeps_one() -> None:
    """However many sources flood, one that comes then has a place for its datagram."""
    queue = FairQueue[Source](most=20 * (1000 + OVERHEAD))
    flood = [Source() for _ in range(3)]
    for source in flood:
        put(queue, source, 30)
    late = Source()
    put(queue, late, 2)

    assert sum(len(one.waiting) for one in flood) <= 23
    assert len(late.waiting) == 1


def test_what_waits_of_a_source_that_is_gone_is_forgotten() -> None:
    """Its room is free again, and its datagrams are not given out."""
    queue, gone, other = FairQueue[Source](), Source(), Source()
    put(queue, gone, 3)
    put(queue, other)
    queue.forget(gone)

    given = queue.take()
    assert given is not None
    assert given[0] is other
    assert queue.take() is None
    assert not queue.waiting_bytes


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_a_sources_datagrams_keep_their_order(order: tuple[int, ...]) -> None:
    queue, source = FairQueue[Source](), Source()
    for size in order:
        put(queue, source, size=size)

    assert [len(given[1]) for _ in order if (given := queue.take())] == list(order)
