"""Requests as frames, and frames as answers, whatever the protocol's messages are."""

from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from runtara_protocol.frame import FrameDecoder, FrameError, MessageType, encode
from runtara_sdk.errors import ProtocolError, ValidationFailed

MessageT = TypeVar("MessageT", bound=Message)

_RESPONSE = frozenset({MessageType.RESPONSE})


def frame(request: Message) -> bytes:
    """Return a request's bytes on the wire; raises ValidationFailed if they fit in no frame."""
    try:
        return encode(MessageType.REQUEST, request.SerializeToString())
    except FrameError as error:
        raise ValidationFailed(f"the request is too large to send: {error}") from error


def parsed(data: bytes, response_type: type[MessageT]) -> MessageT:
    """Read the one response of a stream; raises ProtocolError if the bytes are no response."""
    decoder = FrameDecoder(accept=_RESPONSE)
    try:
        payload = decoder.feed(data)
        decoder.end()
        return response_type.FromString(payload or b"")
    except (FrameError, DecodeError) as error:
        raise ProtocolError(f"the server's answer can't be read: {error}") from error
