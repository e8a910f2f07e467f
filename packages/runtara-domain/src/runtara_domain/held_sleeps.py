"""The sleeps this process holds, and its claims on the instances that sleep them."""

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from runtara_domain.error import DatabaseError
from runtara_domain.fifo import Fifo, Turn
from runtara_domain.model import Caller, Claim, RunState
from runtara_domain.ports.claims import Claims
from runtara_domain.ports.clock import Clock
from runtara_domain.status import WORKING
from runtara_domain.waits import Waits

CLAIM = timedelta(seconds=30)
RENEWAL = timedelta(seconds=10)
RETRY = timedelta(seconds=1)
PATIENCE = timedelta(seconds=10)
"""How long a sleep waits for earlier sleeps of its instance that are beginning."""

_log = logging.getLogger(__name__)


class HeldSleeps:
    """
    Renews the claims of held sleeps, and wakes a sleep whose claim is lost for a recheck.

    `keep` must be running. The claims of a process that dies run out. A lost claim is taken again
    once it is free.
    """

    def __init__(self, token: str, claims: Claims, waits: Waits, clock: Clock) -> None:
        self.token = token
        self._claims = claims
        self._waits = waits
        self._clock = clock
        self._deadlines: dict[str, Counter[datetime]] = {}
        self._runs: dict[str, int] = {}
        self._turns = Fifo(lambda: clock.pause(PATIENCE), _late)
        self._missing: set[str] = set()
        self._dropped: set[str] = set()
        self._any = asyncio.Event()

    @property
    def held(self) -> int:
        """How many instances have a sleep held here."""
        return len(self._deadlines)

    def claim(self) -> Claim:
        """Return the claim with which a sleep begins or is renewed."""
        return Claim(self.token, self._clock.now() + CLAIM)

    def earliest(self, instance_id: str) -> datetime | None:
        """Return the earliest future deadline that is held for an instance; None without one."""
        now = self._clock.now()
        deadlines = self._deadlines.get(instance_id, ())
        return min((each for each in deadlines if each > now), default=None)

    def turn(self, instance_id: str) -> Turn:
        """
        Return a turn in which a sleep of the instance begins, after the turns before it.

        Entering it raises DatabaseError if the turns before it take too long.
        """
        return self._turns.turn({instance_id})

    @contextmanager
    def hold(self, caller: Caller, deadline: datetime) -> Iterator[None]:
        """Count a sleep as held for the time of the block."""
        deadlines = self._deadlines.setdefault(caller.instance_id, Counter())
        deadlines[deadline] += 1
        self._runs[caller.instance_id] = caller.run or 0
        self._any.set()
        try:
            yield
        finally:
            deadlines[deadline] -= 1
            if not deadlines[deadline]:
                del deadlines[deadline]
            if not deadlines:
                del self._deadlines[caller.instance_id], self._runs[caller.instance_id]

    def drop(self, instance_id: str) -> None:
        """Let `keep` release the claim, for callers that can't wait for it."""
        self._dropped.add(instance_id)
        self._any.set()

    async def release(self, instance_id: str) -> None:
        """
        Release the claim, unless this process holds another sleep of the instance.

        If the database fails or the caller is cancelled, `keep` does it later.
        """
        self.drop(instance_id)
        await self._release([instance_id])

    async def release_dropped(self) -> None:
        """Release the claims that are left, in one statement that waits for no lock."""
        await self._release(sorted(self._dropped))

    async def keep(self) -> None:
        """
        Renew all claims, in one statement each time, until cancelled.

        A claim whose row was locked, and a failed release, are tried again every second.
        """
        while True:
            await self._any.wait()
            await self._make_up_until(self._clock.uptime() + RENEWAL)
            self._missing.clear()
            await self._try_to_renew(self._deadlines)
            await self.release_dropped()
            if not self._deadlines and not self._dropped:
                self._any.clear()

    async def _make_up_until(self, uptime: timedelta) -> None:
        while self._clock.uptime() < uptime:
            await self._clock.pause(RETRY)
            await self._try_to_renew(self._missing)
            await self.release_dropped()

    async def _release(self, instance_ids: Sequence[str]) -> None:
        # A sleep that is beginning goes first, and may keep the claim. That may take long,
        # and the release of all others would wait for it.
        idle = [each for each in instance_ids if not self._turns.is_busy(each)]
        async with self._turns.turn(idle):
            freed = [each for each in idle if each not in self._deadlines]
            held_up: set[str] = set()
            try:
                if freed:
                    held_up = await self._claims.release(self.token, freed, at=self._clock.now())
            except DatabaseError as error:
                _log.warning("wake claims not given back, will be tried again: %s", error)
            else:
                self._dropped -= set(idle) - held_up

    async def _try_to_renew(self, instance_ids: Collection[str]) -> None:
        sleepers = {
            Caller(each, self._runs[each]): self.earliest(each)
            for each in instance_ids
            if each in self._runs
        }
        try:
            if sleepers:
                await self._renew(sleepers)
        except DatabaseError as error:
            _log.warning("wake claims not renewed, will be tried again: %s", error)

    async def _renew(self, sleepers: Mapping[Caller, datetime | None]) -> None:
        try:
            run_states = await self._claims.renew(self.claim(), sleepers, at=self._clock.now())
        finally:
            # A claim that was released meanwhile may have a new owner.
            for sleeper in sleepers:
                if sleeper.instance_id not in self._deadlines:
                    self.drop(sleeper.instance_id)
        astray = {
            sleeper.instance_id
            for sleeper in sleepers
            if not _sleeps_on(sleeper, run_states.get(sleeper.instance_id))
        }
        # One recheck an instance until the next round, though another server keeps its claim.
        self._waits.recheck(astray - (self._missing - run_states.keys()))
        self._missing = astray - run_states.keys()


def _sleeps_on(sleeper: Caller, run_state: RunState | None) -> bool:
    """Return whether the held sleep goes on: its instance is asleep, or RUNNING beside it."""
    return run_state is not None and run_state.admits(sleeper, WORKING)


def _late(instance_ids: Collection[str]) -> DatabaseError:
    [instance_id] = instance_ids
    return DatabaseError(
        f"Failed to begin a sleep: earlier sleeps of instance {instance_id!r} have not begun after"
        f" {PATIENCE.total_seconds():g} s; repeat the request"
    )
