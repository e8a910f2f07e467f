"""The interface that sends requests, and the reading of answers."""

from collections.abc import AsyncIterable, Callable
from typing import Any, Protocol

from runtara_management_sdk.errors import refusal
from runtara_protocol.pb.environment_pb2 import RpcRequest, RpcResponse
from runtara_sdk.client.frames import parsed
from runtara_sdk.errors import ProtocolError

_ANSWERED_AS = {"register_image_stream": "register_image"}


class Asks(Protocol):
    """Sends requests to an environment; `transport.Transport` does so over a connection."""

    async def ask(
        self, request: RpcRequest, *, is_repeatable: bool = True, hold: float = 0.0
    ) -> Any: ...

    async def upload(
        self, request: RpcRequest, body: Callable[[], AsyncIterable[bytes]]
    ) -> Any: ...

    async def aclose(self) -> None: ...


def read_answer(request: RpcRequest, data: bytes) -> Any:
    """
    Return the message that answers a request.

    Raises ServerError if the answer is a refusal, ProtocolError if it belongs to another request.
    """
    response = parsed(data, RpcResponse)
    answered = response.WhichOneof("response")
    if answered == "error":
        raise refusal(response.error.code, response.error.message)
    asked = request.WhichOneof("request") or ""
    if answered != _ANSWERED_AS.get(asked, asked):
        raise ProtocolError(
            f"the environment answered {asked} with {answered or 'an unknown message'}"
        )
    message = getattr(response, answered)
    if getattr(message, "success", True) is False:
        raise refusal(getattr(message, "code", None) or None, message.error)
    return message
