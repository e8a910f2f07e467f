"""Claims in memory, and waking."""

from collections.abc import Collection, Mapping
from datetime import datetime

from runtara_domain import values
from runtara_domain.model import Caller, Claim, Claimed, RunState, Woken
from runtara_domain.status import MOVES, Condition, InstanceStatus, Move, SignalType
from runtara_persistence import records
from runtara_persistence.memory.rows import InstanceRow
from runtara_persistence.memory.store import OnStore, step

_RELAUNCHING = frozenset({SignalType.CANCEL, SignalType.RESUME})


class MemoryClaims(OnStore):
    """Fits `runtara_domain.ports.claims.Claims`."""

    @step
    def claim_due(self, claim: Claim, *, limit: int, at: datetime) -> list[Claimed]:
        values.check_limit(limit)
        waiting = [
            (max(due, row.wake_claim_until or due), row.instance_id, row)
            for row in self._store.instances.values()
            if row.status is InstanceStatus.SUSPENDED
            and (due := self._due_since(row, at)) is not None
            and not row.is_claimed(at)
        ]
        rows = [row for *_, row in sorted(waiting, key=lambda place: place[:2])[:limit]]
        for row in rows:
            row.claim(claim)
        return [records.claimed(row) for row in rows]

    @step
    def next_due(self, *, at: datetime) -> datetime | None:
        moments = (
            self._due_from(row, at)
            for row in self._store.instances.values()
            if row.status is InstanceStatus.SUSPENDED
        )
        first = min((moment for moment in moments if moment is not None), default=None)
        return None if first is None else max(first, at)

    @step
    def renew(
        self, claim: Claim, sleepers: Mapping[Caller, datetime | None], *, at: datetime
    ) -> Mapping[str, RunState]:
        run_states = {}
        for sleeper, moment in sleepers.items():
            row = self._store.instances.get(sleeper.instance_id)
            if row is not None:
                run_states[row.instance_id] = row.run_state
                if row.run_state.admits(sleeper, MOVES[Move.WAKE].sources):
                    _renew(row, claim, moment, at)
        return run_states

    @step
    def release(self, token: str, instance_ids: Collection[str], *, at: datetime) -> set[str]:
        for instance_id in instance_ids:
            row = self._store.instances.get(instance_id)
            if row is not None and row.wake_claim_by == token:
                row.wake_claim_by, row.wake_claim_until = None, at
                self._store.tell_if_launchable(row, at)
        return set()

    @step
    def wake(self, caller: Caller, *, token: str, when: Condition, at: datetime) -> Woken:
        row = self._store.instances.get(caller.instance_id)
        if row is None:
            return Woken(before=None, woken=False)
        before = row.run_state
        if row.is_anothers(token, at):
            return Woken(before, woken=False, claimed_until=row.wake_claim_until)
        woken = before.admits(caller, when)
        if woken:
            row.move(MOVES[Move.WAKE].target, at)
            row.show_life(at)
            self._store.tell_if_launchable(row, at)
        return Woken(before, woken)

    def _due_from(self, row: InstanceRow, at: datetime) -> datetime | None:
        """Return when the instance may be claimed; None: only after another event."""
        due = at if self._store.is_sent_for(row) else row.sleep_until
        if due is None or row.wake_claim_by is None or row.wake_claim_until is None:
            return due
        return max(due, row.wake_claim_until)

    def _due_since(self, row: InstanceRow, at: datetime) -> datetime | None:
        moments = []
        if row.sleep_until is not None and row.sleep_until <= at:
            moments.append(row.sleep_until)
        sent = self._store.unacknowledged(row.instance_id)
        if sent is not None and sent.signal_type in _RELAUNCHING and not row.was_blocked_with(sent):
            moments.append(sent.created_at)
        return min(moments, default=None)


def _renew(row: InstanceRow, claim: Claim, moment: datetime | None, at: datetime) -> None:
    if row.is_anothers(claim.token, at):
        return
    if moment is not None and row.sleep_until is not None:
        row.sleep_until = min(row.sleep_until, moment)
    half_way = at + (claim.until - at) / 2
    if row.wake_claim_by == claim.token or not row.is_claimed(half_way):
        row.claim(claim)
