"""Choosing an adapter by the URL of a database."""

from typing import Literal

from runtara_domain.error import InvalidValue
from runtara_domain.ports.persistence import Persistence
from runtara_migrations import location
from runtara_persistence.postgres.persistence import PostgresPersistence
from runtara_persistence.sqlite.persistence import SqlitePersistence


def connect(url: str) -> Persistence:
    """
    Give an unopened adapter to the database at a URL; nothing is opened or created yet.

    Raises InvalidValue for a URL it doesn't take, saying what is taken.
    """
    place = _locate(url)
    if isinstance(place, location.PostgresLocation):
        return PostgresPersistence(place.url)
    return SqlitePersistence(place.path)


def backend(url: str) -> Literal["postgres", "sqlite"]:
    """
    Name the kind of database a URL is for.

    Raises InvalidValue if `connect` would.
    """
    return "postgres" if isinstance(_locate(url), location.PostgresLocation) else "sqlite"


def _locate(url: str) -> location.PostgresLocation | location.SqliteLocation:
    try:
        return location.parse(url)
    except location.InvalidLocation as error:
        raise InvalidValue(str(error)) from error
