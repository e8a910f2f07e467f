"""Taking a copy of an instance, and putting one in, within one transaction."""

from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import datetime
from itertools import islice
from operator import attrgetter
from typing import Any, TypeVar

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
from runtara_persistence.postgres.connection import Connection
from runtara_persistence.records import record

T = TypeVar("T")

_SQL = queries.load("runtara_persistence.postgres", "copying.sql")
_COLUMNS = (
    *("instance_id", "tenant_id", "status", "created_at", "run_epoch", "priority"),
    *("checkpoint_id", "started_at", "finished_at", "last_activity_at", "workflow"),
    *("code_version", "waits", "queue", "timeout_ms", "memory_peak_bytes", "cpu_usage_usec"),
    *("error", "stderr", "input", "output", "progress"),
)
"""The columns in the order in which the statement `put` takes them."""

_MOST_ROWS, _MOST_BYTES = 256, 1 << 22
"""Records, and bytes, of which a statement takes little more."""


async def take(connection: Connection, instance_id: str) -> Copied | None:
    """Carry out the port's step `launches.copy`."""
    found = await connection.fetch(_SQL["take"], instance_id)
    if not found:
        return None
    row = dict(found[0])
    [sizes] = await connection.fetch(_SQL["take.size"], instance_id)
    check_copied(sizes["size"])
    is_large = sizes["size"] > _MOST_BYTES
    status = row["status"] = InstanceStatus(row["status"])
    pending = row["pending_signal"]
    return Copied(
        copy=InstanceCopy(
            instance=record(CopiedInstance, row),
            checkpoints=await _taken(
                connection, "checkpoints", CopiedCheckpoint, instance_id, is_large
            ),
            events=await _taken(connection, "events", CopiedEvent, instance_id, is_large),
            signals=await _taken(connection, "signals", CopiedSignal, instance_id, is_large),
        ),
        state=State.of(status, row["sleep_until"]),
        open_launch_id=row["launch_id"],
        open_parent_id=row["open_parent_id"],
        open_child_id=row["open_child_id"],
        pending_signal=None if pending is None else SignalType(pending),
    )


async def put(
    connection: Connection,
    copy: InstanceCopy,
    source: str,
    image_id: str | None,
    at: datetime,
) -> PutCopy:
    """Carry out the port's step `launches.put_copy`."""
    one = copy.instance
    is_final = State.of(one.status, None).is_final
    status = one.status if is_final else State.PAUSED.status
    columns = {name: getattr(one, name) for name in _COLUMNS} | {"status": status.value}
    key = (image_id, one.tenant_id)
    if image_id is not None and not await connection.fetch(_SQL["put.image"], *key):
        return PutCopy(image_is_found=False)
    if not await connection.fetch(_SQL["put"], *columns.values(), image_id, one.env):
        same = (one.instance_id, IMPORTED, source.encode())
        return PutCopy(is_same=bool(await connection.fetch(_SQL["put.is_same"], *same)))
    if image_id is not None:
        associated = (one.instance_id, image_id, one.tenant_id, at, one.env)
        await connection.execute(_SQL["put.associate"], *associated)
    imported = CopiedEvent(
        event_type=EventType.CUSTOM.value, created_at=at, subtype=IMPORTED, payload=source.encode()
    )
    for statement, kind, bytes_of, copied in (
        (_SQL["put.checkpoints"], CopiedCheckpoint, "state", copy.checkpoints),
        (_SQL["put.events"], CopiedEvent, "payload", [*copy.events, imported]),
        (_SQL["put.signals"], CopiedSignal, "payload", copy.signals),
    ):
        rest = iter(copied)
        for count in _counts(len(getattr(each, bytes_of) or b"") for each in copied):
            arrays = _arrays(kind, list(islice(rest, count)))
            await connection.execute(statement, one.instance_id, *arrays)
    return PutCopy(created=True)


async def _taken(
    connection: Connection, noun: str, kind: type[T], instance_id: str, is_large: bool
) -> list[T]:
    """Read all records of a kind, in several requests; the sizes are needed for a large copy."""
    sizes = await connection.fetch(_SQL[f"take.{noun}.sizes"], instance_id) if is_large else []
    cursor = await connection.cursor(_SQL[f"take.{noun}"], instance_id)
    counts = _counts(one["size"] for one in sizes)
    records: list[T] = []
    # After the counts come records of a small copy, and those stored since the sizes were read.
    while rows := await cursor.fetch(next(counts, _MOST_ROWS)):
        records += [record(kind, row) for row in rows]
    return records


def _counts(sizes: Iterable[int]) -> Iterator[int]:
    """
    Divide records of these sizes, in order; give how many each statement takes.

    A statement has no more time than any other, however large the copy.
    """
    count = size = 0
    for each in sizes:
        count, size = count + 1, size + each
        if count == _MOST_ROWS or size > _MOST_BYTES:
            yield count
            count = size = 0
    if count:
        yield count


def _arrays(kind: type[Any], copied: list[Any]) -> list[list[Any]]:
    """Turn records into one array a column, in the order of the record's fields."""
    return [list(map(attrgetter(each.name), copied)) for each in fields(kind)]
