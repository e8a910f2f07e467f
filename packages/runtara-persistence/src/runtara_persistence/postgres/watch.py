"""Watches signals and launchable instances; triggers notify, whichever program wrote them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from runtara_domain.error import DatabaseError
from runtara_persistence.postgres.driver_errors import FAILURES

if TYPE_CHECKING:
    from runtara_persistence.postgres.database import Database

_SIGNALS = "runtara_signals"
_LAUNCHABLE = "runtara_launchable"
_ALIVE_EVERY = 30.0
_ALIVE_TIMEOUT = 5.0
_PAUSE = 0.25

_log = logging.getLogger(__name__)

OnChanged: TypeAlias = Callable[[Collection[str] | None], None]
Launchable: TypeAlias = Callable[[], None] | None
_Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@asynccontextmanager
async def watching(
    database: Database, changed: OnChanged, launchable: Launchable
) -> AsyncIterator[None]:
    """
    Fits `runtara_domain.ports.persistence.Persistence.watch`.

    Listens on a connection of its own. If that connection is lost, another is opened as soon as
    possible. Both callbacks are then called, because anything may have changed meanwhile.
    """
    listener = _Listener(database, changed, launchable)
    await listener.listen()
    work = asyncio.create_task(listener.keep_listening())
    try:
        yield
    finally:
        work.cancel()
        await asyncio.wait([work])
        await listener.close()
        if not work.cancelled():
            work.result()


class _Listener:
    def __init__(self, database: Database, changed: OnChanged, launchable: Launchable) -> None:
        self._database = database
        self._changed = changed
        self._launchable = launchable
        self._connection: _Connection | None = None
        self._lost = asyncio.Event()

    async def listen(self) -> None:
        """Open a connection and listen; raises DatabaseError."""
        connection = await self._database.connect()
        try:
            self._lost.clear()
            connection.add_termination_listener(self._on_termination)
            await connection.add_listener(_SIGNALS, self._on_signal)
            if self._launchable is not None:
                await connection.add_listener(_LAUNCHABLE, self._on_launchable)
        except FAILURES as error:
            connection.terminate()
            raise DatabaseError(f"Failed to listen for signals: {error}") from error
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection

    async def keep_listening(self) -> None:
        """Listen again whenever the connection is lost, until cancelled."""
        while True:
            if await self._is_alive():
                continue
            _log.warning("signals not watched: the connection was lost, will be opened again")
            await self.close()
            await self._listen_again()
            self._changed(None)
            if self._launchable is not None:
                self._launchable()

    async def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.remove_termination_listener(self._on_termination)
            # Terminated at once: no statement is under way, and no caller waits for a goodbye.
            connection.terminate()

    async def _is_alive(self) -> bool:
        """
        Return False when the connection is lost, True when it has answered a probe after a while.

        The probe is needed because a network may swallow the end of a connection.
        """
        try:
            async with asyncio.timeout(_ALIVE_EVERY):
                await self._lost.wait()
        except TimeoutError:
            return await self._answers()
        return False

    async def _answers(self) -> bool:
        if self._connection is None:
            return False
        try:
            await self._connection.execute("SELECT 1", timeout=_ALIVE_TIMEOUT)
        except FAILURES as error:
            _log.warning("the connection that listens for signals does not answer: %s", error)
            return False
        return True

    async def _listen_again(self) -> None:
        while True:
            try:
                return await self.listen()
            except DatabaseError as error:
                _log.debug("signals not watched yet: %s", error)
            await asyncio.sleep(_PAUSE)

    def _on_termination(self, connection: object) -> None:
        self._lost.set()

    def _on_launchable(self, *_: object) -> None:
        if self._launchable is not None:
            self._launchable()

    def _on_signal(self, connection: object, process: int, channel: str, payload: object) -> None:
        self._changed([payload] if isinstance(payload, str) and payload else None)
