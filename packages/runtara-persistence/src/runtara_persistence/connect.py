"""
Choosing an adapter by the URL of a database.

Only the chosen adapter is imported: the other one's driver would cost time and memory for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from runtara_domain.error import InvalidValue
from runtara_migrations import location

if TYPE_CHECKING:
    from runtara_domain.ports.persistence import Persistence


def connect(url: str, *, migrates: bool = False, watch_spacing: float | None = None) -> Persistence:
    """
    Return an unopened adapter for the database at a URL; this opens and creates nothing.

    migrates: whether opening brings a PostgreSQL schema up to date, as servers and environments
    do; otherwise opening raises DatabaseError if the schema lacks a migration. Opening a SQLite
    file always brings its schema up to date.

    watch_spacing: of a SQLite file, seconds from one look at what other processes wrote to the
    next; None: the adapter's. PostgreSQL notifies.

    Raises InvalidValue for a URL that it doesn't take, naming those it takes; and as `postgres`.
    """
    place = _locate(url)
    if isinstance(place, location.PostgresLocation):
        return postgres(place.url, migrates=migrates)
    return sqlite(place.path, watch_spacing=watch_spacing)


def postgres(url: str, *, migrates: bool = False, pool_size: int = 10) -> Persistence:
    """
    Return an unopened adapter for a PostgreSQL database; migrates: as for `connect`.

    Raises InvalidValue where asyncpg is not installed.
    """
    try:
        from runtara_persistence.postgres.persistence import PostgresPersistence
    except ModuleNotFoundError as error:
        if error.name != "asyncpg":
            raise
        raise InvalidValue(
            "database URL: PostgreSQL needs the driver asyncpg, which is not installed:"
            " pip install 'runtara[postgres]'"
        ) from error

    return PostgresPersistence(url, migrates=migrates, pool_size=pool_size)


def sqlite(path: str, *, watch_spacing: float | None = None) -> Persistence:
    """Return an unopened adapter for a SQLite file, or for `:memory:`."""
    from runtara_persistence.sqlite.persistence import SqlitePersistence

    if watch_spacing is None:
        return SqlitePersistence(path)
    return SqlitePersistence(path, watch_spacing=watch_spacing)


def backend(url: str) -> Literal["postgres", "sqlite"]:
    """
    Return the kind of database that a URL names.

    Raises InvalidValue for a URL that `connect` doesn't take.
    """
    return "postgres" if isinstance(_locate(url), location.PostgresLocation) else "sqlite"


def _locate(url: str) -> location.PostgresLocation | location.SqliteLocation:
    try:
        return location.parse(url)
    except location.InvalidLocation as error:
        raise InvalidValue(str(error)) from error
