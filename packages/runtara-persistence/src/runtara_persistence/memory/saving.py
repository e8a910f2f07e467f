"""Saving checkpoints in memory, within one step."""

from datetime import datetime

from runtara_domain import values
from runtara_domain.model import CheckpointWrite, RunState, Saved
from runtara_domain.status import MOVES, Move
from runtara_persistence.memory.rows import CheckpointRow, InstanceRow
from runtara_persistence.memory.store import Store


def save(
    store: Store, row: InstanceRow, write: CheckpointWrite, before: RunState, at: datetime
) -> Saved:
    """Save a checkpoint, unless there is one, and stir the instance; the outcome has no signals."""
    found = store.checkpoint(row.instance_id, write.checkpoint_id)
    if found is None:
        insert(store, row, write.checkpoint_id, write.state, at)
        row.show_life(at)
    stir(row, at)
    is_large = found is not None and len(found.state) > values.MAX_FOUND_STATE_BYTES
    return Saved(before, None if found is None or is_large else found.state, is_large=is_large)


def insert(
    store: Store, row: InstanceRow, checkpoint_id: str, state: bytes, at: datetime
) -> CheckpointRow:
    """Put a checkpoint in, and move the instance's pointer to it."""
    new = CheckpointRow(
        id=store.next_id(),
        instance_id=row.instance_id,
        checkpoint_id=checkpoint_id,
        state=state,
        created_at=at,
    )
    store.checkpoints[row.instance_id, checkpoint_id] = new
    row.checkpoint_id = checkpoint_id
    return new


def stir(row: InstanceRow, at: datetime) -> None:
    """Let an instance that is asleep be RUNNING."""
    if row.state in MOVES[Move.STIR].sources:
        row.move(MOVES[Move.STIR].target, at)
