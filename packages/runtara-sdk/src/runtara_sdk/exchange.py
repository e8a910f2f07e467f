"""One request and its answer, on one connection, once."""

from google.protobuf.message import DecodeError

from runtara_protocol.frame import FrameDecoder, FrameError, MessageType, encode
from runtara_protocol.pb.instance_pb2 import RpcRequest, RpcResponse
from runtara_protocol.quic.client import ClientConnection
from runtara_protocol.quic.error import StreamReset
from runtara_sdk.errors import ProtocolError, RequestReset, ValidationFailed
from runtara_sdk.translation import refused

_RESPONSE = frozenset({MessageType.RESPONSE})


async def exchange(connection: ClientConnection, request: RpcRequest) -> RpcResponse:
    """
    Return the answer, which is of the request's kind.

    Raises ServerError for a refusal, RequestReset, ProtocolError, and runtara_protocol's
    ConnectionLost.
    """
    try:
        response = _read(await connection.exchange(_frame(request)))
    except StreamReset as error:
        raise RequestReset(f"the server gave the request up: {error}") from error
    refusal = refused(response)
    if refusal is not None:
        raise refusal
    asked, answered = request.WhichOneof("request"), response.WhichOneof("response")
    if asked != answered:
        raise ProtocolError(f"the server answered {asked} with {answered or 'nothing known here'}")
    return response


def _frame(request: RpcRequest) -> bytes:
    try:
        return encode(MessageType.REQUEST, request.SerializeToString())
    except FrameError as error:
        raise ValidationFailed(f"the request is too large to send: {error}") from error


def _read(data: bytes) -> RpcResponse:
    decoder = FrameDecoder(accept=_RESPONSE)
    try:
        payload = decoder.feed(data)
        decoder.end()
        return RpcResponse.FromString(payload or b"")
    except (FrameError, DecodeError) as error:
        raise ProtocolError(f"the server's answer cannot be read: {error}") from error
