"""Closes launches of lost environments, and ends stopped instances without an environment."""

import logging
import random
from collections.abc import Collection
from datetime import datetime, timedelta

from runtara_domain.error import DatabaseError
from runtara_domain.launching.crashes import CrashPolicy
from runtara_domain.launching.lease import LeaseKeeper
from runtara_domain.launching.verdicts import judge
from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.model.launches import Closing
from runtara_domain.model.verdicts import LaunchedInstance, Verdict
from runtara_domain.ports.persistence import Persistence

logger = logging.getLogger(__name__)

_AFTER_STOP = timedelta(seconds=2)
_BATCH = 100


class TakeOver:
    """Takes over from lost environments; of several that try, each step succeeds for one."""

    def __init__(self, persistence: Persistence, lease: LeaseKeeper, crashes: CrashPolicy) -> None:
        self._persistence, self._lease, self._crashes = persistence, lease, crashes
        self._stop_at: datetime | None = None

    def end_at(self, stop_at: datetime) -> None:
        """Note when a stop's grace ends."""
        self._stop_at = stop_at if self._stop_at is None else min(self._stop_at, stop_at)

    async def end_stopped(self) -> timedelta | None:
        """End stopped instances without an environment; return the time to the next call."""
        if self._stop_at is None:
            return None
        now = self._lease.now()
        left = self._stop_at + _AFTER_STOP - now
        if left > timedelta(0):
            return left
        ended = await self._persistence.launches.end_stopped(
            patience=_AFTER_STOP, limit=_BATCH, at=now
        )
        for instance_id in ended:
            logger.info("instance %r was stopped: no environment runs it", instance_id)
        self._stop_at = None
        # The renewal returns the time of the next stop.
        self._lease.ask()
        return None

    async def close_launches_of(self, lost: Collection[str]) -> None:
        """Close the open launches of environments whose leases have expired."""
        try:
            for environment_id in lost:
                await self._close_launches_of(environment_id)
        except DatabaseError as error:
            # The next renewal returns them again.
            logger.warning("lost launches can't be closed: %s", error)

    async def _close_launches_of(self, environment_id: str) -> None:
        launches = self._persistence.launches
        rows = await launches.open_launches(environment_id, at=self._lease.now())
        end = LaunchEnd(
            cause=Cause.ENVIRONMENT_LOST,
            reports=False,
            reason=f"its environment {environment_id} was lost",
        )
        for row in rows:
            closing = Closing(row.launch_id, end, chance=random.random(), only_if_lost=True)
            closed = await launches.close(closing, self._verdict, at=self._lease.now())
            if closed.is_closed:
                logger.warning("launch %s lost with environment %s", row.launch_id, environment_id)

    def _verdict(self, end: LaunchEnd, instance: LaunchedInstance) -> Verdict:
        return judge(end, instance, self._crashes)
