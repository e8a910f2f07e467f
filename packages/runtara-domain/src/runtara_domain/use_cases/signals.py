"""Sending, polling and acknowledging signals."""

import json
from collections.abc import Collection
from datetime import timedelta

from runtara_domain import values
from runtara_domain.activity import Activity
from runtara_domain.error import InstanceNotFound, InvalidInstanceState
from runtara_domain.model import Caller, CustomSignal, Delivered, Pending, Sent, Signal
from runtara_domain.ports.clock import Clock, TellsTime
from runtara_domain.ports.signals import Signals
from runtara_domain.ports.transport import OnAbandoned, never_abandoned
from runtara_domain.record import record
from runtara_domain.sessions import Session
from runtara_domain.status import OPEN, InstanceStatus, SignalType, State
from runtara_domain.use_cases.admission import require_current, superseded
from runtara_domain.waits import Waits, WakeReason

MAX_WAIT = timedelta(minutes=1)
_MILLISECOND = timedelta(milliseconds=1)
_SENT_TO = frozenset({"signal", "promise", "decision", "child"})
"""Kinds of waits that a custom signal of their name ends."""
_SHOWN = 10


@record
class PollSignals:
    """Read pending signals, and wait for one if there is none."""

    signals: Signals
    waits: Waits
    activity: Activity
    clock: Clock

    async def __call__(
        self,
        *,
        session: Session,
        caller: Caller,
        checkpoint_ids: Collection[str],
        wait: timedelta,
        on_abandoned: OnAbandoned = never_abandoned,
    ) -> Pending:
        for checkpoint_id in checkpoint_ids:
            values.check_id("checkpoint_id", checkpoint_id)
        values.check_range("wait_ms", wait // _MILLISECOND, 0, MAX_WAIT // _MILLISECOND)
        self.activity.note(caller)
        if not wait:
            return await self._read(caller, checkpoint_ids)
        with (
            self.waits.hold(session, caller.instance_id) as held,
            on_abandoned(lambda: held.wake(WakeReason.DISCONNECTED)),
        ):
            self.waits.fire_after(held, wait)
            while True:
                pending = await self._read(caller, checkpoint_ids)
                if pending.signal or pending.custom_signals:
                    return pending
                match await held.next():
                    case WakeReason.DUE:
                        self.activity.note(caller)
                        # A signal may have come in the same iteration of the loop.
                        return await self._read(caller, checkpoint_ids)
                    case WakeReason.DISCONNECTED | WakeReason.ENDING:
                        # The session is closed, so the poll is no sign of life.
                        return pending

    async def _read(self, caller: Caller, checkpoint_ids: Collection[str]) -> Pending:
        pending = await self.signals.pending(caller, checkpoint_ids)
        if pending.before is not None and pending.before.supersedes(caller):
            raise superseded(caller.instance_id, caller.run, pending.before.run)
        return pending


@record
class AcknowledgeSignal:
    """Acknowledge a signal for an instance."""

    signals: Signals
    waits: Waits
    activity: Activity
    clock: Clock

    async def __call__(
        self, *, session: Session, caller: Caller, signal: SignalType, accepted: bool
    ) -> None:
        if not accepted:
            pending = await self.signals.pending(caller)
            require_current(caller, pending.before)
            self.activity.note(caller)
            return
        done = await self.signals.acknowledge(caller, signal, at=self.clock.now())
        require_current(caller, done.before)
        if done.after is not None and done.after.is_final:
            session.ended(caller.instance_id)
        self.waits.recheck([caller.instance_id])


@record
class SendSignal:
    """
    Send CANCEL, PAUSE or RESUME to an open instance.

    Returns whether the signal stands: a pending cancel is not replaced by another signal. Raises
    InstanceNotFound, or InvalidInstanceState for a finished instance.
    """

    signals: Signals
    clock: TellsTime

    async def __call__(self, *, instance_id: str, signal: Signal) -> bool:
        values.check_id("instance_id", instance_id)
        values.check_bytes("payload", signal.payload, values.MAX_SIGNAL_BYTES)
        delivered = await self.signals.send(instance_id, signal, when=OPEN, at=self.clock.now())
        return _stands(instance_id, delivered)


@record
class SendCustomSignal:
    """
    Send an open instance a value for one of its checkpoints; a sleeping instance is then due.

    The first value stands, and a later one changes nothing. A value is stored even if the instance
    does not wait for it yet. Raises InstanceNotFound, or InvalidInstanceState for a finished
    instance.
    """

    signals: Signals
    clock: TellsTime

    async def __call__(self, *, instance_id: str, signal: CustomSignal) -> Sent:
        values.check_id("instance_id", instance_id)
        delivered = await self.signals.send_custom(
            instance_id, signal, when=OPEN, at=self.clock.now()
        )
        stands = _stands(instance_id, delivered)
        hint = _hint(instance_id, signal.checkpoint_id, delivered)
        before = delivered.before
        return Sent(stands, hint, stands and before is not None and before.state is State.ASLEEP)


def _hint(instance_id: str, name: str, delivered: Delivered) -> str | None:
    """
    Return the hint that an instance is not known to wait for this name; None: it may wait for it.

    The waits of a suspended instance are known. A running one reports only waits of more than a
    second. Reports of other programs than our SDK are not read.
    """
    before, waits = delivered.before, delivered.waits
    if before is None:
        return None
    status = before.state.status
    if status is InstanceStatus.PENDING:
        return f"instance {instance_id!r} has not begun, and does not wait for {name!r} yet"
    is_running = status is InstanceStatus.RUNNING
    awaited = _names("[]" if waits is None and is_running else waits)
    if awaited is None or name in awaited:
        return None
    if is_running and not awaited:
        return f"instance {instance_id!r} runs, and has not reported that it waits for {name!r}"
    shown = [*map(repr, awaited[:_SHOWN]), *(["others"] if len(awaited) > _SHOWN else [])]
    others = ", ".join(shown) or "nothing that can be sent"
    verb, when = ("did not wait", "at its last report") if is_running else ("does not wait", "now")
    return f"instance {instance_id!r} {verb} for {name!r} {when}, but for {others}"


def _names(waits: str | None) -> list[str] | None:
    """Return the names for which an instance waits; None for another program's report."""
    try:
        found = json.loads(waits or "")
        return [one["name"] for one in found if one["kind"] in _SENT_TO]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _stands(instance_id: str, delivered: Delivered) -> bool:
    if delivered.before is None:
        raise InstanceNotFound(instance_id)
    if delivered.before.state.is_final:
        raise InvalidInstanceState(
            f"Instance {instance_id!r} is {delivered.before.state}: it takes no more signals"
        )
    return delivered.stands
