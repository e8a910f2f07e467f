"""Checkpoints in memory."""

from datetime import datetime

from runtara_domain.model import Caller, Checkpoint, CheckpointWrite, Saved
from runtara_domain.status import MOVES, Condition, Move
from runtara_persistence.memory.store import CheckpointRow, Store


class MemoryCheckpoints:
    """Fits `runtara_domain.ports.checkpoints.Checkpoints`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def save(
        self, caller: Caller, write: CheckpointWrite, *, when: Condition, at: datetime
    ) -> Saved:
        await self._store.turn()
        row = self._store.instances.get(caller.instance_id)
        if row is None:
            return Saved(before=None)
        before = row.standing
        if not before.admits(caller, when):
            return Saved(before)
        found = self._store.checkpoint(caller.instance_id, write.checkpoint_id)
        if found is None:
            self._insert(caller.instance_id, write, at)
            row.checkpoint_id = write.checkpoint_id
            row.last_activity_at = at
        if before.state in MOVES[Move.STIR].sources:
            row.move(MOVES[Move.STIR].target, at)
        return Saved(
            before,
            kept=None if found is None else found.state,
            signal=self._store.pending_signal(caller.instance_id),
            custom_signal=self._store.custom_signal(caller.instance_id, write.checkpoint_id),
        )

    async def get(self, instance_id: str, checkpoint_id: str) -> Checkpoint | None:
        await self._store.turn()
        row = self._store.checkpoint(instance_id, checkpoint_id)
        if row is None:
            return None
        return Checkpoint(row.checkpoint_id, row.state, row.created_at, row.wake_at)

    def _insert(self, instance_id: str, write: CheckpointWrite, at: datetime) -> None:
        self._store.checkpoints[instance_id, write.checkpoint_id] = CheckpointRow(
            id=self._store.next_id(),
            instance_id=instance_id,
            checkpoint_id=write.checkpoint_id,
            state=write.state,
            created_at=at,
        )
