"""Choosing an adapter by the URL of a database."""

from typing import Literal

from runtara_domain.error import InvalidValue
from runtara_domain.ports.persistence import Persistence
from runtara_migrations import location
from runtara_persistence.sqlite.persistence import SqlitePersistence

_COMING = frozenset({"postgres", "postgresql"})


def connect(url: str) -> Persistence:
    """
    Give an unopened adapter to the database at a `sqlite:` URL; nothing is opened or created yet.

    Raises InvalidValue for any other URL, saying what is taken.
    """
    return SqlitePersistence(_locate(url).path)


def backend(url: str) -> Literal["sqlite"]:
    """
    Name the kind of database a URL is for.

    Raises InvalidValue if `connect` would.
    """
    _locate(url)
    return "sqlite"


def _locate(url: str) -> location.SqliteLocation:
    if url.partition(":")[0] in _COMING:
        raise InvalidValue(
            f"database URL: PostgreSQL comes with a later release; for now it {location.TAKES}"
        )
    try:
        return location.parse(url)
    except location.InvalidLocation as error:
        raise InvalidValue(str(error)) from error
