"""One request and its answer, on one connection, once."""

from typing import TYPE_CHECKING

from runtara_protocol.pb.instance_pb2 import RpcRequest, RpcResponse
from runtara_protocol.quic.error import StreamReset
from runtara_sdk.client.frames import frame, parsed
from runtara_sdk.client.responses import refused
from runtara_sdk.errors import ProtocolError, RequestReset

if TYPE_CHECKING:
    from runtara_protocol.quic.client import ClientConnection

# The server answers these requests by the empty end of the stream; it sends a frame to refuse.
_ANSWERED_BY_THE_END = frozenset({"instance_event_batch", "signal_ack", "retry_attempt"})

_ANSWERED_AS = {"checkpoint_after": "checkpoint", "save_together": "checkpoint"}


async def exchange(connection: "ClientConnection", request: RpcRequest) -> RpcResponse:
    """
    Return the answer to the request; it is empty where the protocol has no answer.

    Raises ServerError for a refusal, RequestReset, ProtocolError, and runtara_protocol's
    ConnectionLost.
    """
    asked = request.WhichOneof("request")
    try:
        data = await connection.exchange(frame(request))
    except StreamReset as error:
        raise RequestReset(f"the server reset the request's stream: {error}") from error
    if not data and asked in _ANSWERED_BY_THE_END:
        return RpcResponse()
    response = parsed(data, RpcResponse)
    refusal = refused(response)
    if refusal is not None:
        raise refusal
    answered = response.WhichOneof("response")
    if answered != _ANSWERED_AS.get(asked or "", asked):
        raise ProtocolError(f"the server answered {asked} with {answered or 'an unknown message'}")
    return response
