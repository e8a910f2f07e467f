"""The address of a server, and its parsing."""

import re
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv6Address
from typing import Self

from runtara_sdk.loggers import get_logger

logger = get_logger(__name__)

_NAME = re.compile(r"[^\s/:@?#\[\]]+")


@dataclass(frozen=True, slots=True)
class Address:
    """A host, by name or number, and a UDP port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read `host:port`, where an IPv6 host stands in brackets.

        Raises ValueError.
        """
        host, _, port = text.rpartition(":")
        if not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535):
            raise ValueError(f"no port from 1 to 65535 after the last colon of {text!r}")
        return cls(_host(host), int(port))

    @classmethod
    def parse_all(cls, text: str) -> tuple[Self, ...]:
        """
        Read one or several addresses, with commas between them.

        Raises ValueError.
        """
        return tuple(cls.parse(one.strip()) for one in text.split(","))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _host(text: str) -> str:
    if text.startswith("[") and text.endswith("]"):
        return str(IPv6Address(text[1:-1]))
    if not _NAME.fullmatch(text):
        raise ValueError(f"no host name and no address in {text!r}")
    return text


@cache
def warn_of_trust(server_addr: str) -> None:
    """Warn once for each address, however many clients this process opens: a workflow opens two."""
    logger.warning(
        "RUNTARA_SKIP_CERT_VERIFICATION is on: any server that answers at %s is taken for the core",
        server_addr,
    )
