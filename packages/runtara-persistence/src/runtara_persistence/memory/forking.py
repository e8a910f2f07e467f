"""Forking in memory: a copy of an instance's history up to a point."""

from dataclasses import replace
from datetime import datetime

from runtara_domain import values
from runtara_domain.model.interventions import MAX_COPIED_CHECKPOINTS, Fork, Forked
from runtara_persistence.memory import launching
from runtara_persistence.memory.rows import CheckpointRow, InstanceRow
from runtara_persistence.memory.store import Store


def fork(store: Store, asked: Fork, at: datetime) -> Forked:
    """Carry out the port's step `launches.fork`."""
    source = store.instances.get(asked.instance_id)
    if source is None:
        return Forked(is_found=False)
    if asked.new_instance_id in store.instances:
        return Forked(is_taken=True)
    image_id = asked.image_id or launching.image_of(store, source)
    if image_id is not None and launching.image(store, image_id, source.tenant_id) is None:
        return Forked(image_is_found=False)
    rows = sorted(_saved(store, source.instance_id), key=lambda row: row.id)
    split = _split(rows, asked)
    if split is None:
        return Forked(point_is_found=False)
    copied, repeated = rows[:split], rows[split:]
    if len(copied) > MAX_COPIED_CHECKPOINTS:
        return Forked(is_too_long=True, copied=len(copied))
    child_id = _unheard_child(store, source, None if not repeated else copied[-1:])
    if child_id is not None:
        return Forked(open_child_id=child_id)
    _copy(store, source, asked.new_instance_id, image_id, copied, at)
    return Forked(copied=len(copied), repeated=tuple(row.checkpoint_id for row in repeated))


def _saved(store: Store, instance_id: str) -> list[CheckpointRow]:
    return [
        row
        for row in store.checkpoints.values()
        if row.instance_id == instance_id and not row.is_retry_attempt
    ]


def _unheard_child(
    store: Store, source: InstanceRow, last: list[CheckpointRow] | None
) -> str | None:
    """Find a child that began before the point and whose end is not in the copied history."""
    children = sorted(
        (child.instance_id, child)
        for child in store.instances.values()
        if (child.parent_id, child.tenant_id) == (source.instance_id, source.tenant_id)
    )
    for child_id, child in children:
        began_before = last is None or (last and child.created_at <= last[0].created_at)
        heard = store.custom_signal(source.instance_id, f"{values.CHILD_ENDED}{child_id}")
        if began_before and heard is None:
            return child_id
    return None


def _copy(
    store: Store,
    source: InstanceRow,
    new_id: str,
    image_id: str | None,
    copied: list[CheckpointRow],
    at: datetime,
) -> None:
    row = InstanceRow(
        instance_id=new_id,
        tenant_id=source.tenant_id,
        created_at=at,
        input=source.input,
        image_id=image_id,
        workflow=source.workflow,
        priority=source.priority,
        queue=source.queue,
        timeout_ms=source.timeout_ms,
        env=source.env or launching.env_text(store, source),
        checkpoint_id=copied[-1].checkpoint_id if copied else None,
    )
    names = {kept.checkpoint_id for kept in copied}
    for kept in sorted(store.checkpoints.values(), key=lambda each: each.id):
        is_meant = any(kept.belongs_to(name) for name in names)
        if kept.instance_id == source.instance_id and is_meant:
            copy = replace(kept, id=store.next_id(), instance_id=new_id)
            store.checkpoints[new_id, copy.checkpoint_id] = copy
    for signal in list(store.pending_checkpoint_signals.values()):
        if signal.instance_id == source.instance_id:
            copied_signal = replace(signal, id=store.next_id(), instance_id=new_id)
            store.put_custom_signal(copied_signal)
    store.put_instance(row)
    launching.associate(store, row, at)


def _split(rows: list[CheckpointRow], fork: Fork) -> int | None:
    """Return how many checkpoints lie before the point; None if the point is not among them."""
    names = [row.checkpoint_id for row in rows]
    if fork.through_checkpoint_id is not None:
        name = fork.through_checkpoint_id
        return names.index(name) + 1 if name in names else None
    if fork.before_checkpoint_id is not None:
        name = fork.before_checkpoint_id
        return names.index(name) if name in names else None
    return len(names)
