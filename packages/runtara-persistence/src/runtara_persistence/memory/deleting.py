"""Deleting an instance in memory, with its children."""

from runtara_domain.model.interventions import Deleted, Deletion, Relative
from runtara_persistence.memory.rows import InstanceRow
from runtara_persistence.memory.store import Store


def delete(store: Store, deletion: Deletion) -> Deleted:
    """Carry out `launches.delete`."""
    row = store.instances.get(deletion.instance_id)
    if row is None:
        return Deleted(before=None)
    told = store.unacknowledged(row.instance_id)
    pending = None if told is None else told.signal_type
    if refused := deletion.refusal(row.state, row.finished_at, pending):
        return refused
    family = _family(store, row)
    found = Deleted.decide(
        deletion,
        [Relative(one.instance_id, one.state, one.launch_id, one.finished_at) for one in family],
        row.tenant_id,
        open_parent_id=_open_parent(store, row),
    )
    store.delete(found.deleted)
    return found


def _family(store: Store, row: InstanceRow) -> list[InstanceRow]:
    family = {row.instance_id: row}
    generation = [row.instance_id]
    while generation:
        children = [
            one
            for one in store.instances.values()
            if one.parent_id in generation
            and one.tenant_id == row.tenant_id
            and one.instance_id not in family
        ]
        generation = sorted(one.instance_id for one in children)
        family |= {name: store.instances[name] for name in generation}
    return list(family.values())


def _open_parent(store: Store, row: InstanceRow) -> str | None:
    parent = store.instances.get(row.parent_id or "")
    if parent is None or parent is row or parent.tenant_id != row.tenant_id:
        return None
    return None if parent.state.is_final else parent.instance_id
