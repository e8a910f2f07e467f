import asyncio
import gc
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.domain.desk import ID, Desk
from tests.server.wire import response_in
from tests.support.clock import FrozenClock

from runtara_domain.sessions import Session
from runtara_domain.use_cases.core import Core
from runtara_persistence.memory.persistence import MemoryPersistence
from runtara_protocol.frame import MAX_PAYLOAD, MessageType, encode
from runtara_protocol.pb import instance_pb2 as pb
from runtara_protocol.quic.error import ConnectionLost, StreamReset
from runtara_protocol.quic.stream import Stream
from runtara_protocol.server.streams import RequestStreams
from runtara_server.operations import requests_of, router

STATUS = pb.RpcRequest(
    get_instance_status=pb.GetInstanceStatusRequest(instance_id=ID)
).SerializeToString()
MIB = 1024 * 1024
FRAME = encode(MessageType.REQUEST, STATUS)


class ScriptedStream:
    """A client's stream as it was written down: pieces, then an end, a failure, or silence."""

    def __init__(self, pieces: Iterable[bytes], failure: Exception | None = None) -> None:
        self._pieces = list(pieces)
        self._failure = failure
        self.sent: list[bytes] = []
        self.is_refused = False
        self.handed_back = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        return bool(self._pieces) or self._failure is not None

    async def receive(self) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        if self._failure is not None:
            raise self._failure
        await asyncio.Event().wait()
        raise AssertionError("nothing ends this silence")

    def send(self, data: bytes, *, end: bool = True) -> None:
        assert end
        self.sent.append(data)

    def refuse(self) -> None:
        self.is_refused = True

    def hand_back(self) -> None:
        self.handed_back.set()

    def leave_open(self) -> None:
        pass

    @contextmanager
    def on_stop_sending(self, call: Callable[[], None]) -> Iterator[None]:
        yield


def core_on(persistence: MemoryPersistence) -> Core:
    return Desk(persistence, FrozenClock()).core()


async def served(stream: ScriptedStream, *, progress_timeout: float = 30.0) -> ScriptedStream:
    """Serve the stream to its end."""
    async with MemoryPersistence() as persistence:
        core = core_on(persistence)
        session = core.open_session()
        streams = RequestStreams(
            router(core), requests_of(session), session.close, progress_timeout=progress_timeout
        )
        # It has what a handler uses of one.
        await streams.stream(cast(Stream, stream))
    return stream


def cut(frame: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut at these places, whatever order they come in."""
    edges = [0, *sorted({place for place in places if 0 < place < len(frame)}), len(frame)]
    return [frame[start:end] for start, end in pairwise(edges)]


@given(st.sets(st.integers(1, len(FRAME) - 1)))
def test_a_request_is_answered_however_it_is_cut(places: set[int]) -> None:
    stream = asyncio.run(served(ScriptedStream(cut(FRAME, places))))

    [frame] = stream.sent
    assert response_in(frame).get_instance_status.status == pb.STATUS_UNKNOWN
    assert not stream.is_refused


async def test_it_is_answered_when_the_frame_is_complete_and_what_follows_is_ignored() -> None:
    """The client has not ended its side: the stream is silent after this."""
    stream = await served(ScriptedStream([FRAME + b"whatever"]))

    assert len(stream.sent) == 1


@pytest.mark.parametrize(
    "pieces",
    [
        [b""],
        [FRAME[:3], b""],
        [FRAME[:-1], b""],
        [encode(MessageType.RESPONSE, STATUS)],
        [b"\x00\x00\x00\x00\x00\x07"],
        [(MAX_PAYLOAD + 1).to_bytes(4, "big") + b"\x00\x01"],
        [encode(MessageType.REQUEST, b"\xff")],
    ],
    ids=["nothing", "half a header", "a byte less", "response", "type 7", "too long", "garbage"],
)
async def test_bytes_that_are_no_request_get_the_stream_refused(pieces: list[bytes]) -> None:
    stream = await served(ScriptedStream(pieces))

    assert stream.is_refused
    assert stream.sent == []


@pytest.mark.parametrize("pieces", [[], [FRAME[:1]], [FRAME[:-1]]])
async def test_a_frame_that_gets_no_further_is_refused(pieces: list[bytes]) -> None:
    async with asyncio.timeout(60):
        stream = await served(ScriptedStream(pieces), progress_timeout=0.01)

    assert stream.is_refused
    assert stream.sent == []


@pytest.mark.parametrize("failure", [StreamReset(0), ConnectionLost("gone")])
async def test_a_client_that_gives_up_its_request_is_no_error_of_ours(failure: Exception) -> None:
    """The listener knows these two; it resets the stream and logs nothing."""
    with pytest.raises(type(failure)):
        await served(ScriptedStream([FRAME[:-1]], failure))


async def test_a_held_sleep_holds_nothing_of_its_request() -> None:
    """What is left of a large state is the one that is stored."""
    async with MemoryPersistence() as persistence:
        desk = Desk(persistence, FrozenClock())
        session = await desk.registered()
        streams = RequestStreams(router(desk.core()), requests_of(session), session.close)
        tracemalloc.start()
        stream = ScriptedStream([_sleep_of(8 * MIB)])
        serving = asyncio.create_task(streams.stream(cast(Stream, stream)))

        await stream.handed_back.wait()

        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        kinds = (pb.RpcRequest, pb.SleepRequest)
        messages = [one for one in gc.get_objects() if isinstance(one, kinds)]
        assert [one for one in messages if one.ByteSize() > MIB] == []
        assert 8 * MIB <= held < 9 * MIB
        session.close()
        await serving


def _sleep_of(size: int) -> bytes:
    sleep = pb.SleepRequest(
        instance_id=ID, checkpoint_id="nap", state=bytes(size), duration_ms=60_000
    )
    return encode(MessageType.REQUEST, pb.RpcRequest(sleep=sleep).SerializeToString())


async def test_a_connection_that_is_gone_closes_its_session() -> None:
    async with MemoryPersistence() as persistence:
        core = core_on(persistence)
        session: Session = core.open_session()
        streams = RequestStreams(router(core), requests_of(session), session.close)

        streams.closed()

        assert session.is_closed
