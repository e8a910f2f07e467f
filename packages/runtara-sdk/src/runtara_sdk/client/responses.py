"""Reads the server's messages as records, and its numbers as names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from runtara_protocol.pb.instance_pb2 import CheckpointEntry as WireEntry
from runtara_protocol.pb.instance_pb2 import (
    CheckpointResponse,
    GetCheckpointResponse,
    GetInstanceStatusResponse,
    ListCheckpointsResponse,
    PollSignalsResponse,
    RegisterInstanceResponse,
    RpcResponse,
    StartChildrenResponse,
)
from runtara_protocol.pb.instance_pb2 import InstanceStatus as WireStatus
from runtara_protocol.pb.instance_pb2 import Signal as WireSignal
from runtara_protocol.pb.instance_pb2 import SignalType as WireSignalType
from runtara_sdk.client.records import (
    Checkpoint,
    CheckpointEntry,
    ChildrenStarted,
    FirstPage,
    InstanceStatus,
    Registration,
    Signal,
    SignalType,
    Status,
)
from runtara_sdk.errors import ProtocolError, ServerError, refusal

STATUSES = {
    WireStatus.STATUS_UNKNOWN: InstanceStatus.UNKNOWN,
    WireStatus.STATUS_PENDING: InstanceStatus.PENDING,
    WireStatus.STATUS_RUNNING: InstanceStatus.RUNNING,
    WireStatus.STATUS_SUSPENDED: InstanceStatus.SUSPENDED,
    WireStatus.STATUS_COMPLETED: InstanceStatus.COMPLETED,
    WireStatus.STATUS_FAILED: InstanceStatus.FAILED,
    WireStatus.STATUS_CANCELLED: InstanceStatus.CANCELLED,
}

SIGNALS = {
    WireSignalType.SIGNAL_CANCEL: SignalType.CANCEL,
    WireSignalType.SIGNAL_PAUSE: SignalType.PAUSE,
    WireSignalType.SIGNAL_RESUME: SignalType.RESUME,
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Polled:
    """The pending signal, and the payloads sent to checkpoints, by the checkpoints' ids."""

    signal: Signal | None = None
    sent: Mapping[str, bytes] = field(default_factory=dict)


def refused(response: RpcResponse) -> ServerError | None:
    """Return the server's refusal, wherever in the response it stands; None: there is none."""
    match response.WhichOneof("response"):
        case "error":
            return refusal(response.error.code, response.error.message)
        case "register_instance" if not response.register_instance.success:
            answer = response.register_instance
            return refusal(answer.code if answer.HasField("code") else None, answer.error)
        case "instance_event" if not response.instance_event.success:
            return refusal(None, response.instance_event.error)
        case _:
            return None


def registration(answer: RegisterInstanceResponse) -> Registration:
    """Read the answer to a registration."""
    return Registration(
        run=answer.run if answer.HasField("run") else None,
        input=answer.input if answer.HasField("input") else None,
        saved=_first_page(answer) if answer.HasField("checkpoints") else None,
        knows_children=answer.knows_children,
    )


def _first_page(answer: RegisterInstanceResponse) -> FirstPage:
    page = answer.checkpoints
    return FirstPage(
        tuple(map(entry, page.checkpoints)),
        next_id(page),
        _signal(answer.pending_signal) if answer.HasField("pending_signal") else None,
        answer.knows_preceding,
        answer.knows_together,
    )


def next_id(page: ListCheckpointsResponse) -> int | None:
    """Read the number after which the next page begins; None: this page is the last."""
    return page.next_id if page.HasField("next_id") else None


def checkpoint(answer: CheckpointResponse, brought: bytes) -> Checkpoint:
    """Read which state is saved: the caller's, unless the server found another one."""
    return Checkpoint(
        found=answer.found,
        state=answer.state if answer.found else brought,
        signal=_signal(answer.pending_signal) if answer.HasField("pending_signal") else None,
        custom_signal=answer.custom_signal.payload if answer.HasField("custom_signal") else None,
    )


def children_started(
    answer: StartChildrenResponse, brought: Sequence[tuple[str, bytes]]
) -> ChildrenStarted:
    """Read which children were created, and which states are saved."""
    states = [
        state if not stored.found else stored.state if stored.HasField("state") else None
        for (_, state), stored in zip(brought, answer.checkpoints, strict=True)
    ]
    return ChildrenStarted(
        tuple(child.created for child in answer.children),
        tuple(states),
        _signal(answer.pending_signal) if answer.HasField("pending_signal") else None,
    )


def polled(answer: PollSignalsResponse, names: Sequence[str]) -> Polled:
    """Read pending signals and values; an old server answers only for the first name."""
    sent = {custom.checkpoint_id: custom.payload for custom in answer.custom_signals}
    if answer.HasField("custom_signal"):
        sent[names[0]] = answer.custom_signal.payload
    return Polled(_signal(answer.signal) if answer.HasField("signal") else None, sent)


def entry(message: WireEntry) -> CheckpointEntry:
    """Read a checkpoint of a list."""
    return CheckpointEntry(
        checkpoint_id=message.checkpoint_id,
        state=message.state if message.HasField("state") else None,
        created_at=_moment(message.created_at_ms),
        failed_attempts=message.failed_attempts,
        last_attempt_at=(
            _moment(message.last_attempt_ms) if message.HasField("last_attempt_ms") else None
        ),
        wake_at=_moment(message.wake_at_ms) if message.HasField("wake_at_ms") else None,
    )


def saved_state(answer: GetCheckpointResponse) -> bytes | None:
    """Read a checkpoint's state; None: there is no such checkpoint."""
    return answer.state if answer.found else None


def status(answer: GetInstanceStatusResponse) -> Status:
    """Read an instance's status; a time of zero stands for no time."""
    if answer.status not in STATUSES:
        raise ProtocolError(f"the server answered an unknown status: number {answer.status}")
    return Status(
        instance_id=answer.instance_id,
        status=STATUSES[answer.status],
        checkpoint_id=answer.checkpoint_id if answer.HasField("checkpoint_id") else None,
        started_at=_moment(answer.started_at_ms) if answer.started_at_ms else None,
        finished_at=_moment(answer.finished_at_ms) if answer.HasField("finished_at_ms") else None,
        output=answer.output if answer.HasField("output") else None,
        error=answer.error if answer.HasField("error") else None,
    )


def _signal(message: WireSignal) -> Signal:
    if message.signal_type not in SIGNALS:
        raise ProtocolError(f"the server answered an unknown signal: number {message.signal_type}")
    return Signal(SIGNALS[message.signal_type], message.payload)


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)
