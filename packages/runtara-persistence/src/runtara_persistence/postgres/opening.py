"""Opening connections: to whichever host can write, and heard of once when there is none."""

import logging
from collections.abc import Iterator, Mapping

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from runtara_migrations.location import Address, PostgresLocation
from runtara_persistence.postgres.failure import FAILURES, explain

_SHARE = 0.8
"""Of the time a call has, for one try of every host."""
_LEAST_TIMEOUT = 1.0
_FIRST_TIMEOUT = 10.0
"""For the first connection to the only host: nobody waits but whoever starts the program."""
_ELSEWHERE = (
    OSError,
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.TargetServerAttributeNotMatched,
)
"""What another host may do better."""

_log = logging.getLogger(__name__)


class Opening:
    """
    Opens connections, each with these settings, to the first host that can write.

    The host that could last is asked first, and each has its share of the patience: one that is
    frozen or cut off keeps nobody from the next. patience: seconds a call has for all it does.
    """

    def __init__(
        self, place: PostgresLocation, *, settings: Mapping[str, str], patience: float
    ) -> None:
        self._place = place
        self._settings = dict(settings)
        # With a single one, asyncpg knows best what is meant: a service, a socket, localhost.
        self._hosts: list[Address | None] = [*place.hosts] if len(place.hosts) > 1 else [None]
        self._share = max(_LEAST_TIMEOUT, _SHARE * patience / len(self._hosts))
        self._last = 0
        self._is_reached: bool | None = None

    # As a pool calls it: what it brings are the driver's own defaults.
    async def __call__(self, *_: object, **__: object) -> "asyncpg.Connection[asyncpg.Record]":
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

    async def _open(self) -> "asyncpg.Connection[asyncpg.Record]":
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

    async def _connect(self, host: Address | None) -> "asyncpg.Connection[asyncpg.Record]":
        name, port = host or (None, None)
        is_first = self._is_reached is None and len(self._hosts) == 1
        try:
            return await asyncpg.connect(
                self._place.url,
                host=name,
                port=port,
                timeout=_FIRST_TIMEOUT if is_first else self._share,
                # A connection is good as long as it lasts, and so are its prepared statements.
                max_cached_statement_lifetime=0,
                server_settings=self._settings,
                target_session_attrs=SessionAttribute.read_write,
            )
        except asyncpg.TargetServerAttributeNotMatched as error:
            raise asyncpg.TargetServerAttributeNotMatched("it takes no writes") from error
