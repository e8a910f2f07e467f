"""The settings of every server, read from environment variables and a `.env` file."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict

from runtara_domain.error import InvalidValue
from runtara_protocol.frame import MAX_PAYLOAD
from runtara_protocol.variables import PREFIX, misspelt

_log = logging.getLogger(__name__)


def refused_by(check: Callable[[str], object]) -> AfterValidator:
    """
    Return a validator that calls a function, which raises InvalidValue.

    The value may have a password, so the validator's error has only the function's text.
    """

    def checked(text: str) -> str:
        try:
            check(text)
        except InvalidValue as error:
            raise PydanticCustomError("secret", "{reason}", {"reason": str(error)}) from error
        return text

    return AfterValidator(checked)


def _resolvable(host: str) -> str:
    host.encode("idna")  # As the resolver does later, but it would fail with a less clear error.
    return host


def _readable(path: Path) -> Path:
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise PydanticCustomError("file", "{reason}", {"reason": error.strerror}) from error


Host = Annotated[str, AfterValidator(_resolvable)]
File = Annotated[Path, AfterValidator(_readable)]
Milliseconds = Annotated[int, Field(ge=0, le=86_400_000)]
Bytes = Annotated[int, Field(ge=0, le=2**30)]
# The largest frame, and a little for other frames: below that the largest could never be received.
_LEAST_HELD = MAX_PAYLOAD + (1 << 20)
Held = Annotated[int, Field(ge=_LEAST_HELD, le=2**50)]

_HELD = f"bytes, at least {_LEAST_HELD}: the largest message and a little"
SPAN = "milliseconds, 0 to 86400000"
_BUFFER = "bytes, 0 (the system's default) to 1073741824"


class ServerSettings(BaseSettings):
    """
    The settings of every server; a field's variable is `RUNTARA_` and its name in capitals.

    A field's description says what the variable takes.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        populate_by_name=True,
    )

    tls_cert: File | None = Field(
        None, description="a readable PEM file, together with RUNTARA_TLS_KEY"
    )
    tls_key: File | None = Field(
        None, description="a readable PEM file, together with RUNTARA_TLS_CERT"
    )
    shutdown_grace_ms: Milliseconds = Field(10_000, description=SPAN)
    quic_max_incoming: int = Field(10_000, ge=1, description="a whole number, at least 1")
    quic_max_bi_streams: int = Field(1000, ge=1, le=2**60, description="a whole number, at least 1")
    quic_max_uni_streams: int = Field(100, ge=0, le=2**60, description="a whole number, at least 0")
    quic_idle_timeout_ms: Milliseconds = Field(
        120_000, gt=0, description="milliseconds, 1 to 86400000"
    )
    quic_keep_alive_ms: Milliseconds = Field(15_000, description=f"{SPAN} (0: off)")
    quic_udp_recv_buffer: Bytes = Field(2_097_152, description=_BUFFER)
    quic_udp_send_buffer: Bytes = Field(2_097_152, description=_BUFFER)
    max_receive_bytes: Held = Field(512 << 20, description=_HELD)
    max_undelivered_bytes: Held = Field(512 << 20, description=_HELD)
    quic_max_handlers: int = Field(
        0, ge=0, description="connections at once, a whole number (0: unlimited)"
    )

    @model_validator(mode="after")
    def _certificate_is_whole(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            missing = "tls_key" if self.tls_key is None else "tls_cert"
            raise PydanticCustomError("missing", "{field}", {"field": missing})
        return self


class ConfigurationError(Exception):
    """Settings can't be used; the message has a line for each, with what its variable takes."""


SettingsT = TypeVar("SettingsT", bound=ServerSettings)


def load(kind: type[SettingsT]) -> SettingsT:
    """
    Read the settings; raises ConfigurationError if any is unusable or missing.

    Logs a warning for each variable whose name looks misspelled.
    """
    try:
        slips = misspelt([*os.environ, *DotEnvSettingsSource(kind).env_vars])
        settings = kind()
    except ValidationError as error:
        lines = [_explain(kind, detail) for detail in error.errors()]
        raise ConfigurationError("\n".join([*lines, *slips])) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f".env is not UTF-8: {error.reason}, byte {error.start}; save the file as UTF-8"
        ) from error
    except OSError as error:
        raise ConfigurationError(f".env can't be read: {error.strerror}") from error
    for slip in slips:
        _log.warning(slip)
    return settings


def _explain(kind: type[ServerSettings], detail: ErrorDetails) -> str:
    named = str(detail["loc"][0]) if detail["loc"] else str(detail["ctx"]["field"])
    field = next(
        (name for name, info in kind.model_fields.items() if info.validation_alias == named), named
    )
    variable = named if field != named else PREFIX + field.upper()
    takes = f"takes {kind.model_fields[field].description}"
    if detail["type"] == "missing":
        return f"{variable} is not set: it {takes}"
    if detail["type"] == "secret":  # The value may have a password, which must not be shown.
        return f"{variable}: {detail['msg'].removeprefix('database URL: ')}"
    reason = f" ({detail['msg']})" if detail["type"] == "file" else ""
    return f"{variable} is {str(detail['input'])!r}: it {takes}{reason}"
