"""
The messages of the instance protocol, field by field as protocol.md lists them.

An optional field is None when it is absent. Numbers from 100 up are extensions: a server may not
know them. An enum is a plain `int` on a message, so that an unlisted number can be sent too.
"""
# ruff: noqa: RUF009 - the results of these calls are made for one field each.

from dataclasses import dataclass
from enum import IntEnum

from runtara_conformance.message import (
    Message,
    binary,
    boolean,
    integer,
    opt_binary,
    opt_integer,
    opt_message,
    opt_text,
    opt_unsigned,
    repeated_message,
    repeated_text,
    text,
    unsigned,
)


class EventType(IntEnum):
    """InstanceEventType; 1 is taken and unused."""

    HEARTBEAT = 0
    COMPLETED = 2
    FAILED = 3
    SUSPENDED = 4
    CUSTOM = 5


class SignalType(IntEnum):
    """An operator's signal to a running instance."""

    CANCEL = 0
    PAUSE = 1
    RESUME = 2


class Status(IntEnum):
    """InstanceStatus."""

    UNKNOWN = 0
    PENDING = 1
    RUNNING = 2
    SUSPENDED = 3
    COMPLETED = 4
    FAILED = 5
    CANCELLED = 6


@dataclass(frozen=True, slots=True)
class RegisterInstanceRequest(Message):
    """An instance says that it is there: first start, restart, wake, resume."""

    instance_id: str = text(1)
    tenant_id: str = text(2)
    checkpoint_id: str | None = opt_text(3)
    continue_run: int | None = opt_unsigned(100)
    workflow: str | None = opt_text(101)
    code_version: str | None = opt_text(102)
    launch_id: str | None = opt_text(103)
    look: bool = boolean(104)


@dataclass(frozen=True, slots=True)
class Signal(Message):
    """A signal that waits to be acknowledged."""

    instance_id: str = text(1)
    signal_type: int = integer(2)
    payload: bytes = binary(3)


@dataclass(frozen=True, slots=True)
class CustomSignal(Message):
    """A value sent to one checkpoint id of an instance."""

    checkpoint_id: str = text(1)
    payload: bytes = binary(2)


@dataclass(frozen=True, slots=True)
class PrecedingCheckpoint(Message):
    """A checkpoint that is saved before the one that brings it, unless its id is taken."""

    checkpoint_id: str = text(1)
    state: bytes = binary(2)


@dataclass(frozen=True, slots=True)
class CheckpointRequest(Message):
    """
    Save a state under an id, or get the one that was saved first.

    With `preceding` it is the operation `checkpoint_after`, with `more_preceding` `save_together`.
    """

    instance_id: str = text(1)
    checkpoint_id: str = text(2)
    state: bytes = binary(3)
    preceding: PrecedingCheckpoint | None = opt_message(100, PrecedingCheckpoint)
    more_preceding: tuple[PrecedingCheckpoint, ...] = repeated_message(101, PrecedingCheckpoint)


@dataclass(frozen=True, slots=True)
class CheckpointResponse(Message):
    """`found` false and no state: saved; `found` true: the state it was saved with."""

    found: bool = boolean(1)
    state: bytes = binary(2)
    pending_signal: Signal | None = opt_message(3, Signal)
    custom_signal: CustomSignal | None = opt_message(4, CustomSignal)


@dataclass(frozen=True, slots=True)
class GetCheckpointRequest(Message):
    """Read a checkpoint without saving one."""

    instance_id: str = text(1)
    checkpoint_id: str = text(2)


@dataclass(frozen=True, slots=True)
class GetCheckpointResponse(Message):
    """The state, if there is one."""

    found: bool = boolean(1)
    state: bytes = binary(2)


@dataclass(frozen=True, slots=True)
class SleepRequest(Message):
    """Save a checkpoint with a deadline; the answer comes when it is due."""

    instance_id: str = text(1)
    duration_ms: int = unsigned(2)
    checkpoint_id: str = text(3)
    state: bytes = binary(4)
    keep_running: bool = boolean(100)
    detach: bool = boolean(101)
    waits: str | None = opt_text(102)


@dataclass(frozen=True, slots=True)
class SleepResponse(Message):
    """The sleep is over."""


@dataclass(frozen=True, slots=True)
class InstanceEvent(Message):
    """An event: an ending, a suspension, a heartbeat, or an event that the workflow defines."""

    instance_id: str = text(1)
    event_type: int = integer(2)
    checkpoint_id: str | None = opt_text(3)
    payload: bytes = binary(4)
    timestamp_ms: int = integer(5)
    subtype: str | None = opt_text(6)
    blocked_reason: str | None = opt_text(100)
    waits: str | None = opt_text(101)
    failure: bytes | None = opt_binary(102)
    progress: bytes | None = opt_binary(103)
    exit_code: int | None = opt_integer(104)


@dataclass(frozen=True, slots=True)
class InstanceEventResponse(Message):
    """The event is durable."""

    success: bool = boolean(1)
    error: str | None = opt_text(2)
    launch_closed: bool = boolean(100)


@dataclass(frozen=True, slots=True)
class InstanceEventBatch(Message):
    """Many events at once; an empty end answers."""

    events: tuple[InstanceEvent, ...] = repeated_message(1, InstanceEvent)


@dataclass(frozen=True, slots=True)
class RetryAttemptEvent(Message):
    """A step failed and will be tried again; an empty end answers."""

    instance_id: str = text(1)
    checkpoint_id: str = text(2)
    attempt_number: int = unsigned(3)
    timestamp_ms: int = integer(4)
    error_message: str | None = opt_text(5)


@dataclass(frozen=True, slots=True)
class SignalAck(Message):
    """The instance has taken a signal; an empty end answers."""

    instance_id: str = text(1)
    signal_type: int = integer(2)
    acknowledged: bool = boolean(3)


@dataclass(frozen=True, slots=True)
class PollSignalsRequest(Message):
    """Ask for the pending signal and, if checkpoints are named, for those sent to them."""

    instance_id: str = text(1)
    checkpoint_id: str | None = opt_text(2)
    wait_ms: int | None = opt_unsigned(100)
    more_checkpoint_ids: tuple[str, ...] = repeated_text(101)


@dataclass(frozen=True, slots=True)
class PollSignalsResponse(Message):
    """The pending signals, if there are any."""

    signal: Signal | None = opt_message(1, Signal)
    custom_signal: CustomSignal | None = opt_message(2, CustomSignal)
    custom_signals: tuple[CustomSignal, ...] = repeated_message(100, CustomSignal)
    knows_more: bool = boolean(101)


@dataclass(frozen=True, slots=True)
class GetInstanceStatusRequest(Message):
    """Ask where an instance stands."""

    instance_id: str = text(1)


@dataclass(frozen=True, slots=True)
class GetInstanceStatusResponse(Message):
    """Where it stands; STATUS_UNKNOWN and an `error` if there is no such instance."""

    instance_id: str = text(1)
    status: int = integer(2)
    checkpoint_id: str | None = opt_text(3)
    started_at_ms: int = integer(4)
    finished_at_ms: int | None = opt_integer(5)
    output: bytes | None = opt_binary(6)
    error: str | None = opt_text(7)


@dataclass(frozen=True, slots=True)
class ListCheckpointsRequest(Message):
    """Ask for a page of checkpoints in the order they were saved; limit 0 is 100."""

    instance_id: str = text(1)
    after_id: int = integer(2)
    limit: int = unsigned(3)


@dataclass(frozen=True, slots=True)
class CheckpointEntry(Message):
    """One checkpoint; a state above 64 KiB is left out."""

    checkpoint_id: str = text(1)
    state: bytes | None = opt_binary(2)
    created_at_ms: int = integer(3)
    failed_attempts: int = unsigned(4)
    last_attempt_ms: int | None = opt_integer(5)
    wake_at_ms: int | None = opt_integer(6)


@dataclass(frozen=True, slots=True)
class ListCheckpointsResponse(Message):
    """A page; `next_id` is the next one's `after_id`, absent when this is the last."""

    checkpoints: tuple[CheckpointEntry, ...] = repeated_message(1, CheckpointEntry)
    next_id: int | None = opt_integer(2)


@dataclass(frozen=True, slots=True)
class RegisterInstanceResponse(Message):
    """The one answer that reports a refusal itself: `success` false, with `error` and `code`."""

    success: bool = boolean(1)
    error: str = text(2)
    run: int | None = opt_unsigned(100)
    code: str | None = opt_text(101)
    input: bytes | None = opt_binary(102)
    checkpoints: ListCheckpointsResponse | None = opt_message(103, ListCheckpointsResponse)
    pending_signal: Signal | None = opt_message(104, Signal)
    knows_preceding: bool = boolean(105)
    knows_together: bool = boolean(106)
    knows_children: bool = boolean(107)


@dataclass(frozen=True, slots=True)
class StartChildRequest(Message):
    """A run creates an instance as a child of its own, which is PENDING."""

    instance_id: str = text(1)
    child_id: str = text(2)
    workflow: str = text(3)
    input: bytes | None = opt_binary(4)
    is_successor: bool = boolean(5)


@dataclass(frozen=True, slots=True)
class StartChildResponse(Message):
    """`created` false: the same child had been created before."""

    created: bool = boolean(1)


@dataclass(frozen=True, slots=True)
class ChildToStart(Message):
    """One of the children that a request starts together."""

    child_id: str = text(1)
    workflow: str = text(2)
    input: bytes | None = opt_binary(3)


@dataclass(frozen=True, slots=True)
class StartChildrenRequest(Message):
    """A run creates children of its instance and saves checkpoints of it, all or nothing."""

    instance_id: str = text(1)
    children: tuple[ChildToStart, ...] = repeated_message(2, ChildToStart)
    checkpoints: tuple[PrecedingCheckpoint, ...] = repeated_message(3, PrecedingCheckpoint)


@dataclass(frozen=True, slots=True)
class StoredCheckpoint(Message):
    """`found` true: its id was taken; `state`: what was saved first, unless it must be read."""

    found: bool = boolean(1)
    state: bytes | None = opt_binary(2)


@dataclass(frozen=True, slots=True)
class StartChildrenResponse(Message):
    """For each child whether it was created, and for each checkpoint what stands."""

    children: tuple[StartChildResponse, ...] = repeated_message(1, StartChildResponse)
    checkpoints: tuple[StoredCheckpoint, ...] = repeated_message(2, StoredCheckpoint)
    pending_signal: Signal | None = opt_message(3, Signal)


@dataclass(frozen=True, slots=True)
class CancelChildRequest(Message):
    """A run sends a child of its instance a cancel."""

    instance_id: str = text(1)
    child_id: str = text(2)


@dataclass(frozen=True, slots=True)
class CancelChildResponse(Message):
    """`sent` false: the child had ended."""

    sent: bool = boolean(1)


@dataclass(frozen=True, slots=True)
class RpcError(Message):
    """A refusal: one of the protocol's codes, and words for a person."""

    code: str = text(1)
    message: str = text(2)
