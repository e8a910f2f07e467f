import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtara_protocol.frame import (
    HEADER_SIZE,
    MAX_PAYLOAD,
    FrameDecoder,
    FrameError,
    MessageType,
    encode,
)

REQUESTS = frozenset({MessageType.REQUEST})


@pytest.mark.parametrize(
    ("message_type", "payload", "wire"),
    [
        (MessageType.REQUEST, b"", "000000000001"),
        (MessageType.RESPONSE, b"\x0a", "0000000100020a"),
        (MessageType.ERROR, b"abc", "000000030006616263"),
        (MessageType.REQUEST, bytes(258), "000001020001" + "00" * 258),
    ],
)
def test_a_frame_is_these_bytes(message_type: MessageType, payload: bytes, wire: str) -> None:
    """Length and type are big-endian, the payload follows as it is."""
    frame = encode(message_type, payload)

    assert frame.hex() == wire


@given(payload=st.binary(max_size=300), tail=st.binary(max_size=20), data=st.data())
def test_any_chunking_gives_the_payload(payload: bytes, tail: bytes, data: st.DataObject) -> None:
    """However the bytes are cut, the payload comes once, and what follows it is ignored."""
    wire = encode(MessageType.REQUEST, payload) + tail
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    decoder = FrameDecoder(REQUESTS)

    results = [
        decoder.feed(wire[start:end])
        for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)
    ]

    assert [result for result in results if result is not None] == [payload]
    assert decoder.is_complete
    decoder.end()


@given(payload=st.binary(max_size=50), data=st.data())
def test_an_end_inside_a_frame_is_an_error(payload: bytes, data: st.DataObject) -> None:
    """A frame that lacks even one byte at the end of its stream is refused."""
    wire = encode(MessageType.REQUEST, payload)
    decoder = FrameDecoder(REQUESTS)

    assert decoder.feed(wire[: data.draw(st.integers(0, len(wire) - 1))]) is None

    with pytest.raises(FrameError, match="inside a frame"):
        decoder.end()


def test_a_stream_without_a_byte_is_no_frame() -> None:
    """An empty stream ends inside its frame."""
    with pytest.raises(FrameError, match="after 0 bytes"):
        FrameDecoder(REQUESTS).end()


@pytest.mark.parametrize("message_type", [0, 2, 3, 4, 5, 6, 7, 0xFFFF])
def test_any_other_type_is_refused_from_the_header(message_type: int) -> None:
    """The six bytes of the header are enough, and the error names what is accepted."""
    decoder = FrameDecoder(REQUESTS)

    with pytest.raises(FrameError, match=r"type takes 1 \(REQUEST\)"):
        decoder.feed(b"\0\0\0\x01" + message_type.to_bytes(2))


def test_a_length_over_the_maximum_is_refused_from_the_header() -> None:
    """One byte more than 64 MiB is refused before any of it has come."""
    decoder = FrameDecoder(REQUESTS)

    assert decoder.feed((MAX_PAYLOAD + 1).to_bytes(4)) is None
    with pytest.raises(FrameError, match="67108865"):
        decoder.feed(b"\0\x01")


def test_the_maximum_itself_is_allowed() -> None:
    """A payload of exactly 64 MiB passes both ways; one byte more can't be encoded."""
    wire = encode(MessageType.REQUEST, bytes(MAX_PAYLOAD))

    payload = FrameDecoder(REQUESTS).feed(wire)

    assert payload is not None
    assert len(wire) == MAX_PAYLOAD + HEADER_SIZE
    assert len(payload) == MAX_PAYLOAD
    with pytest.raises(FrameError, match="67108865"):
        encode(MessageType.REQUEST, bytes(MAX_PAYLOAD + 1))


def test_tiny_pieces_take_no_more_memory_than_their_bytes() -> None:
    """A client that sends two bytes at a time makes the server hold them, not fifty for each."""
    decoder = FrameDecoder(accept=frozenset({MessageType.REQUEST}))
    decoder.feed((MAX_PAYLOAD).to_bytes(4, "big") + b"\x00\x01")
    tracemalloc.start()
    try:
        for number in range(100_000):
            decoder.feed(number.to_bytes(4, "big")[2:])
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 500_000


def test_joined_pieces_are_the_payload() -> None:
    """The pieces may be of any size, and joined on the way."""
    payload = bytes(range(256)) * 100
    sent = encode(MessageType.REQUEST, payload)
    decoder = FrameDecoder(accept=frozenset({MessageType.REQUEST}))
    pieces = [sent[at : at + 7] for at in range(0, len(sent), 7)]

    assert [one for piece in pieces if (one := decoder.feed(piece)) is not None] == [payload]
