"""Taking a copy of an instance, and putting one in, within one transaction."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from functools import partial

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
from runtara_persistence.records import Row, columns, record
from runtara_persistence.sqlite import rows
from runtara_persistence.sqlite.rows import to_text

_SQL = queries.load("runtara_persistence.sqlite", "copying.sql")


def take(connection: sqlite3.Connection, instance_id: str) -> Copied | None:
    """Carry out the port's step `launches.copy`."""
    key = {"instance_id": instance_id}
    row = rows.first(connection, _SQL["take"], key, dict)
    if row is None:
        return None
    [size] = connection.execute(_SQL["take.size"], key).fetchone()
    check_copied(size)
    state = rows.state(row["status"], row["sleep_until"])
    row["status"] = InstanceStatus(row["status"])
    pending = row["pending_signal"]
    return Copied(
        copy=InstanceCopy(
            instance=record(CopiedInstance, row),
            checkpoints=rows.found(connection, _SQL["take.checkpoints"], key, _checkpoint),
            events=rows.found(connection, _SQL["take.events"], key, partial(record, CopiedEvent)),
            signals=rows.found(
                connection, _SQL["take.signals"], key, partial(record, CopiedSignal)
            ),
        ),
        state=state,
        open_launch_id=row["launch_id"],
        open_parent_id=row["open_parent_id"],
        open_child_id=row["open_child_id"],
        pending_signal=None if pending is None else SignalType(pending),
    )


def put(
    connection: sqlite3.Connection,
    copy: InstanceCopy,
    source: str,
    image_id: str | None,
    at: datetime,
) -> PutCopy:
    """Carry out the port's step `launches.put_copy`."""
    one = copy.instance
    row = rows.parameters(columns(one)) | {"image_id": image_id, "at": to_text(at)}
    if State.of(one.status, None).is_final is False:
        row["status"] = State.PAUSED.status.value
    has_image = image_id is None or connection.execute(_SQL["put.image"], row).fetchone()
    if has_image and connection.execute(_SQL["put"], row).rowcount == 0:
        key = {"instance_id": one.instance_id, "subtype": IMPORTED, "source": source.encode()}
        return PutCopy(is_same=connection.execute(_SQL["put.is_same"], key).fetchone() is not None)
    if not has_image:
        return PutCopy(image_is_found=False)
    if image_id is not None:
        connection.execute(_SQL["put.associate"], row)
    imported = CopiedEvent(
        event_type=EventType.CUSTOM.value, created_at=at, subtype=IMPORTED, payload=source.encode()
    )
    _put_all(connection, _SQL["put.checkpoint"], one.instance_id, copy.checkpoints)
    _put_all(connection, _SQL["put.event"], one.instance_id, [*copy.events, imported])
    _put_all(connection, _SQL["put.signal"], one.instance_id, copy.signals)
    return PutCopy(created=True)


def _put_all(
    connection: sqlite3.Connection, statement: str, instance_id: str, copied: Sequence[object]
) -> None:
    key = {"instance_id": instance_id}
    connection.executemany(statement, (rows.parameters(columns(one)) | key for one in copied))


def _checkpoint(row: Row) -> CopiedCheckpoint:
    return record(CopiedCheckpoint, row, is_retry_attempt=bool(row["is_retry_attempt"]))
