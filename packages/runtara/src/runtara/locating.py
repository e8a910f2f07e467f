"""Where the core is: an environment's address, or a database that this process opens itself."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from runtara_migrations import location
from runtara_sdk.client.address import Address
from runtara_sdk.errors import ConfigurationError
from runtara_sdk.loggers import get_logger

ADDRESS_VARIABLE = "RUNTARA_ENVIRONMENT_ADDR"
DATABASE_VARIABLE = "RUNTARA_DATABASE_URL"
TENANT_VARIABLE = "RUNTARA_TENANT_ID"
FOLDER = ".runtara"
_FILE = "core.db"
_TAKES = (
    "takes an environment's host:port, or a database: sqlite:PATH or"
    " postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
)
_SCHEME = re.compile(r"[a-z]+:(//|[^0-9]|$)")

logger = get_logger(__name__)


class Way(StrEnum):
    """How the core is reached."""

    ENVIRONMENT = "environment"
    """Through its servers."""
    DATABASE = "database"
    """In this process."""


@dataclass(frozen=True, slots=True)
class Location:
    """
    Where the core is.

    value: an address or a URL, which may have a password; shown: the value without the password.
    """

    way: Way
    value: str
    shown: str


def locate(
    where: str | None = None,
    *,
    variables: Mapping[str, str] = os.environ,
    folder: Path | None = None,
) -> Location:
    """
    Find the core: by the argument, else by a variable, else in `.runtara/` of the folder or a
    parent.

    Raises ConfigurationError if both variables are set, if no core is named, and for a value that
    is neither an address nor a database's URL. The choice is logged once a process.
    """
    location, reason = _located(where, variables, folder or Path.cwd())
    _log_once(f"the core is {location.shown} ({reason})")
    return location


def tenant(given: str | None, variables: Mapping[str, str] = os.environ) -> str:
    """Name the tenant: as given, else by its variable, else `default`."""
    found = given or variables.get(TENANT_VARIABLE) or "default"
    if len(found.encode()) > 1024 or "\0" in found:
        raise ConfigurationError(
            f"{TENANT_VARIABLE}: takes 1 to 1024 bytes of UTF-8 without NUL, got {found[:80]!r}"
        )
    return found


def _located(where: str | None, variables: Mapping[str, str], folder: Path) -> tuple[Location, str]:
    if where is not None:
        return _location("connect()", where), "given to connect()"
    named = [each for each in (ADDRESS_VARIABLE, DATABASE_VARIABLE) if variables.get(each)]
    if len(named) == 2:
        raise ConfigurationError(
            f"{ADDRESS_VARIABLE} and {DATABASE_VARIABLE} are both set, and name two locations of"
            " the core: unset one of them, or give one to connect(...)"
        )
    if named:
        return _location(named[0], variables[named[0]]), named[0]
    for parent in (folder, *folder.parents):
        if (parent / FOLDER).is_dir():
            path = parent / FOLDER / _FILE
            return Location(
                Way.DATABASE, f"sqlite:{path}", f"sqlite:{path}"
            ), f"the folder {FOLDER}"
    raise ConfigurationError(
        f"no location of the core is set: set {DATABASE_VARIABLE}=sqlite:shop.db to keep workflows"
        f" in a file, or {ADDRESS_VARIABLE}=host:8002 to use an environment, or make a folder"
        f" {FOLDER} here or above {folder}"
    )


def _location(name: str, value: str) -> Location:
    if _SCHEME.match(value):
        return Location(Way.DATABASE, value, _shown(name, value))
    try:
        addresses = ",".join(map(str, Address.parse_all(value)))
    except ValueError:
        raise ConfigurationError(f"{name}: {_TAKES}, got {value[:80]!r}") from None
    return Location(Way.ENVIRONMENT, addresses, addresses)


def _shown(name: str, url: str) -> str:
    try:
        found = location.parse(url)
    except location.InvalidLocation as error:
        raise ConfigurationError(f"{name}: {error}") from None
    return found.shown if isinstance(found, location.PostgresLocation) else f"sqlite:{found.path}"


@cache
def _log_once(message: str) -> None:
    logger.info("%s", message)
