"""The settings of a client, read from the environment."""

import logging
import os
import ssl
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtara_protocol.variables import PREFIX, misspelt
from runtara_sdk.address import Address
from runtara_sdk.errors import ConfigurationError

logger = logging.getLogger(__name__)

_SHOWN = 80
_DAY_MS = 24 * 60 * 60 * 1000


def _check_id(value: str) -> str:
    if not 1 <= len(value.encode()) <= 1024 or "\0" in value:
        raise ValueError("not an id")
    return value


def _check_addresses(value: str) -> str:
    return ",".join(map(str, Address.parse_all(value)))


def _check_pem(value: Path) -> Path:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(value)
    except OSError as error:  # SSLError is one.
        raise ValueError("not readable, or no certificate in it") from error
    return value


_Id = Annotated[
    str, AfterValidator(_check_id), Field(description="1 to 1024 bytes of UTF-8 without NUL")
]
_Milliseconds = Annotated[
    int, Field(ge=1, le=_DAY_MS, description=f"milliseconds, 1 to {_DAY_MS} (a day)")
]


class Settings(BaseSettings):
    """
    Where the core is, which instance this process runs, and how long to wait.

    Each value is read from the environment variable of its name, `RUNTARA_` before it, unless given
    here; an empty variable counts as not set. Raises ConfigurationError, with a line for each value
    that is missing or cannot be used. What looks like one of these variables misspelt is warned of.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    instance_id: _Id
    tenant_id: _Id
    server_addr: Annotated[
        str,
        AfterValidator(_check_addresses),
        Field(
            description="host:port, an IPv6 host in brackets, the port from 1 to 65535,"
            " or several with commas between"
        ),
    ] = "127.0.0.1:8001"
    server_name: Annotated[
        str, Field(min_length=1, description="the name the server's certificate is made out to")
    ] = "localhost"
    tls_ca: Annotated[
        Annotated[Path, AfterValidator(_check_pem)] | None,
        Field(description="a readable PEM file holding the certificates to trust"),
    ] = None
    skip_cert_verification: Annotated[bool, Field(description="true or false")] = False
    connect_timeout_ms: _Milliseconds = 10_000
    request_timeout_ms: _Milliseconds = 30_000
    heartbeat_interval_ms: Annotated[
        int, Field(ge=0, le=_DAY_MS, description=f"milliseconds, 0 (off) to {_DAY_MS} (a day)")
    ] = 30_000

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, data: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        slips = misspelt(os.environ)
        try:
            settings = handler(data)
        except ValidationError as error:
            raise ConfigurationError("\n".join([*_lines(error), *slips])) from None
        for slip in slips:
            logger.warning("%s", slip)
        return settings


def _lines(error: ValidationError) -> list[str]:
    problems = error.errors(include_url=False, include_context=False)
    return [
        _line(str(problem["loc"][0]), problem["type"], problem["input"]) for problem in problems
    ]


def _line(name: str, kind: str, got: object) -> str:
    field = Settings.model_fields.get(name)
    if field is None:
        return f"{name}: there is no such setting"
    shown = "nothing" if kind == "missing" else _cut(got)
    return f"{PREFIX}{name.upper()}: takes {field.description}, got {shown}"


def _cut(value: object) -> str:
    text = repr(value)
    if len(text) <= _SHOWN:
        return text
    size = len(str(value).encode(errors="backslashreplace"))
    return f"{text[:_SHOWN]}… of {size} bytes"
