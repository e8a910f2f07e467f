"""Records to messages and back."""

import time
from datetime import UTC, datetime, timedelta

from runtara_protocol.pb.instance_pb2 import (
    CheckpointRequest,
    CheckpointResponse,
    GetCheckpointRequest,
    GetCheckpointResponse,
    GetInstanceStatusRequest,
    GetInstanceStatusResponse,
    InstanceEvent,
    InstanceEventType,
    RegisterInstanceRequest,
    RegisterInstanceResponse,
    RpcRequest,
    RpcResponse,
)
from runtara_protocol.pb.instance_pb2 import InstanceStatus as WireStatus
from runtara_protocol.pb.instance_pb2 import Signal as WireSignal
from runtara_protocol.pb.instance_pb2 import SignalType as WireSignalType
from runtara_sdk.errors import ProtocolError, ServerError, refusal
from runtara_sdk.records import (
    Checkpoint,
    InstanceStatus,
    Registration,
    Signal,
    SignalType,
    Status,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_STATUSES = {
    WireStatus.STATUS_UNKNOWN: InstanceStatus.UNKNOWN,
    WireStatus.STATUS_PENDING: InstanceStatus.PENDING,
    WireStatus.STATUS_RUNNING: InstanceStatus.RUNNING,
    WireStatus.STATUS_SUSPENDED: InstanceStatus.SUSPENDED,
    WireStatus.STATUS_COMPLETED: InstanceStatus.COMPLETED,
    WireStatus.STATUS_FAILED: InstanceStatus.FAILED,
    WireStatus.STATUS_CANCELLED: InstanceStatus.CANCELLED,
}

_SIGNALS = {
    WireSignalType.SIGNAL_CANCEL: SignalType.CANCEL,
    WireSignalType.SIGNAL_PAUSE: SignalType.PAUSE,
    WireSignalType.SIGNAL_RESUME: SignalType.RESUME,
}


def register_request(
    instance_id: str, tenant_id: str, *, checkpoint_id: str | None = None, run: int | None = None
) -> RpcRequest:
    """Ask for a new run, or, with `run`, to go on with that one."""
    return RpcRequest(
        register_instance=RegisterInstanceRequest(
            instance_id=instance_id,
            tenant_id=tenant_id,
            checkpoint_id=checkpoint_id,
            continue_run=run,
        )
    )


def checkpoint_request(instance_id: str, checkpoint_id: str, state: bytes) -> RpcRequest:
    """Ask to save a state, or for the one that stands."""
    return RpcRequest(
        checkpoint=CheckpointRequest(
            instance_id=instance_id, checkpoint_id=checkpoint_id, state=state
        )
    )


def get_checkpoint_request(instance_id: str, checkpoint_id: str) -> RpcRequest:
    """Ask for a state."""
    return RpcRequest(
        get_checkpoint=GetCheckpointRequest(instance_id=instance_id, checkpoint_id=checkpoint_id)
    )


def event_request(
    instance_id: str,
    event_type: InstanceEventType,
    payload: bytes = b"",
    *,
    subtype: str | None = None,
) -> RpcRequest:
    """Tell of an event that happens now."""
    return RpcRequest(
        instance_event=InstanceEvent(
            instance_id=instance_id,
            event_type=event_type,
            payload=payload,
            timestamp_ms=time.time_ns() // 1_000_000,
            subtype=subtype,
        )
    )


def status_request(instance_id: str) -> RpcRequest:
    """Ask where an instance stands."""
    return RpcRequest(get_instance_status=GetInstanceStatusRequest(instance_id=instance_id))


def refused(response: RpcResponse) -> ServerError | None:
    """Tell what the server refused the request with, wherever the response says so."""
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
    """Read what a registration brought."""
    return Registration(
        run=answer.run if answer.HasField("run") else None,
        input=answer.input if answer.HasField("input") else None,
    )


def checkpoint(answer: CheckpointResponse, brought: bytes) -> Checkpoint:
    """Read which state stands: the one brought, unless another was found."""
    return Checkpoint(
        found=answer.found,
        state=answer.state if answer.found else brought,
        signal=_signal(answer.pending_signal) if answer.HasField("pending_signal") else None,
        custom_signal=answer.custom_signal.payload if answer.HasField("custom_signal") else None,
    )


def saved_state(answer: GetCheckpointResponse) -> bytes | None:
    """Read a state: None if there is none."""
    return answer.state if answer.found else None


def status(answer: GetInstanceStatusResponse) -> Status:
    """Read where an instance stands; a time of zero is none."""
    if answer.status not in _STATUSES:
        raise ProtocolError(f"the server answered a status unknown here: number {answer.status}")
    return Status(
        instance_id=answer.instance_id,
        status=_STATUSES[answer.status],
        checkpoint_id=answer.checkpoint_id if answer.HasField("checkpoint_id") else None,
        started_at=_moment(answer.started_at_ms) if answer.started_at_ms else None,
        finished_at=_moment(answer.finished_at_ms) if answer.HasField("finished_at_ms") else None,
        output=answer.output if answer.HasField("output") else None,
        error=answer.error if answer.HasField("error") else None,
    )


def _signal(message: WireSignal) -> Signal:
    if message.signal_type not in _SIGNALS:
        raise ProtocolError(
            f"the server answered a signal unknown here: number {message.signal_type}"
        )
    return Signal(_SIGNALS[message.signal_type], message.payload)


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)
