"""Deletes instances that finished long ago, folders of launches, and abandoned uploads."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from runtara_domain.error import DatabaseError
from runtara_domain.launching.launcher import Launcher
from runtara_domain.ports.clock import Clock
from runtara_domain.ports.persistence import Persistence

_log = logging.getLogger(__name__)

_EVERY = timedelta(hours=1)
_BATCH = 1000
_UPLOAD = timedelta(hours=24)
"""The age at which an unfinished upload counts as abandoned."""


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """
    Deletes old instances and files once an hour.

    retention: how long finished instances are kept, None: for ever. sweep: deletes files of
    launches on this machine; its arguments are a function that says which instances are stored, and
    how long files of other instances are kept.
    """

    persistence: Persistence
    launcher: Launcher
    clock: Clock
    retention: timedelta | None
    sweep: Callable[[Callable[[str], Awaitable[bool]], timedelta | None], Awaitable[int]]

    async def keep(self) -> None:
        """Go on until it is cancelled; a database that can't be asked is asked an hour later."""
        while True:
            await self.clock.pause(_EVERY)
            try:
                await self.clear()
            except (DatabaseError, OSError) as error:
                _log.warning("clean-up failed", extra={"reason": str(error)})

    async def clear(self) -> int:
        """Delete, a batch at a time; return the number of deleted instances."""
        now = self.launcher.now()
        await self.persistence.images.sweep(now - _UPLOAD)
        gone = 0 if self.retention is None else await self._prune(now - self.retention)
        if gone:
            _log.info("finished instances deleted", extra={"instances": gone})
        folders = await self.sweep(self._is_stored, self.retention)
        if folders:
            _log.info("folders of launches deleted", extra={"folders": folders})
        return gone

    async def _prune(self, before: datetime) -> int:
        gone = 0
        while True:
            count = await self.persistence.instances.prune(before, limit=_BATCH)
            gone += count
            if count < _BATCH:
                return gone

    async def _is_stored(self, instance_id: str) -> bool:
        return await self.persistence.instances.get(instance_id) is not None
