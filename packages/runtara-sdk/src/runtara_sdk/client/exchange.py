"""One request and its answer, on one connection, once."""

from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import DecodeError, Message

from runtara_protocol.frame import FrameDecoder, FrameError, MessageType, encode
from runtara_protocol.pb.instance_pb2 import RpcRequest, RpcResponse
from runtara_protocol.quic.error import StreamReset
from runtara_sdk.client.responses import refused
from runtara_sdk.errors import ProtocolError, RequestReset, ValidationFailed

if TYPE_CHECKING:
    from runtara_protocol.quic.client import ClientConnection

MessageT = TypeVar("MessageT", bound=Message)

_RESPONSE = frozenset({MessageType.RESPONSE})

# To these an empty end is the answer; a frame comes only to refuse them.
_ANSWERED_BY_THE_END = frozenset({"instance_event_batch", "signal_ack", "retry_attempt"})


async def exchange(connection: "ClientConnection", request: RpcRequest) -> RpcResponse:
    """
    Return the answer, which is of the request's kind, or empty where the protocol has none.

    Raises ServerError for a refusal, RequestReset, ProtocolError, and runtara_protocol's
    ConnectionLost.
    """
    asked = request.WhichOneof("request")
    try:
        data = await connection.exchange(frame(request))
    except StreamReset as error:
        raise RequestReset(f"the server gave the request up: {error}") from error
    if not data and asked in _ANSWERED_BY_THE_END:
        return RpcResponse()
    response = parsed(data, RpcResponse)
    refusal = refused(response)
    if refusal is not None:
        raise refusal
    answered = response.WhichOneof("response")
    if asked != answered:
        raise ProtocolError(f"the server answered {asked} with {answered or 'nothing known here'}")
    return response


def frame(request: Message) -> bytes:
    """Give a request's bytes on the wire; raises ValidationFailed if they fit no frame."""
    try:
        return encode(MessageType.REQUEST, request.SerializeToString())
    except FrameError as error:
        raise ValidationFailed(f"the request is too large to send: {error}") from error


def parsed(data: bytes, response_type: type[MessageT]) -> MessageT:
    """Read the one response of a stream; raises ProtocolError if its bytes are none."""
    decoder = FrameDecoder(accept=_RESPONSE)
    try:
        payload = decoder.feed(data)
        decoder.end()
        return response_type.FromString(payload or b"")
    except (FrameError, DecodeError) as error:
        raise ProtocolError(f"the server's answer cannot be read: {error}") from error
