"""From a server's host to the addresses by which a client reaches it."""

import asyncio
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, cast

from runtara_protocol.quic.error import ConnectError
from runtara_protocol.quic.fair_queue import Address


async def resolved(host: str, port: int) -> list[tuple[int, Address]]:
    """
    Return the families and addresses of a host, each once, the best first.

    Raises ConnectError if the host's name is unknown.
    """
    loop = asyncio.get_running_loop()
    try:
        with suppress(socket.gaierror):
            # A numeric address needs no resolver thread, which takes a short process milliseconds.
            return numeric(host, port)
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except socket.gaierror as error:
        raise ConnectError(f"{host}: {error.strerror}") from error
    return _once(infos)


def numeric(host: str, port: int) -> list[tuple[int, Address]]:
    """Return the family and address that a host is; raises gaierror if the host is a name."""
    flags = socket.AI_NUMERICHOST
    return _once(socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=flags))


def _once(infos: Iterable[tuple[Any, ...]]) -> list[tuple[int, Address]]:
    return list(dict.fromkeys((info[0], cast(Address, info[4])) for info in infos))
