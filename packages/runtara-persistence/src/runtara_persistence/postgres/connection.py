"""Opens connections to the first host that takes writes, with the settings that steps need."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, TypeAlias

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from runtara_domain.error import DatabaseError
from runtara_persistence.postgres.driver_errors import FAILURES, explain

if TYPE_CHECKING:
    from runtara_migrations.location import Address, PostgresLocation

# In quotes, because this class is generic only for the type checker.
Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

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

_ARRAYS: Mapping[int, tuple[str, int]] = MappingProxyType(
    {
        1000: ("bool", 16),
        1001: ("bytea", 17),
        1007: ("int4", 23),
        1016: ("int8", 20),
        1185: ("timestamptz", 1184),
    }
)
"""The arrays that our statements use, with the name and id of what they consist of."""
_NAMED = SimpleNamespace(name="not asked")
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

    # The pool calls this with more arguments; they are the driver's defaults, and not needed.
    async def __call__(
        self, longest: float | None, *_: object, **__: object
    ) -> asyncpg.Connection[asyncpg.Record]:
        """
        Open a connection; raises one of FAILURES.

        longest: seconds that a statement may take if it names no other time, a `BEGIN`, `COMMIT` or
        `ROLLBACK` among them: a frozen server answers none. None: any time.
        """
        try:
            connection = await self._open(longest)
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

    async def _open(self, longest: float | None) -> asyncpg.Connection[asyncpg.Record]:
        failure: BaseException = OSError("there is no host")
        for place in self._in_turn():
            try:
                connection = await self._connect(self._hosts[place], longest)
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

    async def _connect(
        self, host: Address | None, longest: float | None
    ) -> asyncpg.Connection[asyncpg.Record]:
        name, port = host or (None, None)
        is_first = self._is_reached is None and len(self._hosts) == 1
        try:
            return await asyncpg.connect(
                self._place.url,
                host=name,
                port=port,
                timeout=_FIRST_TIMEOUT if is_first else self._share,
                connection_class=_Connection,
                command_timeout=longest,
                # Prepared statements stay cached for as long as the connection lasts.
                max_cached_statement_lifetime=0,
                server_settings=self._settings,
                target_session_attrs=SessionAttribute.read_write,
            )
        except asyncpg.TargetServerAttributeNotMatched as error:
            raise asyncpg.TargetServerAttributeNotMatched("it takes no writes") from error


class _Connection(asyncpg.Connection):
    """
    Knows arrays of built-in types, whose ids are the same on every server.

    Otherwise each new connection would ask for them by a query of a dozen parts.
    """

    # A private method of the driver; a test compares its answers with the server's.
    async def _introspect_types(
        self,
        typeoids: Collection[int],
        timeout: float | None,  # noqa: ASYNC109  # The driver's signature.
    ) -> tuple[Sequence[Mapping[str, object]], object]:
        if set(typeoids) <= _ARRAYS.keys():
            return [_array(each) for each in typeoids], _NAMED
        answer: tuple[Sequence[Mapping[str, object]], object]
        answer = await super()._introspect_types(typeoids, timeout)  # type: ignore[misc]
        return answer


def _array(type_id: int) -> dict[str, object]:
    """Return what the driver's query gives for an array."""
    name, element_id = _ARRAYS[type_id]
    return {
        "oid": type_id,
        "ns": "pg_catalog",
        "name": f"_{name}",
        "kind": b"b",
        "basetype": None,
        "elemtype": element_id,
        "elemdelim": b",",
        "range_subtype": None,
        "attrtypoids": None,
        "attrnames": None,
    }


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
