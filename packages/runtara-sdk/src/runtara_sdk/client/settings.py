"""The settings of a client, read from the environment."""

from copy import copy
from dataclasses import dataclass, fields
from pathlib import Path

from runtara_sdk.client.variables import (
    DAY_MS,
    Field,
    addresses,
    flag,
    identifier,
    milliseconds,
    origin,
    pem,
    text,
    values,
)


@dataclass(frozen=True, init=False)
class Settings:
    """
    The core's address, the instance that this process runs, and the timeouts.

    A value that is not given is read from the environment variable RUNTARA_ and its name, such as
    RUNTARA_SERVER_ADDR; an empty variable counts as not set. Raises ConfigurationError, with a line
    for each value that is missing or can't be used. A variable that is probably a misspelling of
    one of these is logged.

    `server_addr` is `host:port`, or several with commas between. `tls_ca`: a PEM file of the
    certificates to trust. The last three are milliseconds; a heartbeat interval of 0 sends none.
    """

    instance_id: str
    tenant_id: str
    launch_id: str | None
    server_addr: str
    server_name: str
    tls_ca: Path | None
    skip_cert_verification: bool
    connect_timeout_ms: int
    request_timeout_ms: int
    heartbeat_interval_ms: int

    def __init__(
        self,
        *,
        instance_id: str | None = None,
        tenant_id: str | None = None,
        launch_id: str | None = None,
        server_addr: str | None = None,
        server_name: str | None = None,
        tls_ca: Path | str | None = None,
        skip_cert_verification: bool | None = None,
        connect_timeout_ms: int | None = None,
        request_timeout_ms: int | None = None,
        heartbeat_interval_ms: int | None = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in _FIELDS}
        for name, value in values(_FIELDS, given).items():
            object.__setattr__(self, name, value)

    def origin(self) -> str:
        """Say for an error where the address is from: a variable, an argument, or neither."""
        return origin("server_addr", self.server_addr, _FIELDS["server_addr"].default)

    def without_heartbeats(self) -> "Settings":
        """Return these settings without heartbeats; nothing is read or checked once more."""
        other = copy(self)
        object.__setattr__(other, "heartbeat_interval_ms", 0)
        return other

    def of(self, instance_id: str, tenant_id: str, launch_id: str | None) -> "Settings":
        """Return these settings for another instance; its ids come from the core, so unchecked."""
        other = copy(self)
        for name, value in (
            ("instance_id", instance_id),
            ("tenant_id", tenant_id),
            ("launch_id", launch_id),
        ):
            object.__setattr__(other, name, value)
        return other


_ID = "1 to 1024 bytes of UTF-8 without NUL"
_SOME_MS = f"milliseconds, 1 to {DAY_MS} (a day)"

_FIELDS = {
    "instance_id": Field(_ID, identifier, is_required=True),
    "tenant_id": Field(_ID, identifier, is_required=True),
    "launch_id": Field(_ID, identifier),
    "server_addr": Field(
        "host:port, an IPv6 host in brackets, the port from 1 to 65535,"
        " or several with commas between",
        addresses,
        "127.0.0.1:8001",
    ),
    "server_name": Field("the name in the server's certificate", text, "localhost"),
    "tls_ca": Field("a readable PEM file holding the certificates to trust", pem),
    "skip_cert_verification": Field("true or false", flag, default=False),
    "connect_timeout_ms": Field(_SOME_MS, milliseconds(1), 10_000),
    "request_timeout_ms": Field(_SOME_MS, milliseconds(1), 30_000),
    "heartbeat_interval_ms": Field(
        f"milliseconds, 0 (off) to {DAY_MS} (a day)", milliseconds(0), 30_000
    ),
}
assert list(_FIELDS) == [field.name for field in fields(Settings)]
