"""What carries requests out, and how its answers are read."""

from collections.abc import AsyncIterable, Callable
from typing import Any, Protocol

from runtara_management_sdk.errors import refusal
from runtara_protocol.pb.environment_pb2 import RpcRequest, RpcResponse
from runtara_sdk.client.frames import parsed
from runtara_sdk.errors import ProtocolError

_ANSWERED_AS = {"register_image_stream": "register_image"}


class Asks(Protocol):
    """What carries requests out; see `transport.Transport`, which does it over a connection."""

    async def ask(
        self, request: RpcRequest, *, is_repeatable: bool = True, hold: float = 0.0
    ) -> Any: ...

    async def upload(
        self, request: RpcRequest, body: Callable[[], AsyncIterable[bytes]]
    ) -> Any: ...

    async def aclose(self) -> None: ...


def read_answer(request: RpcRequest, data: bytes) -> Any:
    """Give the message that answers a request; raises the refusal, or ProtocolError."""
    response = parsed(data, RpcResponse)
    answered = response.WhichOneof("response")
    if answered == "error":
        raise refusal(response.error.code, response.error.message)
    asked = request.WhichOneof("request") or ""
    if answered != _ANSWERED_AS.get(asked, asked):
        raise ProtocolError(f"the environment answered {asked} with {answered or 'nothing known'}")
    message = getattr(response, answered)
    if getattr(message, "success", True) is False:
        raise refusal(getattr(message, "code", None) or None, message.error)
    return message
