"""Watches signals and launchable instances, whether this process or another wrote them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

from runtara_domain.error import DatabaseError
from runtara_domain.record import record
from runtara_persistence import queries

if TYPE_CHECKING:
    from runtara_persistence.sqlite.database import Database

_SQL = queries.load("runtara_persistence.sqlite", "signals.sql")

SPACING = 0.04
"""Seconds from a poll without news to the next: a busy server makes many commits itself."""

_TICK = 0.125
"""The time between two checks of the log's file, as a part of the spacing."""

_COARSE = 0.02
"""Seconds within which a file may change twice without a change of its time."""

_SLOW = 2.0
"""Pauses between polls for a commit that may still be under way double up to these seconds."""

_log = logging.getLogger(__name__)

OnChanged: TypeAlias = Callable[[Collection[str] | None], None]
Launchable: TypeAlias = Callable[[], None]


@asynccontextmanager
async def watching(
    database: Database, changed: OnChanged, launchable: Launchable | None, spacing: float
) -> AsyncIterator[None]:
    """
    Fits `runtara_domain.ports.persistence.Persistence.watch`; spacing: as SPACING.

    Reports this process's own signals once they are durable, and others by polling the database;
    docs/decisions/0006 and 0023 say how.
    """
    path = database.log_path
    own = _OwnCommits(database)
    log = own if path is None else _Log(path, own, asyncio.get_running_loop().time())
    seen = await database.read("watch for signals", _look)
    database.watches.append(changed)
    try:
        # No other process reaches a database in memory, and it reports this one's signals itself.
        if log is own and launchable is None:
            yield
        else:
            looking = _keep_looking(database, log, seen, changed, launchable, spacing)
            async with _under_way(looking):
                yield
    finally:
        database.watches.remove(changed)


@record
class _Seen:
    """
    What the last poll of the database found.

    pending: a JSON object, which has for each instance a text that identifies its signal.
    launchable: a number that grows when instances become launchable.
    """

    version: int
    last_custom: int
    pending: str
    launchable: int


@asynccontextmanager
async def _under_way(looking: Coroutine[None, None, None]) -> AsyncIterator[None]:
    work = asyncio.create_task(looking)
    try:
        yield
    finally:
        work.cancel()
        await asyncio.wait([work])
        if not work.cancelled():
            work.result()


async def _keep_looking(
    database: Database,
    log: _Log | _OwnCommits,
    seen: _Seen,
    changed: OnChanged,
    launchable: Launchable | None,
    spacing: float,
) -> None:
    is_out, earliest = False, 0.0
    while True:
        now = await _reason_to_look(log, is_out, earliest, spacing * _TICK)
        last = seen
        earliest = now + spacing

        def step(connection: sqlite3.Connection, last: _Seen = last) -> tuple[_Seen, set[str]]:
            return _look_again(connection, last, log.shows_in_version)

        try:
            seen, news = await database.read("watch for signals", step)
        except DatabaseError as error:
            if not is_out:
                _log.warning("signals not watched, will be tried again: %s", error)
            is_out = True
            continue
        is_out = False
        log.looked(now)
        if news:
            earliest = now
            changed(news)
        if launchable is not None and seen.launchable != last.launchable:
            earliest = now
            launchable()


async def _reason_to_look(
    log: _Log | _OwnCommits, is_out: bool, earliest: float, tick: float
) -> float:
    """Wait for `earliest` and until the log may have moved or the database was out; return when."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[float] = loop.create_future()

    def glance() -> None:
        now = loop.time()
        if found.done():
            return
        if (log.may_have_moved(now) or is_out) and now >= earliest:
            found.set_result(now)
        else:
            loop.call_later(tick, glance)

    # A bare timer: in a task that sleeps, each check would take a third more CPU time.
    loop.call_later(tick, glance)
    return await found


class _Log:
    """Sees at the log's file, without a statement, whether there may have been a commit."""

    shows_in_version = True
    """Whether the polling connection sees each reported change as a new `data_version`."""

    def __init__(self, path: str, own: _OwnCommits, now: float) -> None:
        self._path = path
        self._own = own
        self._last = self._stat()
        self._is_new = False
        self._pause = _COARSE
        self._next_at: float | None = now + _COARSE

    def may_have_moved(self, now: float) -> bool:
        """
        Whether the file has changed since the database was polled, or might have without a trace.

        The file's time is coarse: a second change within a few milliseconds may leave it as it was.
        A commit also shows in the database only once it is on the disk, and that does not change
        the file again. After a change the answer is therefore True again at growing intervals.
        """
        found = self._stat()
        if found is None or found != self._last:
            self._last, self._is_new = found, True
            self._pause, self._next_at = _COARSE, now + _COARSE
        is_time = self._next_at is not None and self._next_at <= now
        return self._own.may_have_moved(now) or self._is_new or is_time

    def looked(self, now: float) -> None:
        """Note that the database was polled, at this time, after the last `may_have_moved`."""
        self._own.looked(now)
        self._is_new = False
        if self._next_at is not None and self._next_at <= now:
            self._pause *= 2
            self._next_at = now + self._pause if self._pause <= _SLOW else None

    def _stat(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            # If the file can't be read, the poll of the database will raise the reason.
            return None
        return found.st_size, found.st_mtime_ns


class _OwnCommits:
    """Sees whether this process has committed to the database, such as one in memory."""

    shows_in_version = False

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen = self._found = database.commits

    def may_have_moved(self, now: float) -> bool:
        """Whether there was a commit since the database was polled."""
        self._found = self._database.commits
        return self._found != self._seen

    def looked(self, now: float) -> None:
        """Note that the database was polled after the last `may_have_moved`."""
        self._seen = self._found


def _look(connection: sqlite3.Connection) -> _Seen:
    [version] = connection.execute(_SQL["watch.version"]).fetchone()
    [last_custom] = connection.execute(_SQL["watch.last_custom"]).fetchone()
    [pending] = connection.execute(_SQL["watch.pending"]).fetchone()
    [launchable] = connection.execute(_SQL["watch.launchable"]).fetchone()
    return _Seen(version, last_custom, pending, launchable)


def _look_again(
    connection: sqlite3.Connection, last: _Seen, shows_in_version: bool
) -> tuple[_Seen, set[str]]:
    [version] = connection.execute(_SQL["watch.version"]).fetchone()
    if version == last.version and shows_in_version:
        return last, set()
    custom = connection.execute(_SQL["watch.custom"], {"last_custom": last.last_custom}).fetchall()
    [pending] = connection.execute(_SQL["watch.pending"]).fetchone()
    news = {instance_id for _, instance_id in custom} | _new_ones(last.pending, pending)
    last_custom = max((row_id for row_id, _ in custom), default=last.last_custom)
    [launchable] = connection.execute(_SQL["watch.launchable"]).fetchone()
    return _Seen(version, last_custom, pending, launchable), news


def _new_ones(last: str, now: str) -> set[str]:
    # Many signals may be pending and rarely is one new: one text of all is compared fast.
    if now == last:
        return set()
    before: dict[str, str] = json.loads(last)
    return {
        instance_id
        for instance_id, signal in json.loads(now).items()
        if before.get(instance_id) != signal
    }
