"""Collects signs of life, and writes them together."""

import asyncio
import logging
from datetime import timedelta

from runtara_domain.error import DatabaseError
from runtara_domain.model import Caller
from runtara_domain.ports.clock import Clock
from runtara_domain.ports.instances import Instances

_log = logging.getLogger(__name__)

DELAY = timedelta(milliseconds=500)


class Activity:
    """
    Moves `last_activity_at` of callers with a sign of life, within a second and in one step.

    Without a sign of life it writes nothing.
    """

    def __init__(self, instances: Instances, clock: Clock) -> None:
        self._instances = instances
        self._clock = clock
        self._heard: set[Caller] = set()
        self._any = asyncio.Event()

    def note(self, caller: Caller) -> None:
        """Note that the caller's process is alive."""
        self._heard.add(caller)
        self._any.set()

    async def keep(self) -> None:
        """Write noted callers, again and again, until cancelled."""
        while True:
            await self._any.wait()
            await self._clock.pause(DELAY)
            await self.flush()

    async def flush(self) -> None:
        """Write noted callers now; those that the database does not take stay noted."""
        heard, self._heard = self._heard, set()
        self._any.clear()
        if not heard:
            return
        try:
            left = await self._instances.mark_active(heard, at=self._clock.now())
        except BaseException as error:
            self._keep(heard)
            if not isinstance(error, DatabaseError):
                raise
            _log.warning("activity not written, will be tried again: %s", error)
        else:
            self._keep({caller for caller in heard if caller.instance_id in left})

    def _keep(self, left: set[Caller]) -> None:
        if left:
            self._heard |= left
            self._any.set()
