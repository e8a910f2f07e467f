from aioquic.quic.connection import QuicConnection
from tests.conformance.fake_server import Answer, serving

from runtara_conformance import frame
from runtara_conformance.client import EmptyEnd, Ended, Lost, Reset, connect
from runtara_conformance.messages import (
    CheckpointRequest,
    CheckpointResponse,
    GetCheckpointRequest,
    RpcError,
    SignalAck,
)
from runtara_conformance.protobuf import encode


def framed(number: int, payload: bytes) -> bytes:
    return frame.encode(encode([(number, payload)]), frame.FrameType.RESPONSE)


def answer_with(data: bytes) -> Answer:
    def answer(quic: QuicConnection, stream: int, brought: bytes) -> None:
        quic.send_stream_data(stream, data, end_stream=True)

    return answer


async def test_a_request_is_one_frame_up_and_one_message_down() -> None:
    brought_up: list[bytes] = []

    def answer(quic: QuicConnection, stream: int, brought: bytes) -> None:
        brought_up.append(brought)
        found = CheckpointResponse(found=True, state=b"42")
        quic.send_stream_data(stream, framed(8, found.encode()), end_stream=True)

    async with serving(answer) as port, connect("127.0.0.1", port) as connection:
        reply = await connection.request(CheckpointRequest("i", "c", b"s"))

    assert reply == CheckpointResponse(found=True, state=b"42")
    golden = bytes.fromhex("0000000b000142090a01691201631a0173")
    assert brought_up == [golden]


async def test_an_error_is_a_message_like_others() -> None:
    error = RpcError("INSTANCE_NOT_FOUND", "Instance i not found")
    answer = answer_with(framed(15, error.encode()))

    async with serving(answer) as port, connect("127.0.0.1", port) as connection:
        assert await connection.request(GetCheckpointRequest("i", "c")) == error


async def test_an_empty_end_is_distinguished_from_a_frame() -> None:
    async with serving(answer_with(b"")) as port, connect("127.0.0.1", port) as connection:
        assert await connection.request(SignalAck("i", 0, True)) == EmptyEnd()


async def test_a_reset_brings_its_code_and_the_stop() -> None:
    def answer(quic: QuicConnection, stream: int, brought: bytes) -> None:
        quic.stop_stream(stream, 7)
        quic.reset_stream(stream, 3)

    async with serving(answer) as port, connect("127.0.0.1", port) as connection:
        stream = connection.raw_stream()
        stream.write(b"x", end=True)

        assert await stream.ended() == Reset(3)
        assert stream.stopped == 7


async def test_bytes_come_back_as_they_were_in_any_chunking() -> None:
    def answer(quic: QuicConnection, stream: int, brought: bytes) -> None:
        quic.send_stream_data(stream, brought[::-1], end_stream=True)

    async with serving(answer) as port, connect("127.0.0.1", port) as connection:
        stream, other = connection.raw_stream(), connection.raw_stream()
        for byte in b"abcdef":
            stream.write(bytes([byte]))
        other.write(b"other", end=True)
        stream.write(b"", end=True)

        assert (await stream.ended(), bytes(stream.received)) == (Ended(), b"fedcba")
        assert (await other.ended(), bytes(other.received)) == (Ended(), b"rehto")


async def test_a_lost_connection_ends_what_waits_and_what_comes_after() -> None:
    def answer(quic: QuicConnection, stream: int, brought: bytes) -> None:
        quic.close(error_code=0, reason_phrase="shutting down")

    async with serving(answer) as port, connect("127.0.0.1", port) as connection:
        assert await connection.request(SignalAck("i")) == Lost(0, "shutting down")
        assert await connection.request(SignalAck("i")) == Lost(0, "shutting down")
