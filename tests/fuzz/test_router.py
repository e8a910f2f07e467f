"""Whatever a request frame holds: an answer, or a MalformedRequest, and never a bug."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.requests import VALID, answers, is_bug

from runtara_protocol.pb import instance_pb2 as pb

# A machine that does much else must not fail for slowness.
unhurried = settings(deadline=None)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Give a valid request with some of its bytes changed, dropped, doubled or added."""
    data = bytearray(draw(st.sampled_from(VALID)))
    changes = st.lists(
        st.tuples(st.integers(0, 200), st.integers(0, 255), st.sampled_from("sdix")), max_size=6
    )
    for place, value, way in draw(changes):
        at = place % (len(data) + 1)
        match way:
            case "s" if at < len(data):
                data[at] = value
            case "d":
                del data[at : at + 1 + value % 4]
            case "i":
                data.insert(at, value)
            case _:
                data[at:at] = data[at : at + 8]
    return bytes(data)


@unhurried
@given(st.lists(st.binary(max_size=64), min_size=1, max_size=8))
def test_any_bytes_are_answered_or_malformed(payloads: list[bytes]) -> None:
    assert not any(is_bug(response) for response in answers(*payloads))


@unhurried
@given(st.lists(mutated(), min_size=1, max_size=8))
def test_any_change_to_a_request_is_answered_or_malformed(payloads: list[bytes]) -> None:
    assert not any(is_bug(response) for response in answers(*payloads))


TEXTS = st.one_of(st.text(max_size=12), st.sampled_from(["i-1", "c-1", "\0", "x" * 1025]))
NUMBERS = st.one_of(st.integers(0, 8), st.sampled_from([2**31 - 1]))
BIG = st.sampled_from([0, 1, 2**31, 2**63 - 1])


@unhurried
@given(
    events=st.lists(
        st.builds(
            pb.InstanceEvent,
            instance_id=TEXTS,
            event_type=NUMBERS,
            checkpoint_id=st.none() | TEXTS,
            payload=st.binary(max_size=8),
            timestamp_ms=BIG | BIG.map(lambda number: -number),
            subtype=st.none() | TEXTS,
        ),
        max_size=6,
    )
)
def test_any_values_of_events_are_answered(events: list[pb.InstanceEvent]) -> None:
    batch = pb.RpcRequest(instance_event_batch=pb.InstanceEventBatch(events=events))
    singles = [pb.RpcRequest(instance_event=event) for event in events]

    found = answers(*(one.SerializeToString() for one in (batch, *singles)))

    assert not any(is_bug(response) for response in found)
    assert all(response is not None for response in found[1:])


@unhurried
@given(
    sleep=st.builds(
        pb.SleepRequest,
        instance_id=TEXTS,
        checkpoint_id=TEXTS,
        duration_ms=BIG | st.just(2**64 - 1),
        keep_running=st.booleans(),
    ),
    attempt=st.builds(
        pb.RetryAttemptEvent,
        instance_id=TEXTS,
        checkpoint_id=TEXTS,
        attempt_number=st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**32 - 1]),
        timestamp_ms=BIG | BIG.map(lambda number: -number),
        error_message=st.none() | TEXTS,
    ),
    page=st.builds(
        pb.ListCheckpointsRequest,
        instance_id=TEXTS,
        after_id=BIG | st.just(-(2**63)),
        limit=st.sampled_from([0, 1, 1000, 1001, 2**32 - 1]),
    ),
    poll=st.builds(
        pb.PollSignalsRequest,
        instance_id=TEXTS,
        checkpoint_id=st.none() | TEXTS,
        wait_ms=st.sampled_from([0, 1, 60_000, 60_001, 2**32 - 1]),
    ),
    ack=st.builds(pb.SignalAck, instance_id=TEXTS, signal_type=NUMBERS, acknowledged=st.booleans()),
)
def test_any_values_of_the_others_are_answered(
    sleep: pb.SleepRequest,
    attempt: pb.RetryAttemptEvent,
    page: pb.ListCheckpointsRequest,
    poll: pb.PollSignalsRequest,
    ack: pb.SignalAck,
) -> None:
    requests = [
        pb.RpcRequest(sleep=sleep),
        pb.RpcRequest(retry_attempt=attempt),
        pb.RpcRequest(list_checkpoints=page),
        pb.RpcRequest(poll_signals=poll),
        pb.RpcRequest(signal_ack=ack),
    ]

    found = answers(*(one.SerializeToString() for one in requests))

    assert not any(is_bug(response) for response in found)
