"""The errors of a stream or a connection."""

from enum import StrEnum


class StreamReset(Exception):
    """The peer reset this stream; the connection goes on."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the peer reset the stream with code {code}")
        self.code = code


class ConnectionLost(ConnectionError):
    """The connection is gone: either side closed it, or the peer was silent for too long."""


class ConnectError(ConnectionError):
    """No connection could be made; the message has the reason for people."""


class TrustFailure(StrEnum):
    """Why a certificate is not trusted."""

    ISSUER = "issuer"
    NAME = "name"
    TIME = "time"


class UntrustedServer(ConnectError):
    """The server was reached, but its certificate is not trusted. why: the reason."""

    def __init__(self, message: str, why: TrustFailure) -> None:
        super().__init__(message)
        self.why = why
