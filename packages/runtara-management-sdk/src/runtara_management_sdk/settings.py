"""The environment's address, and timeouts."""

from dataclasses import dataclass, fields
from pathlib import Path

from runtara_protocol.quic.client import ClientSettings
from runtara_sdk.client.address import Address
from runtara_sdk.client.variables import (
    DAY_MS,
    Field,
    addresses,
    flag,
    milliseconds,
    origin,
    pem,
    text,
)
from runtara_sdk.client.variables import values as read_values


@dataclass(frozen=True, init=False)
class ManagementSettings:
    """
    The environment's address, its trusted certificates, and timeouts.

    A value that is not given is read from the variable `RUNTARA_` and its name in capitals. An
    empty variable counts as not set. Raises ConfigurationError, with a line for each unusable
    value. `environment_addr` is `host:port`, or several with commas between. `tls_ca`: a PEM file
    of the certificates to trust; None trusts the system's. Timeouts are in milliseconds.
    """

    environment_addr: str
    server_name: str
    tls_ca: Path | None
    skip_cert_verification: bool
    connect_timeout_ms: int
    request_timeout_ms: int

    def __init__(
        self,
        *,
        environment_addr: str | None = None,
        server_name: str | None = None,
        tls_ca: Path | str | None = None,
        skip_cert_verification: bool | None = None,
        connect_timeout_ms: int | None = None,
        request_timeout_ms: int | None = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in _FIELDS}
        for name, value in read_values(_FIELDS, given).items():
            object.__setattr__(self, name, value)

    def origin(self) -> str:
        """Say for an error where the address is from: a variable, an argument, or neither."""
        default = _FIELDS["environment_addr"].default
        return origin("environment_addr", self.environment_addr, default)

    def servers(self) -> list[ClientSettings]:
        """Return the connection settings of each named environment, in their order."""
        return [
            ClientSettings(
                host=address.host,
                port=address.port,
                server_name=self.server_name,
                ca_path=self.tls_ca,
                verify=not self.skip_cert_verification,
                connect_timeout=self.connect_timeout_ms / 1000,
                keep_alive=_KEEP_ALIVE,
                idle_timeout=_IDLE,
            )
            for address in Address.parse_all(self.environment_addr)
        ]


# Short times, so that a client that waits for an instance's end soon notices a dead environment.
_KEEP_ALIVE, _IDLE = 3.0, 15.0

_SOME_MS = f"milliseconds, 1 to {DAY_MS} (a day)"

_FIELDS = {
    "environment_addr": Field(
        "host:port, an IPv6 host in brackets, or several with commas between",
        addresses,
        "127.0.0.1:8002",
    ),
    "server_name": Field("the name in the server's certificate", text, "localhost"),
    "tls_ca": Field("a readable PEM file holding the certificates to trust", pem),
    "skip_cert_verification": Field("true or false", flag, default=False),
    "connect_timeout_ms": Field(_SOME_MS, milliseconds(1), 10_000),
    "request_timeout_ms": Field(_SOME_MS, milliseconds(1), 30_000),
}
assert list(_FIELDS) == [field.name for field in fields(ManagementSettings)]
