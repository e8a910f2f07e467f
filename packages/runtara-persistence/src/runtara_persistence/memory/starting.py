"""Starting instances in memory, within one step."""

from datetime import datetime

from runtara_domain.model.launches import Claims, InstanceStart, Offer, Started
from runtara_persistence import stored
from runtara_persistence.memory import launching
from runtara_persistence.memory.rows import ImageRow, InstanceRow
from runtara_persistence.memory.store import Store


def start(store: Store, start: InstanceStart, at: datetime, offer: Offer | None = None) -> Started:
    """Carry out the port's step `launches.start`."""
    known = store.instances.get(start.instance_id)
    if known is not None:
        return Started(differs_in=_differences(store, known, start))
    if (
        start.image_id is not None
        and launching.image(store, start.image_id, start.tenant_id) is None
    ):
        return Started(image_is_found=False)
    if (same := _with_same_key(store, start)) is not None:
        return Started(duplicate_of=same)
    row = InstanceRow(created_at=at, **stored.started(start))
    store.put_instance(row)
    launching.associate(store, row, at)
    return Started(created=True, claims=None if offer is None else _offered(store, offer, at))


def _with_same_key(store: Store, start: InstanceStart) -> str | None:
    if start.dedupe_key is None:
        return None
    key = (start.tenant_id, start.queue, start.dedupe_key)
    found = [
        (row.created_at, row.instance_id)
        for row in store.instances.values()
        if (row.tenant_id, row.queue, row.dedupe_key) == key and not row.state.is_final
    ]
    return min(found)[1] if found else None


def _offered(store: Store, offer: Offer, at: datetime) -> Claims:
    environment = store.environments.get(offer.environment_id)
    open_count = launching.open_count(store, offer.environment_id)
    if environment is None or open_count >= environment.capacity:
        return Claims(has_lease=environment is not None)
    return launching.claim(store, offer, 1, at)


def _differences(store: Store, known: InstanceRow, start: InstanceStart) -> tuple[str, ...]:
    known_image = store.images.get(launching.image_of(store, known) or "")
    asked_image = store.images.get(start.image_id or "")
    if start.image_id is None:
        runs_same = known.workflow == start.workflow
    else:
        is_same_id = launching.image_of(store, known) == start.image_id
        runs_same = is_same_id or _has_same_name(known_image, asked_image)
    same = {
        "tenant": known.tenant_id == start.tenant_id,
        "image" if start.workflow is None else "workflow": runs_same,
        "input": (known.input or None) == (start.input or None),
    }
    return tuple(name for name, is_same in same.items() if not is_same)


def _has_same_name(one: ImageRow | None, other: ImageRow | None) -> bool:
    if one is None or other is None:
        return False
    return (one.tenant_id, one.name) == (other.tenant_id, other.name)
