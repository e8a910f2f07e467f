"""
A rehearsal: a run of a workflow with one step, against a core in this process that stores nothing.

The first time takes a program longest: OpenSSL looks up its algorithms, Python specialises its byte
code, and patterns and schemas are made. An interpreter that is forked for many runs does all this
once, before it forks; otherwise each forked process would do it again, in copied pages.
"""

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from tempfile import NamedTemporaryFile

from cryptography.hazmat.primitives.serialization import Encoding

from runtara_protocol.frame import FrameDecoder, MessageType, encode
from runtara_protocol.pb import instance_pb2 as pb
from runtara_protocol.quic.certificates import self_signed
from runtara_protocol.quic.connection import Connection
from runtara_protocol.quic.listener import Listener, ListenerSettings
from runtara_protocol.quic.stream import Stream
from runtara_sdk.client.settings import Settings
from runtara_sdk.workflow.api.steps import step
from runtara_sdk.workflow.api.workflows import workflow
from runtara_sdk.workflow.engine.runner import execute
from runtara_sdk.workflow.process.core_store import connected

_HOST = "127.0.0.1"

_LIMIT = 2.0
"""Seconds that a rehearsal has, which takes a tenth of that: launches wait for its end."""

_CORE_TIMEOUT = timedelta(seconds=1)
_REQUESTS = frozenset({MessageType.REQUEST})
_ANSWERS = {
    "register_instance": pb.RpcResponse(
        register_instance=pb.RegisterInstanceResponse(
            success=True, run=1, checkpoints=pb.ListCheckpointsResponse(), knows_preceding=True
        )
    ),
    "checkpoint_after": pb.RpcResponse(checkpoint=pb.CheckpointResponse()),
    "instance_event": pb.RpcResponse(instance_event=pb.InstanceEventResponse(success=True)),
}


def rehearse() -> None:
    """
    Rehearse, for two seconds at most. Raises nothing: after a failure the first run is slower.

    The event loop of the calling thread is not replaced.
    """
    level = logging.root.manager.disable
    # The log should not show the rehearsal as a run.
    logging.disable()
    # asyncio.run leaves a thread behind in which asyncio.get_event_loop raises, and an image's
    # import may call that. A runner with a factory sets no loop.
    runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
    try:
        with suppress(Exception), runner:
            runner.run(_within_limit())
    finally:
        logging.disable(level)


async def _within_limit() -> None:
    async with asyncio.timeout(_LIMIT):
        await _rehearsed()


async def _rehearsed() -> None:
    certificate = self_signed()
    listening = ListenerSettings(
        host=_HOST, port=0, certificate=certificate, keep_alive=None, grace=0.0
    )
    with NamedTemporaryFile() as trusted:
        trusted.write(certificate.chain[0].public_bytes(Encoding.PEM))
        trusted.flush()
        async with Listener(listening, _Forgetful) as listener:
            settings = Settings(
                instance_id="rehearsal",
                tenant_id="rehearsal",
                launch_id="rehearsal",
                server_addr=f"{_HOST}:{listener.address[1]}",
                server_name="localhost",
                tls_ca=trusted.name,
                skip_cert_verification=False,
            )
            async with connected(settings, _CORE_TIMEOUT) as store:
                await execute(_play, store)


@step
async def _line(text: str) -> str:
    return text


@workflow
async def _play() -> str:
    return await _line("a line")


class _Forgetful:
    """The core's end of a connection: it answers every request as if it were done."""

    def __init__(self, connection: Connection) -> None:
        """Serve this connection."""

    async def stream(self, stream: Stream) -> None:
        """Answer a stream's request."""
        decoder, payload = FrameDecoder(_REQUESTS), None
        while payload is None:
            payload = decoder.feed(await stream.receive())
        asked = pb.RpcRequest.FromString(payload).WhichOneof("request")
        answer = _ANSWERS[asked or ""]
        stream.send(encode(MessageType.RESPONSE, answer.SerializeToString()))

    def closed(self) -> None:
        """Take no notice."""
