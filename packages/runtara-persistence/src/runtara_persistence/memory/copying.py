"""Taking a copy of an instance from memory, and putting one in."""

from datetime import datetime
from typing import Any

from runtara_domain.model import Event, EventType
from runtara_domain.model.instance_copies import (
    IMPORTED,
    RECORD,
    Copied,
    CopiedCheckpoint,
    CopiedEvent,
    CopiedInstance,
    CopiedSignal,
    InstanceCopy,
    PutCopy,
    check_copied,
)
from runtara_domain.status import State
from runtara_persistence.memory import launching
from runtara_persistence.memory.rows import CheckpointRow, CustomSignalRow, EventRow, InstanceRow
from runtara_persistence.memory.store import Store
from runtara_persistence.records import columns, record


def take(store: Store, instance_id: str) -> Copied | None:
    """Carry out the port's step `launches.copy`."""
    row = store.instances.get(instance_id)
    if row is None:
        return None
    checkpoints = sorted(_of(instance_id, store.checkpoints), key=lambda one: one.id)
    signals = sorted(_of(instance_id, store.pending_checkpoint_signals), key=lambda one: one.id)
    events = [one for one in store.instance_events if one.instance_id == instance_id]
    said = [one.payload or b"" for one in (*events, *signals)]
    check_copied(sum(len(one) + RECORD for one in (*(kept.state for kept in checkpoints), *said)))
    copy = InstanceCopy(
        instance=_instance(store, row),
        checkpoints=[record(CopiedCheckpoint, one) for one in checkpoints],
        events=[record(CopiedEvent, one) for one in events],
        signals=[record(CopiedSignal, one) for one in signals],
    )
    family = [
        one
        for one in store.instances.values()
        if one.tenant_id == row.tenant_id and one is not row and not one.state.is_final
    ]
    children = sorted(one.instance_id for one in family if one.parent_id == instance_id)
    parents = [one.instance_id for one in family if one.instance_id == row.parent_id]
    pending = store.pending_signal(instance_id)
    return Copied(
        copy=copy,
        state=row.state,
        open_launch_id=row.launch_id,
        open_parent_id=next(iter(parents), None),
        open_child_id=next(iter(children), None),
        pending_signal=None if pending is None else pending.type,
    )


def put(
    store: Store, copy: InstanceCopy, source: str, image_id: str | None, at: datetime
) -> PutCopy:
    """Carry out the port's step `launches.put_copy`."""
    one = copy.instance
    if one.instance_id in store.instances:
        known = (each for each in store.instance_events if each.instance_id == one.instance_id)
        is_same = any((each.subtype, each.payload) == (IMPORTED, source.encode()) for each in known)
        return PutCopy(is_same=is_same)
    if image_id is not None and launching.image(store, image_id, one.tenant_id) is None:
        return PutCopy(image_is_found=False)
    put_in = columns(one) | {"image_id": image_id, "ended_run": one.run_epoch}
    del put_in["image_name"]
    row = InstanceRow(**put_in)
    if not row.state.is_final:
        row.status, row.sleep_until = State.PAUSED.status, None
    store.put_instance(row)
    launching.associate(store, row, at)
    for kept in copy.checkpoints:
        copied = CheckpointRow(id=store.next_id(), instance_id=row.instance_id, **columns(kept))
        store.checkpoints[row.instance_id, copied.checkpoint_id] = copied
    for said in copy.events:
        event = columns(said) | {"event_type": EventType(said.event_type)}
        store.instance_events.append(
            EventRow(id=store.next_id(), instance_id=row.instance_id, **event)
        )
    for signal in copy.signals:
        store.put_custom_signal(
            CustomSignalRow(id=store.next_id(), instance_id=row.instance_id, **columns(signal))
        )
    imported = Event(EventType.CUSTOM, source.encode(), at, subtype=IMPORTED)
    store.add_event(row.instance_id, imported)
    return PutCopy(created=True)


def _instance(store: Store, row: InstanceRow) -> CopiedInstance:
    image_id = launching.image_of(store, row)
    image = store.images.get(image_id or "")
    return record(
        CopiedInstance,
        row,
        image_id=image_id,
        image_name=None if image is None else image.name,
        env=launching.env_text(store, row),
    )


def _of(instance_id: str, rows: dict[Any, Any]) -> list[Any]:
    return [row for row in rows.values() if row.instance_id == instance_id]
