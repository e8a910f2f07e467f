"""Records of the core as messages of the protocol, and the other way round."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from google.protobuf.message import Message

from runtara_domain.error import InvalidValue
from runtara_domain.model import (
    CheckpointEntry,
    CheckpointPage,
    ChildrenStarted,
    EventType,
    Instance,
    Pending,
    Saved,
    Signal,
)
from runtara_domain.status import InstanceStatus, SignalType
from runtara_protocol.frame import MAX_PAYLOAD
from runtara_protocol.pb import instance_pb2 as pb

# The most bytes that tag and length add to a field of the answer, or to the answer itself.
_AROUND = 16
_ROOM = MAX_PAYLOAD - _AROUND
_MOST_FOUND = 64 * 1024
"""Bytes of states that the answer to `start_children` has."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

_STATUSES: Mapping[InstanceStatus, pb.InstanceStatus] = MappingProxyType(
    {
        InstanceStatus.PENDING: pb.STATUS_PENDING,
        InstanceStatus.RUNNING: pb.STATUS_RUNNING,
        InstanceStatus.SUSPENDED: pb.STATUS_SUSPENDED,
        InstanceStatus.COMPLETED: pb.STATUS_COMPLETED,
        InstanceStatus.FAILED: pb.STATUS_FAILED,
        InstanceStatus.CANCELLED: pb.STATUS_CANCELLED,
    }
)

_SIGNALS: Mapping[SignalType, pb.SignalType] = MappingProxyType(
    {
        SignalType.CANCEL: pb.SIGNAL_CANCEL,
        SignalType.PAUSE: pb.SIGNAL_PAUSE,
        SignalType.RESUME: pb.SIGNAL_RESUME,
    }
)

_EVENTS: Mapping[int, EventType] = MappingProxyType(
    {
        pb.EVENT_COMPLETED: EventType.COMPLETED,
        pb.EVENT_FAILED: EventType.FAILED,
        pb.EVENT_SUSPENDED: EventType.SUSPENDED,
        pb.EVENT_CUSTOM: EventType.CUSTOM,
    }
)


def milliseconds(moment: datetime) -> int:
    """Count milliseconds since 1970."""
    return (moment - _EPOCH) // _MILLISECOND


def moment(milliseconds_since_1970: int) -> datetime:
    """Read a client's time; an impossible one becomes 1970, which the core replaces."""
    try:
        return _EPOCH + milliseconds_since_1970 * _MILLISECOND
    except OverflowError:
        return _EPOCH


def event_type(number: int) -> EventType:
    """Name the kind of an event that is stored; raises InvalidValue for an unknown number."""
    try:
        return _EVENTS[number]
    except KeyError:
        known = ", ".join(f"{value} ({name})" for name, value in pb.InstanceEventType.items())
        raise InvalidValue(f"event_type: takes {known}, got {number}") from None


def signal_type(number: int) -> SignalType:
    """Name a signal; raises InvalidValue for an unknown number."""
    for known, value in _SIGNALS.items():
        if value == number:
            return known
    known_values = ", ".join(f"{value} ({name})" for name, value in pb.SignalType.items())
    raise InvalidValue(f"signal_type: takes {known_values}, got {number}")


def status(instance_id: str, instance: Instance | None) -> pb.GetInstanceStatusResponse:
    """Describe an instance, known or not; an error text that doesn't fit its answer is cut."""
    if instance is None:
        return pb.GetInstanceStatusResponse(
            instance_id=instance_id,
            status=pb.STATUS_UNKNOWN,
            error=f"Instance {instance_id!r} not found",
        )
    response = pb.GetInstanceStatusResponse(
        instance_id=instance_id,
        status=_STATUSES[instance.status],
        checkpoint_id=instance.checkpoint_id,
        started_at_ms=milliseconds(instance.started_at) if instance.started_at else 0,
        finished_at_ms=milliseconds(instance.finished_at) if instance.finished_at else None,
        output=instance.output,
    )
    if instance.error is not None:
        response.error = _cut(instance.error, _ROOM - _AROUND - response.ByteSize())
    return response


def _cut(text: str, room: int) -> str:
    encoded = text.encode()
    if len(encoded) <= room:
        return text
    note = f" [cut: {len(encoded)} bytes in all]"
    return encoded[: max(0, room - len(note))].decode(errors="ignore") + note


def signal(instance_id: str, pending: Signal | None) -> pb.Signal | None:
    """Describe an instance's pending signal, if there is one."""
    if pending is None:
        return None
    return pb.Signal(
        instance_id=instance_id, signal_type=_SIGNALS[pending.type], payload=pending.payload
    )


def custom_signal(checkpoint_id: str, payload: bytes | None) -> pb.CustomSignal | None:
    """Describe the custom signal for a checkpoint, if there is one."""
    if payload is None:
        return None
    return pb.CustomSignal(checkpoint_id=checkpoint_id, payload=payload)


def pending(request: pb.PollSignalsRequest, found: Pending) -> pb.PollSignalsResponse:
    """
    Describe the pending signals of an instance, in the answer to its poll.

    A value that doesn't fit is left out, so that it hides no cancel; only plain SQL can insert one.
    """
    response = pb.PollSignalsResponse(
        signal=signal(request.instance_id, found.signal),
        # Not sent to clients that don't know the field.
        knows_more=bool(request.more_checkpoint_ids),
    )
    room = _ROOM - response.ByteSize()
    for checkpoint_id, payload in found.custom_signals.items():
        value = pb.CustomSignal(checkpoint_id=checkpoint_id, payload=payload)
        size = value.ByteSize() + _AROUND
        if size > room:
            continue
        room -= size
        if checkpoint_id == request.checkpoint_id:
            response.custom_signal.CopyFrom(value)
        else:
            response.custom_signals.append(value)
    return response


def saved(instance_id: str, checkpoint_id: str, outcome: Saved) -> pb.CheckpointResponse:
    """
    Describe a checkpoint that was saved or found.

    If the signals don't fit into the answer, the pending one is left out first: later answers have
    it again, while a replay must get the custom signal at the same call as the first run.
    """
    response = pb.CheckpointResponse(found=outcome.is_found, state=outcome.kept or b"")
    custom = custom_signal(checkpoint_id, outcome.custom_signal)
    if custom is not None and _has_room(response, custom):
        response.custom_signal.CopyFrom(custom)
    pending = signal(instance_id, outcome.signal)
    if pending is not None and _has_room(response, pending):
        response.pending_signal.CopyFrom(pending)
    return response


def children_started(instance_id: str, outcome: ChildrenStarted) -> pb.StartChildrenResponse:
    """Describe children that were started; states that are too many are left out."""
    response = pb.StartChildrenResponse(
        children=[pb.StartChildResponse(created=created) for created in outcome.created]
    )
    room = _MOST_FOUND
    for saved in outcome.saved:
        stored = response.checkpoints.add(found=saved.is_found)
        if saved.kept is not None and len(saved.kept) <= room:
            room -= len(saved.kept)
            stored.state = saved.kept
    pending = signal(instance_id, outcome.signal)
    if pending is not None and _has_room(response, pending):
        response.pending_signal.CopyFrom(pending)
    return response


def _has_room(response: Message, more: Message) -> bool:
    return response.ByteSize() + more.ByteSize() + _AROUND <= _ROOM


def page(outcome: CheckpointPage) -> pb.ListCheckpointsResponse:
    """Describe a part of a list of checkpoints."""
    return pb.ListCheckpointsResponse(
        checkpoints=[_entry(entry) for entry in outcome.entries], next_id=outcome.next_id
    )


def _entry(entry: CheckpointEntry) -> pb.CheckpointEntry:
    return pb.CheckpointEntry(
        checkpoint_id=entry.checkpoint_id,
        state=entry.state,
        created_at_ms=milliseconds(entry.created_at),
        failed_attempts=entry.failed_attempts,
        last_attempt_ms=milliseconds(entry.last_attempt_at) if entry.last_attempt_at else None,
        wake_at_ms=milliseconds(entry.wake_at) if entry.wake_at else None,
    )
