"""Opens connections to the first host that takes writes, with the settings that steps need."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from runtara_domain.error import DatabaseError
from runtara_persistence.postgres.driver_errors import FAILURES, explain

if TYPE_CHECKING:
    from runtara_migrations.location import Address, PostgresLocation

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "application_name": "runtara",
        "default_transaction_isolation": "read committed",
        "idle_in_transaction_session_timeout": "60s",
        "jit": "off",
        # Planning a statement of a dozen parts takes longer than running it, so plans are kept.
        "plan_cache_mode": "force_generic_plan",
    }
)

_OLDEST = 130000
# SQL_ASCII takes any bytes, and these are UTF-8.
_ENCODINGS = ("UTF8", "SQL_ASCII")
_ASK = """
SELECT
    current_setting('server_version') AS version,
    current_setting('server_version_num')::integer AS version_number,
    current_setting('server_encoding') AS encoding,
    current_setting('plan_cache_mode') AS plan_cache_mode,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('fsync') AS fsync
"""

_SHARE = 0.8
"""The part of a call's time in which every host is tried once."""
_LEAST_TIMEOUT = 1.0
_FIRST_TIMEOUT = 10.0
"""Seconds for the first connection to an only host: nothing but the program's start waits."""
_ELSEWHERE = (
    OSError,
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.TargetServerAttributeNotMatched,
)
"""Errors after which another host is tried."""

_FIRST_OWN_TYPE = 16384
"""The smallest id of a type that is not built in; built-in types have the same ids everywhere."""
_TYPES: dict[frozenset[int], Sequence[asyncpg.Record]] = {}
_NAMED = SimpleNamespace(name="asked before")
"""Stands for the statement of such a query; it has a name, so no unnamed one was replaced."""

_log = logging.getLogger(__name__)


class Opening:
    """
    Opens connections, each with these settings, to the first host that takes writes.

    The host of the last connection is tried first. Each host has its share of the patience, so that
    a frozen or unreachable host doesn't use up the time for the next. patience: seconds for a call.
    """

    def __init__(
        self, place: PostgresLocation, *, settings: Mapping[str, str], patience: float
    ) -> None:
        self._place = place
        self._settings = dict(settings)
        # With a single host, asyncpg itself finds it: by a service, a socket, or localhost.
        self._hosts: list[Address | None] = [*place.hosts] if len(place.hosts) > 1 else [None]
        self._share = max(_LEAST_TIMEOUT, _SHARE * patience / len(self._hosts))
        self._last = 0
        self._is_reached: bool | None = None

    # The pool calls this with arguments; they are the driver's defaults, and not needed.
    async def __call__(self, *_: object, **__: object) -> asyncpg.Connection[asyncpg.Record]:
        """Open a connection; raises one of FAILURES."""
        try:
            connection = await self._open()
        except FAILURES as error:
            if self._is_reached:
                self._is_reached = False
                _log.warning(
                    "the database is out of reach: %s", explain("connect", self._place.shown, error)
                )
            raise
        if self._is_reached is False:
            _log.warning("the database is back: connected to %s", self._place.shown)
        self._is_reached = True
        return connection

    async def _open(self) -> asyncpg.Connection[asyncpg.Record]:
        failure: BaseException = OSError("there is no host")
        for place in self._in_turn():
            try:
                connection = await self._connect(self._hosts[place])
            except _ELSEWHERE as error:
                failure = error
            else:
                self._last = place
                return connection
        raise failure

    def _in_turn(self) -> Iterator[int]:
        first = self._last
        for place in range(len(self._hosts)):
            yield (first + place) % len(self._hosts)

    async def _connect(self, host: Address | None) -> asyncpg.Connection[asyncpg.Record]:
        name, port = host or (None, None)
        is_first = self._is_reached is None and len(self._hosts) == 1
        try:
            return await asyncpg.connect(
                self._place.url,
                host=name,
                port=port,
                timeout=_FIRST_TIMEOUT if is_first else self._share,
                connection_class=_Connection,
                # Prepared statements stay cached for as long as the connection lasts.
                max_cached_statement_lifetime=0,
                server_settings=self._settings,
                target_session_attrs=SessionAttribute.read_write,
            )
        except asyncpg.TargetServerAttributeNotMatched as error:
            raise asyncpg.TargetServerAttributeNotMatched("it takes no writes") from error


class _Connection(asyncpg.Connection):
    """
    Remembers what it has asked the server about built-in types, such as arrays, for all others.

    Otherwise each new connection would ask again, by a query of a dozen parts.
    """

    # A private method of the driver; a test notices when the driver no longer calls it.
    async def _introspect_types(
        self,
        typeoids: Collection[int],
        timeout: float | None,  # noqa: ASYNC109  # The driver's signature.
    ) -> tuple[Sequence[asyncpg.Record], object]:
        asked = frozenset(typeoids)
        if asked not in _TYPES:
            types: Sequence[asyncpg.Record]
            types, statement = await super()._introspect_types(typeoids, timeout)  # type: ignore[misc]
            if max(asked) >= _FIRST_OWN_TYPE:
                return types, statement
            _TYPES[asked] = types
        return _TYPES[asked], _NAMED


async def check_session(connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record]) -> None:
    """
    Raise DatabaseError for a server that can't be used; warn if commits may be lost in a crash.

    A commit is durable if `synchronous_commit` and `fsync` are on. The operator decides whether
    they are, and whether a commit waits for a standby.
    """
    row = await connection.fetchrow(_ASK)
    assert row is not None, "a statement without a table gives one row"
    if row["version_number"] < _OLDEST:
        raise DatabaseError(
            f"PostgreSQL {row['version']} is too old: 13 is the oldest that can be used"
        )
    if row["encoding"] not in _ENCODINGS:
        raise DatabaseError(
            f"The database's encoding is {row['encoding']}, which can't store every text: create"
            " one with ENCODING 'UTF8'"
        )
    if row["plan_cache_mode"] != SETTINGS["plan_cache_mode"]:
        raise DatabaseError(
            "The session does not have the settings it was opened with: a pooler in between"
            " (PgBouncer) can't be used, connect to the server itself"
        )
    for setting in ("synchronous_commit", "fsync"):
        if row[setting] == "off":
            _log.warning(
                "%s is off: acknowledged data may be lost if the database server crashes",
                setting,
            )
