"""Taking a copy of an instance, and putting one in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from runtara_domain.model import EventType
from runtara_domain.model.instance_copies import (
    IMPORTED,
    Copied,
    CopiedCheckpoint,
    CopiedEvent,
    CopiedInstance,
    CopiedSignal,
    InstanceCopy,
    PutCopy,
    check_copied,
)
from runtara_domain.status import InstanceStatus, SignalType, State
from runtara_persistence import queries
from runtara_persistence.records import columns, record
from runtara_persistence.transactions import moves
from runtara_persistence.transactions.transaction import execute_many, fetch, first, only

if TYPE_CHECKING:
    from runtara_persistence.records import Row
    from runtara_persistence.transactions.transaction import Transaction

T = TypeVar("T")

_SQL = queries.shared("copying.sql")

_MOST_ROWS, _MOST_BYTES = 256, 1 << 22
"""Records, and bytes, of which a statement reads little more."""


def take(instance_id: str) -> Transaction[Copied | None]:
    """Carry out the port's step `launches.copy`."""
    row = yield from first(_SQL["take"], instance_id=instance_id)
    if row is None:
        return None
    sizes = yield from only(_SQL["take.size"], instance_id=instance_id)
    check_copied(sizes["size"])
    status = InstanceStatus(row["status"])
    pending = row["pending_signal"]
    return Copied(
        copy=InstanceCopy(
            instance=record(CopiedInstance, row, status=status),
            checkpoints=(yield from _taken("checkpoints", _checkpoint, instance_id)),
            events=(yield from _taken("events", partial(record, CopiedEvent), instance_id)),
            signals=(yield from _taken("signals", partial(record, CopiedSignal), instance_id)),
        ),
        state=State.of(status, row["sleep_until"]),
        open_launch_id=row["launch_id"],
        open_parent_id=row["open_parent_id"],
        open_child_id=row["open_child_id"],
        pending_signal=None if pending is None else SignalType(pending),
    )


def put(
    copy: InstanceCopy, source: str, image_id: str | None, at: datetime
) -> Transaction[PutCopy]:
    """Carry out the port's step `launches.put_copy`."""
    one = copy.instance
    if image_id is not None and not (yield from moves.has_image(image_id, one.tenant_id)):
        return PutCopy(image_is_found=False)
    is_final = State.of(one.status, None).is_final
    status = one.status if is_final else State.PAUSED.status
    row = columns(one) | {"status": status.value, "image_id": image_id}
    key = {"instance_id": one.instance_id}
    if (yield from first(_SQL["put"], **row)) is None:
        imported = {**key, "subtype": IMPORTED, "source": source.encode()}
        return PutCopy(is_same=(yield from first(_SQL["put.is_same"], **imported)) is not None)
    yield from moves.associate(one.instance_id, at)
    event = CopiedEvent(
        event_type=EventType.CUSTOM.value, created_at=at, subtype=IMPORTED, payload=source.encode()
    )
    for part, copied in (
        ("checkpoint", copy.checkpoints),
        ("event", [*copy.events, event]),
        ("signal", copy.signals),
    ):
        yield from execute_many(_SQL[f"put.{part}"], [columns(each) | key for each in copied])
    return PutCopy(created=True)


def _taken(noun: str, build: Callable[[Row], T], instance_id: str) -> Transaction[list[T]]:
    """Read all records of a kind, in as many parts as give each statement little to read."""
    sizes = yield from fetch(_SQL[f"take.{noun}.sizes"], instance_id=instance_id)
    found: list[T] = []
    for first_id, last_id in _parts(sizes):
        rows = yield from fetch(
            _SQL[f"take.{noun}"], instance_id=instance_id, first_id=first_id, last_id=last_id
        )
        found += map(build, rows)
    return found


def _parts(sizes: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Divide records of these ids and sizes; give the first and last id of each part."""
    first_id, count, size = 0, 0, 0
    for row in sizes:
        first_id = first_id if count else row["id"]
        count, size = count + 1, size + row["size"]
        if count == _MOST_ROWS or size > _MOST_BYTES:
            yield first_id, row["id"]
            count = size = 0
    if count:
        yield first_id, sizes[-1]["id"]


def _checkpoint(row: Row) -> CopiedCheckpoint:
    return record(CopiedCheckpoint, row, is_retry_attempt=bool(row["is_retry_attempt"]))
