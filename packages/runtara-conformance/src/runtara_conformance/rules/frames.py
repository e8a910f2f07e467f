"""Frames: the content of a stream, and the refusal of other content."""

import asyncio

from runtara_conformance import envelope, frame
from runtara_conformance.client import Connection, Ended, Ending, Stream
from runtara_conformance.expect import answered, broken_off, expect, refused, same, within
from runtara_conformance.messages import GetInstanceStatusRequest, GetInstanceStatusResponse
from runtara_conformance.rule import Noun, Pace, Tier
from runtara_conformance.subject import Server, fresh

rule = Noun("frames", Tier.SLICE)

SOON = 5.0
GARBAGE = (b"\xff" * 9, b"\x42\x7f", b"\x43", b"\x42\x05\x0a", b"\x00\x00", b"\x47\x01")


def question() -> bytes:
    """Write a complete request frame that changes nothing."""
    return frame.encode(envelope.wrap(GetInstanceStatusRequest(fresh())))


async def serves(stream: Stream) -> None:
    """Expect the answer to a question, framed in order."""
    answered(await within(SOON, "an answer", stream.reply()), GetInstanceStatusResponse)


async def sent(connection: Connection, data: bytes, *, end: bool) -> tuple[Stream, Ending]:
    """Write on a stream of its own, and wait for its end."""
    stream = connection.raw_stream()
    stream.write(data, end=end)
    return stream, await within(SOON, "an end of the stream", stream.ended())


@rule("the server writes one response frame and ends its side")
async def one_response_frame_and_the_end(server: Server) -> None:
    async with server.connect() as connection:
        stream, ending = await sent(connection, question(), end=True)

        same("the end", ending, Ended())
        frame.decode_response(bytes(stream.received))


@rule("The server acts when the frame is complete, not when the client's side ends")
async def answers_before_the_client_ends(server: Server) -> None:
    async with server.connect() as connection:
        stream = connection.raw_stream()
        stream.write(question())

        await serves(stream)


@rule("bytes after it are ignored")
async def bytes_after_the_frame_are_ignored(server: Server) -> None:
    async with server.connect() as connection:
        for extra in (b"\x00", b"\xff" * 100, question()):
            for end in (True, False):
                stream = connection.raw_stream()
                stream.write(question() + extra, end=end)
                await serves(stream)


@rule("bytes after it are ignored (that come later, on their own)")
async def bytes_that_come_after_the_answer_are_ignored(server: Server) -> None:
    async with server.connect() as connection:
        stream = connection.raw_stream()
        stream.write(question())
        await within(SOON, "an answer", stream.until(_is_answered))
        stream.write(b"more", end=True)

        await serves(stream)
        stream, ending = await sent(connection, question(), end=True)
        same("the end of the next stream", ending, Ended())


def _is_answered(stream: Stream) -> bool:
    return frame.is_complete(stream.received) or stream.ending is not None


@rule("0-3 payload length, 4-5 message type, 6- payload: however the bytes are cut up")
async def any_chunking(server: Server) -> None:
    async with server.connect() as connection:
        asked = question()
        for size in (1, 3, 5, 6, 7):
            stream = connection.raw_stream()
            for at in range(0, len(asked), size):
                stream.write(asked[at : at + size])
                await asyncio.sleep(0)
            stream.write(b"", end=True)
            await serves(stream)


@rule("An unknown type: that stream is answered by RESET_STREAM and STOP_SENDING, code 1")
async def unknown_types_are_broken_off(server: Server) -> None:
    async with server.connect() as connection:
        for frame_type in (0, 7, 256, 65535):
            data = frame.encode(question()[frame.HEADER.size :], frame_type)
            broken_off(*await sent(connection, data, end=True))


@rule("stream start/data/end and error are reserved: answered as an unknown type")
async def reserved_types_are_broken_off(server: Server) -> None:
    async with server.connect() as connection:
        for frame_type in (3, 4, 5, 6):
            data = frame.encode(question()[frame.HEADER.size :], frame_type)
            broken_off(*await sent(connection, data, end=True))


@rule("A response type up: RESET_STREAM and STOP_SENDING, code 1")
async def a_response_type_up_is_broken_off(server: Server) -> None:
    async with server.connect() as connection:
        data = frame.encode(question()[frame.HEADER.size :], frame.FrameType.RESPONSE)
        broken_off(*await sent(connection, data, end=True))


@rule("RESET_STREAM and STOP_SENDING, code 1 (both, while the client's side is open)")
async def the_client_is_told_to_stop(server: Server) -> None:
    async with server.connect() as connection:
        stream, ending = await sent(connection, frame.HEADER.pack(1000, 9), end=False)
        broken_off(stream, ending)

        await within(SOON, "STOP_SENDING", stream.until(lambda each: each.stopped is not None))
        same("the code of STOP_SENDING", stream.stopped, 1)


@rule("a length over the maximum is refused from the header alone")
async def an_over_long_frame_is_refused_from_its_header(server: Server) -> None:
    async with server.connect() as connection:
        for length in (frame.MAX_PAYLOAD + 1, 0xFFFFFFFF):
            header = frame.HEADER.pack(length, frame.FrameType.REQUEST)
            broken_off(*await sent(connection, header, end=False))


@rule("at most 64 MiB (67,108,864, itself allowed)")
async def the_longest_frame_is_allowed(server: Server) -> None:
    async with server.connect() as connection:
        stream = connection.raw_stream()
        stream.write(frame.HEADER.pack(frame.MAX_PAYLOAD, frame.FrameType.REQUEST))
        await serves(await _asked(connection))

        await asyncio.sleep(0.3)
        expect("no reset after the header", stream.ending is None, stream.ending)
        stream.reset()


async def _asked(connection: Connection) -> Stream:
    stream = connection.raw_stream()
    stream.write(question(), end=True)
    return stream


@rule("an end inside a frame: RESET_STREAM, code 1, never by an empty end")
async def an_end_inside_a_frame_is_broken_off(server: Server) -> None:
    async with server.connect() as connection:
        asked = question()
        for size in (1, 3, 4, 5, 6, 7, len(asked) - 1):
            broken_off(*await sent(connection, asked[:size], end=True))


@rule("a payload that doesn't parse: RESET_STREAM, code 1, never by an empty end")
async def garbage_is_broken_off(server: Server) -> None:
    async with server.connect() as connection:
        for payload in GARBAGE:
            broken_off(*await sent(connection, frame.encode(payload), end=True))


@rule(
    "30 s without progress inside a frame: RESET_STREAM and STOP_SENDING, code 1", pace=Pace.PATIENT
)
async def a_frame_without_progress_is_broken_off(server: Server) -> None:
    async with server.connect() as connection:
        began = asyncio.get_running_loop().time()
        stream = connection.raw_stream()
        stream.write(question()[:20])

        ending = await within(45, "an end of the stream", stream.ended())
        broken_off(stream, ending)
        waited = asyncio.get_running_loop().time() - began
        expect("a reset after some 30 s", 28 < waited < 40, f"{waited:.1f} s")


@rule("30 s without progress: a frame that grows slowly is answered", pace=Pace.PATIENT)
async def a_slow_frame_is_answered(server: Server) -> None:
    async with server.connect() as connection:
        stream = connection.raw_stream()
        asked = question()
        for at in range(2):
            stream.write(asked[at : at + 1])
            await asyncio.sleep(16)
        stream.write(asked[2:], end=True)

        await serves(stream)


@rule("that stream, and only that stream")
async def other_streams_are_not_hurt(server: Server) -> None:
    async with server.connect() as connection:
        half, asked = connection.raw_stream(), question()
        half.write(asked[:10])
        for wrong in (frame.encode(b"", 9), frame.encode(b"\xff"), b"\xff" * 6, b"\x00"):
            broken_off(*await sent(connection, wrong, end=True))
            await serves(await _asked(connection))
        half.write(asked[10:], end=True)

        await serves(half)


@rule("A client that breaks off its own request hurts no other client")
async def a_request_broken_off_by_the_client(server: Server) -> None:
    async with server.connect() as connection:
        for size in (0, 3, 20):
            stream = connection.raw_stream()
            stream.write(question()[:size])
            stream.reset(1)
            await serves(await _asked(connection))


@rule("A request with nothing in its oneof: `RpcError` `EMPTY_REQUEST` (a frame of length 0)")
async def an_empty_frame_is_an_empty_request(server: Server) -> None:
    async with server.connect() as connection:
        stream = connection.raw_stream()
        stream.write(frame.encode(b""))

        refused(await within(SOON, "an answer", stream.reply()), "EMPTY_REQUEST")
