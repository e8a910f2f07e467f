"""Durable sleeps: stored at once, and held until the deadline."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta

from runtara_domain.error import DatabaseError, NoAnswer
from runtara_domain.held_sleeps import HeldSleeps
from runtara_domain.model import Caller, Signal, Sleep, Slept
from runtara_domain.ports.checkpoints import Checkpoints
from runtara_domain.ports.claims import Claims
from runtara_domain.ports.clock import Clock
from runtara_domain.ports.signals import Signals
from runtara_domain.ports.transport import ignore
from runtara_domain.record import record
from runtara_domain.sessions import Session
from runtara_domain.status import MOVES, WORKING, Move, SignalType, State
from runtara_domain.use_cases.admission import require_admitted
from runtara_domain.waits import Wait, Waits, WakeReason

RETRY = timedelta(seconds=1)

_ACTION = "sleep"

_log = logging.getLogger(__name__)


@record
class SleepDurably:
    """Store a deadline, and return when it has passed or a cancel is pending."""

    checkpoints: Checkpoints
    claims: Claims
    signals: Signals
    waits: Waits
    held: HeldSleeps
    clock: Clock

    async def __call__(
        self,
        *,
        session: Session,
        caller: Caller,
        sleep: Sleep,
        on_stored: Callable[[], None] = ignore,
    ) -> None:
        if sleep.detach:
            await self._store(caller, sleep)
            return
        try:
            with ExitStack() as holding:
                held = await self._hold(holding, session, caller, sleep)
                del sleep  # The state may be large, and a sleep is held for long.
                on_stored()
                is_over = held is None or await self._until_woken(*held)
        except (DatabaseError, asyncio.CancelledError):
            # It may have been claimed here, and no session is left to wake it.
            self.held.drop(caller.instance_id)
            raise
        if not is_over:
            await self.held.release(caller.instance_id)
            raise NoAnswer

    async def _store(self, caller: Caller, sleep: Sleep) -> None:
        async with self.held.turn(caller.instance_id):
            slept = await self._begin(caller, sleep, self.clock.now())
        require_admitted(caller, slept.before, WORKING, _ACTION)

    async def _hold(
        self, holding: ExitStack, session: Session, caller: Caller, sleep: Sleep
    ) -> tuple[Wait, Caller] | None:
        async with self.held.turn(caller.instance_id):
            wait = holding.enter_context(self.waits.hold(session, caller.instance_id))
            now = self.clock.now()
            slept = await self._begin(caller, sleep, now)
            run_state = require_admitted(caller, slept.before, WORKING, _ACTION)
            if slept.wake_at is None or slept.wake_at <= now or _is_cancel(slept.signal):
                return None
            sleeper = Caller(caller.instance_id, run_state.run)
            holding.enter_context(self.held.hold(sleeper, slept.wake_at))
        self.waits.fire_at(wait, slept.wake_at)
        return wait, sleeper

    async def _begin(self, caller: Caller, sleep: Sleep, now: datetime) -> Slept:
        return await self.checkpoints.sleep(
            caller,
            sleep,
            when=WORKING,
            claim=self.held.claim(),
            earliest=self.held.earliest(caller.instance_id),
            at=now,
        )

    async def _until_woken(self, wait: Wait, sleeper: Caller) -> bool:
        is_blind = False
        while True:
            match await wait.next():
                case WakeReason.DISCONNECTED | WakeReason.ENDING:
                    return False
                case WakeReason.RECHECK:
                    is_over = await self._is_over(sleeper, is_blind=is_blind)
                    is_blind = is_over is None
                    if is_blind:
                        self.waits.recheck_after(wait, RETRY)
                case WakeReason.DUE:
                    is_over = True
            if is_over and await self._wake(wait, sleeper):
                return True

    async def _is_over(self, sleeper: Caller, *, is_blind: bool) -> bool | None:
        try:
            pending = await self.signals.pending(sleeper)
        except DatabaseError as error:
            # The sleep may last for years: the database must answer only at its end.
            if not is_blind:
                _log.warning("signals of a sleeper not read, will be tried again: %s", error)
            return None
        require_admitted(sleeper, pending.before, WORKING, _ACTION)
        return _is_cancel(pending.signal)

    async def _wake(self, wait: Wait, sleeper: Caller) -> bool:
        woken = await self.claims.wake(
            sleeper,
            token=self.held.token,
            when=MOVES[Move.WAKE].sources,
            at=self.clock.now(),
        )
        run_state = require_admitted(sleeper, woken.before, WORKING, _ACTION)
        if woken.claimed_until is not None and run_state.state is State.ASLEEP:
            # An environment is about to launch it. If it doesn't, this server claims it again
            # later.
            self.waits.fire_after(wait, RETRY)
            return False
        return True


def _is_cancel(signal: Signal | None) -> bool:
    return signal is not None and signal.type is SignalType.CANCEL
