"""Whatever bytes come, in whatever pieces: a frame's payload, or a FrameError."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.requests import decoded

from runtara_protocol.frame import HEADER_SIZE, MAX_PAYLOAD, MessageType, encode

CUTS = st.lists(st.integers(0, 200), max_size=8)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut at these places."""
    edges = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@given(data=st.binary(max_size=200), places=CUTS)
def test_any_bytes_are_a_frame_or_refused_however_they_are_cut(
    data: bytes, places: list[int]
) -> None:
    payload = decoded(cut(data, places))

    assert payload == decoded([data])
    if payload is not None:
        assert data.startswith(encode(MessageType.REQUEST, payload))


@given(payload=st.binary(max_size=150), tail=st.binary(max_size=50), places=CUTS)
def test_any_payload_comes_back_however_it_is_cut(
    payload: bytes, tail: bytes, places: list[int]
) -> None:
    frame = encode(MessageType.REQUEST, payload)

    assert decoded(cut(frame + tail, places)) == payload


@given(
    length=st.integers(0, 2**32 - 1),
    kind=st.integers(0, 2**16 - 1),
    rest=st.binary(max_size=64),
)
def test_a_header_alone_decides_what_is_refused(length: int, kind: int, rest: bytes) -> None:
    header = length.to_bytes(4, "big") + kind.to_bytes(2, "big")
    is_taken = kind == MessageType.REQUEST and length <= min(len(rest), MAX_PAYLOAD)

    payload = decoded([header, rest])

    assert len(header) == HEADER_SIZE
    assert payload == (rest[:length] if is_taken else None)
