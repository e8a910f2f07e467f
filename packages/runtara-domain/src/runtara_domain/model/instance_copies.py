"""Records of copies: an instance that is exported from one database and imported into another."""

from collections.abc import Sequence
from datetime import datetime

from runtara_domain.error import InvalidValue
from runtara_domain.record import record
from runtara_domain.status import InstanceStatus, SignalType, State

IMPORTED = "runtara.imported"
"""The subtype of the custom event that names the file from which an instance was imported."""
MOST_COPIED = 144 << 20
"""
The most bytes of a history that can be copied; each record counts RECORD besides its state or
payload.
"""
RECORD = 1000
"""The bytes that a record takes in memory, about, and that it counts for MOST_COPIED."""
MOST_RECORDS = MOST_COPIED // RECORD


def check_copied(size: int) -> None:
    """
    Raise InvalidValue if a history is too large to be copied.
    """
    if size > MOST_COPIED:
        raise InvalidValue(
            f"instance_id: takes an instance whose history has at most {MOST_COPIED} bytes, got"
            f" {size}: let it end in this database"
        )


@record(kw_only=True)
class CopiedInstance:
    """
    The row of an instance, by the names of its columns.

    Columns that bind it to its database are left out: parent, launch, wake-up, claim, back-off and
    deduplication key. image_name: the name of its image, which may have another id in another
    database. env: JSON.
    """

    instance_id: str
    tenant_id: str
    status: InstanceStatus
    created_at: datetime
    run_epoch: int
    priority: int
    checkpoint_id: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    last_activity_at: datetime | None = None
    workflow: str | None = None
    code_version: str | None = None
    waits: str | None = None
    image_id: str | None = None
    image_name: str | None = None
    queue: str | None = None
    timeout_ms: int | None = None
    env: str | None = None
    memory_peak_bytes: int | None = None
    cpu_usage_usec: int | None = None
    error: str | None = None
    stderr: str | None = None
    input: bytes | None = None
    output: bytes | None = None
    progress: bytes | None = None


@record(kw_only=True)
class CopiedCheckpoint:
    """A checkpoint, or a recorded attempt at one."""

    checkpoint_id: str
    state: bytes
    created_at: datetime
    is_retry_attempt: bool = False
    attempt_number: int | None = None
    error_message: str | None = None
    wake_at: datetime | None = None


@record(kw_only=True)
class CopiedEvent:
    """An event."""

    event_type: str
    created_at: datetime
    checkpoint_id: str | None = None
    subtype: str | None = None
    payload: bytes | None = None


@record(kw_only=True)
class CopiedSignal:
    """A custom signal."""

    checkpoint_id: str
    created_at: datetime
    payload: bytes | None = None


@record(kw_only=True)
class InstanceCopy:
    """An instance with its history, each part in the order in which it was stored."""

    instance: CopiedInstance
    checkpoints: Sequence[CopiedCheckpoint] = ()
    events: Sequence[CopiedEvent] = ()
    signals: Sequence[CopiedSignal] = ()


@record(kw_only=True)
class Copied:
    """
    A copy of an instance at one moment, and its open ties to its database.

    open_launch_id: its open launch. open_parent_id, open_child_id: an open instance that waits for
    it, or for which it may wait. pending_signal: a signal that it has not acknowledged.
    """

    copy: InstanceCopy
    state: State
    open_launch_id: str | None = None
    open_parent_id: str | None = None
    open_child_id: str | None = None
    pending_signal: SignalType | None = None


@record(kw_only=True)
class PutCopy:
    """
    The outcome of importing a copy.

    is_same: the instance that has the id was imported from the same file. image_is_found: False if
    nothing was done because the image to run does not exist.
    """

    created: bool = False
    is_same: bool = False
    image_is_found: bool = True
