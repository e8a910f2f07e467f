"""Builds the messages of the client's requests."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from runtara_protocol.pb.instance_pb2 import (
    CancelChildRequest,
    CheckpointRequest,
    GetCheckpointRequest,
    GetInstanceStatusRequest,
    InstanceEvent,
    InstanceEventBatch,
    InstanceEventType,
    ListCheckpointsRequest,
    PollSignalsRequest,
    RegisterInstanceRequest,
    RetryAttemptEvent,
    RpcRequest,
    SignalAck,
    SleepRequest,
    StartChildrenRequest,
    StartChildRequest,
)
from runtara_sdk.client.records import CustomEvent, NewChild, SignalType
from runtara_sdk.client.responses import SIGNALS
from runtara_sdk.errors import ValidationFailed

_MAX_ATTEMPT = 2**31 - 1
_LONGEST_REASON = 64 * 1024
"""The most bytes of a blocked instance's reason that the server stores."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_NUMBERS = {word: number for number, word in SIGNALS.items()}


def register(
    instance_id: str,
    tenant_id: str,
    *,
    checkpoint_id: str | None = None,
    run: int | None = None,
    workflow: str | None = None,
    code_version: str | None = None,
    launch_id: str | None = None,
    look: bool = False,
) -> RpcRequest:
    """Ask for a new run, or, with `run`, to continue that run."""
    return RpcRequest(
        register_instance=RegisterInstanceRequest(
            instance_id=instance_id,
            tenant_id=tenant_id,
            checkpoint_id=checkpoint_id,
            continue_run=run,
            workflow=workflow,
            code_version=code_version,
            launch_id=launch_id,
            look=look,
        )
    )


def checkpoint(
    instance_id: str, checkpoint_id: str, state: bytes, preceding: Sequence[tuple[str, bytes]]
) -> RpcRequest:
    """
    Ask to save a state, or to return the state that is already saved.

    Raises ValidationFailed if `preceding` is one pair, as it was in a former version.
    """
    asked = CheckpointRequest(instance_id=instance_id, checkpoint_id=checkpoint_id, state=state)
    if not preceding:
        return RpcRequest(checkpoint=asked)
    if any(isinstance(each, str | bytes) for each in preceding):
        raise ValidationFailed("preceding: takes a list of pairs of an id and a state, got a pair")
    if len(preceding) == 1:
        asked.preceding.checkpoint_id, asked.preceding.state = preceding[0]
        return RpcRequest(checkpoint_after=asked)
    for each_id, each_state in preceding:
        asked.more_preceding.add(checkpoint_id=each_id, state=each_state)
    return RpcRequest(save_together=asked)


def get_checkpoint(instance_id: str, checkpoint_id: str) -> RpcRequest:
    """Ask for the state of a checkpoint."""
    return RpcRequest(
        get_checkpoint=GetCheckpointRequest(instance_id=instance_id, checkpoint_id=checkpoint_id)
    )


def list_checkpoints(instance_id: str, after_id: int) -> RpcRequest:
    """Ask for the checkpoints after that one, as many as the server puts on a page."""
    return RpcRequest(
        list_checkpoints=ListCheckpointsRequest(instance_id=instance_id, after_id=after_id)
    )


def start_child(
    instance_id: str,
    child_id: str,
    workflow: str,
    child_input: bytes | None,
    *,
    is_successor: bool = False,
) -> RpcRequest:
    """Ask for a child of the instance, or for its successor."""
    return RpcRequest(
        start_child=StartChildRequest(
            instance_id=instance_id,
            child_id=child_id,
            workflow=workflow,
            input=child_input,
            is_successor=is_successor,
        )
    )


def start_children(
    instance_id: str, children: Iterable[NewChild], checkpoints: Iterable[tuple[str, bytes]]
) -> RpcRequest:
    """Ask for children of the instance, and to save checkpoints of it, all or nothing."""
    asked = StartChildrenRequest(instance_id=instance_id)
    for child in children:
        asked.children.add(child_id=child.id, workflow=child.workflow, input=child.input)
    for checkpoint_id, state in checkpoints:
        asked.checkpoints.add(checkpoint_id=checkpoint_id, state=state)
    return RpcRequest(start_children=asked)


def cancel_child(instance_id: str, child_id: str) -> RpcRequest:
    """Ask to cancel a child of the instance."""
    return RpcRequest(cancel_child=CancelChildRequest(instance_id=instance_id, child_id=child_id))


def sleep(
    instance_id: str,
    duration: timedelta,
    checkpoint_id: str,
    state: bytes,
    *,
    keep_running: bool,
    detach: bool,
    waits: str | None = None,
) -> RpcRequest:
    """Ask to sleep at least this long: parts of a millisecond are rounded up."""
    return RpcRequest(
        sleep=SleepRequest(
            instance_id=instance_id,
            duration_ms=_milliseconds(duration),
            checkpoint_id=checkpoint_id,
            state=state,
            keep_running=keep_running,
            detach=detach,
            waits=waits,
        )
    )


def poll_signals(instance_id: str, names: Sequence[str], wait: timedelta) -> RpcRequest:
    """Ask for pending signals and values; the server may hold the answer until there are some."""
    return RpcRequest(
        poll_signals=PollSignalsRequest(
            instance_id=instance_id,
            checkpoint_id=names[0] if names else None,
            more_checkpoint_ids=names[1:],
            wait_ms=_milliseconds(wait) or None,
        )
    )


def acknowledge(instance_id: str, signal_type: SignalType, *, accepted: bool) -> RpcRequest:
    """Answer a signal."""
    return RpcRequest(
        signal_ack=SignalAck(
            instance_id=instance_id,
            signal_type=_NUMBERS[signal_type],
            acknowledged=accepted,
        )
    )


def retry_attempt(
    instance_id: str, checkpoint_id: str, attempt_number: int, error_message: str | None
) -> RpcRequest:
    """Report an attempt that failed now."""
    if not 1 <= attempt_number <= _MAX_ATTEMPT:
        raise ValidationFailed(f"attempt_number: takes 1 to {_MAX_ATTEMPT}, got {attempt_number}")
    return RpcRequest(
        retry_attempt=RetryAttemptEvent(
            instance_id=instance_id,
            checkpoint_id=checkpoint_id,
            attempt_number=attempt_number,
            timestamp_ms=_timestamp(datetime.now(UTC)),
            error_message=error_message,
        )
    )


def heartbeat(
    instance_id: str, waits: str | None = None, progress: bytes | None = None
) -> RpcRequest:
    """Send a heartbeat, and report what the instance waits for and how far it is."""
    request = _event(instance_id, InstanceEventType.EVENT_HEARTBEAT)
    if waits is not None:
        request.instance_event.waits = waits
    if progress is not None:
        request.instance_event.progress = progress
    return request


def heartbeats(instance_ids: Iterable[str]) -> RpcRequest:
    """Send the heartbeats of many instances at once."""
    now = _timestamp(datetime.now(UTC))
    return RpcRequest(
        instance_event_batch=InstanceEventBatch(
            events=[
                InstanceEvent(
                    instance_id=each,
                    event_type=InstanceEventType.EVENT_HEARTBEAT,
                    timestamp_ms=now,
                )
                for each in instance_ids
            ]
        )
    )


def completed(instance_id: str, output: bytes, exit_code: int | None = None) -> RpcRequest:
    """Complete the instance with its output; exit_code: a worker's launch ends with it, too."""
    request = _event(instance_id, InstanceEventType.EVENT_COMPLETED, output)
    if exit_code is not None:
        request.instance_event.exit_code = exit_code
    return request


def failed(
    instance_id: str, error: str, failure: bytes | None, exit_code: int | None = None
) -> RpcRequest:
    """
    Fail the instance; the error may hold surrogates, as in file names that are not UTF-8.

    exit_code: a worker's launch ends with it, too.
    """
    text = error.encode(errors="backslashreplace")
    request = _event(instance_id, InstanceEventType.EVENT_FAILED, text)
    if failure is not None:
        request.instance_event.failure = failure
    if exit_code is not None:
        request.instance_event.exit_code = exit_code
    return request


def suspended(instance_id: str, blocked_reason: str | None, waits: str | None) -> RpcRequest:
    """Report that the process stops for now, why it can't go on, and what it waits for."""
    request = _event(instance_id, InstanceEventType.EVENT_SUSPENDED)
    if blocked_reason is not None:
        request.instance_event.blocked_reason = _kept(blocked_reason)
    if waits is not None:
        request.instance_event.waits = waits
    return request


def custom_event(instance_id: str, event: CustomEvent) -> RpcRequest:
    """Report an event that the workflow defines."""
    return RpcRequest(instance_event=_custom_event(instance_id, event))


def events(instance_id: str, events: Iterable[CustomEvent]) -> RpcRequest:
    """Report many events at once."""
    return RpcRequest(
        instance_event_batch=InstanceEventBatch(
            events=[_custom_event(instance_id, event) for event in events]
        )
    )


def status(instance_id: str) -> RpcRequest:
    """Ask for an instance's status."""
    return RpcRequest(get_instance_status=GetInstanceStatusRequest(instance_id=instance_id))


def _event(instance_id: str, event_type: InstanceEventType, payload: bytes = b"") -> RpcRequest:
    """Report an event that happens now."""
    return RpcRequest(
        instance_event=InstanceEvent(
            instance_id=instance_id,
            event_type=event_type,
            payload=payload,
            timestamp_ms=_timestamp(datetime.now(UTC)),
        )
    )


def _custom_event(instance_id: str, event: CustomEvent) -> InstanceEvent:
    return InstanceEvent(
        instance_id=instance_id,
        event_type=InstanceEventType.EVENT_CUSTOM,
        payload=event.payload,
        timestamp_ms=_timestamp(event.happened_at),
        subtype=event.subtype,
    )


def _kept(reason: str) -> str:
    """Return a reason that the server can store: UTF-8, no NUL, a long one without its middle."""
    text = reason.replace("\0", "").encode(errors="backslashreplace")
    if len(text) > _LONGEST_REASON:
        half = _LONGEST_REASON // 2 - 10
        text = text[:half] + b"\n...\n" + text[-half:]
    return text.decode(errors="ignore")


def _milliseconds(duration: timedelta) -> int:
    """Count a part of a millisecond as a whole one."""
    return -(-duration // _MILLISECOND)


def _timestamp(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND
