"""What an environment clears away: instances that ended long ago, and broken uploads."""

import logging
from dataclasses import dataclass
from datetime import timedelta

from runtara_domain.error import DatabaseError
from runtara_domain.launching.launcher import Launcher
from runtara_domain.ports.clock import Clock
from runtara_domain.ports.persistence import Persistence

_log = logging.getLogger(__name__)

_EVERY = timedelta(hours=1)
_BATCH = 1000
_UPLOAD = timedelta(hours=24)
"""How long an upload may take before what it left is taken for broken off."""


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """
    Clears away once an hour; retention: how long finished instances are kept, None: for ever.
    """

    persistence: Persistence
    launcher: Launcher
    clock: Clock
    retention: timedelta | None

    async def keep(self) -> None:
        """Go on until it is cancelled; a database that can't be asked is asked an hour later."""
        while True:
            await self.clock.pause(_EVERY)
            try:
                await self.clear()
            except DatabaseError as error:
                _log.warning("nothing was cleared away", extra={"why": str(error)})

    async def clear(self) -> int:
        """Clear away, a batch at a time; tells how many instances are gone."""
        now = self.launcher.now()
        await self.persistence.images.sweep(now - _UPLOAD)
        gone = 0
        if self.retention is None:
            return gone
        while True:
            count = await self.persistence.instances.prune(now - self.retention, limit=_BATCH)
            gone += count
            if count < _BATCH:
                break
        if gone:
            _log.info("finished instances deleted", extra={"instances": gone})
        return gone
