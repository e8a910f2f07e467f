"""The errors of a stream or a connection."""

from enum import StrEnum


class StreamReset(Exception):
    """The peer reset this stream; the connection goes on."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the peer reset the stream with code {code}")
        self.code = code


class ConnectionLost(ConnectionError):
    """The connection is gone: closed by either side, or silent for too long."""


class ConnectError(ConnectionError):
    """No connection could be made; the message says why, for a person."""


class TrustFailure(StrEnum):
    """Why a certificate is not trusted."""

    ISSUER = "issuer"
    NAME = "name"
    TIME = "time"


class UntrustedServer(ConnectError):
    """The server was reached, and its certificate is not trusted: `why`."""

    def __init__(self, message: str, why: TrustFailure) -> None:
        super().__init__(message)
        self.why = why
