"""
Stateless resets (RFC 9000, section 10.3): the end of connections that this server does not know.

A server that was killed and started again has no keys of its former connections, so their clients
would wait for the idle timeout. It answers their packets with a token that only a process with the
same secret can make, and that the client got in its handshake.
"""

import hmac
import os
import socket
from hashlib import sha256

from runtara_protocol.quic.fair_queue import Address

TOKEN = 16
SMALLEST = 5 + TOKEN
"""A shorter packet can't be a reset (RFC 9000, section 10.3)."""
LARGEST = 42
"""As large as the small packets of a connection, from which an observer should not tell it."""
MOST_A_SECOND = 1000.0

_SHORT = 0x40
_FORM = 0xC0


def token_in(data: bytes) -> bytes | None:
    """Return the bytes of a datagram that are the token if it is a reset; None if it is none."""
    if len(data) < SMALLEST or data[0] & _FORM != _SHORT:
        return None
    return data[-TOKEN:]


class Resets:
    """
    The tokens of one server, and its answers to packets of connections that it does not know.

    secret: outlives the process. address: where the server listens. Another server with the same
    secret has other tokens if its host name or its address differs: else an observer of a
    connection's id can get its token from there.
    """

    def __init__(self, secret: bytes, address: Address) -> None:
        place = f"{socket.gethostname()} {address[0]} {address[1]}"
        self._key = hmac.digest(secret, place.encode(), sha256)
        self._left = MOST_A_SECOND
        self._counted_at = 0.0

    def token(self, cid: bytes) -> bytes:
        """Return the token of a connection id."""
        return hmac.digest(self._key, cid, sha256)[:TOKEN]

    def answer(self, data: bytes, cid_length: int, now: float) -> bytes | None:
        """
        Return the answer to a packet with a short header and an unknown id; None if it gets none.

        It is shorter than the packet: so it amplifies nothing, and two servers that answer each
        other end soon.
        """
        length = min(len(data) - 1, LARGEST)
        if length < max(SMALLEST, cid_length + TOKEN) or data[0] & _FORM != _SHORT:
            return None
        if not self._is_allowed(now):
            return None
        padding = bytearray(os.urandom(length - TOKEN))
        padding[0] = padding[0] & ~_FORM & 0xFF | _SHORT
        return bytes(padding) + self.token(data[1 : 1 + cid_length])

    def _is_allowed(self, now: float) -> bool:
        earned = (now - self._counted_at) * MOST_A_SECOND
        self._left = min(self._left + earned, MOST_A_SECOND)
        self._counted_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
