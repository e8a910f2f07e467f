"""Saving checkpoints, and reading them back."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from runtara_domain import values
from runtara_domain.error import InstanceNotFound
from runtara_domain.model import Caller, CheckpointWrite, RetryAttempt, Saved, Sleep
from runtara_domain.ports.transport import Operations, not_told
from runtara_domain.sessions import Session
from runtara_protocol.pb import instance_pb2 as pb
from runtara_server.instance_handlers import translation


@dataclass(frozen=True, slots=True)
class LargeAnswer:
    """An answer that is large, to be read when there is room for it."""

    read: Callable[[], Awaitable[pb.RpcResponse]]


async def checkpoint(
    core: Operations, session: Session, request: pb.CheckpointRequest
) -> pb.RpcResponse | LargeAnswer:
    """Save a state, or find the one saved first."""
    caller = session.caller(request.instance_id)
    outcome = await core.save_checkpoint(
        caller=caller, write=CheckpointWrite(request.checkpoint_id, request.state)
    )
    if outcome.is_large:
        return LargeAnswer(partial(_read, core, caller, request.checkpoint_id, outcome))
    return pb.RpcResponse(
        checkpoint=translation.saved(request.instance_id, request.checkpoint_id, outcome)
    )


async def _read(
    core: Operations, caller: Caller, checkpoint_id: str, outcome: Saved
) -> pb.RpcResponse:
    kept = await core.get_checkpoint(caller=caller, checkpoint_id=checkpoint_id)
    if kept is None:  # The instance was deleted meanwhile.
        raise InstanceNotFound(caller.instance_id)
    found = replace(outcome, kept=kept.state)
    return pb.RpcResponse(checkpoint=translation.saved(caller.instance_id, checkpoint_id, found))


async def get_checkpoint(
    core: Operations, session: Session, request: pb.GetCheckpointRequest
) -> pb.RpcResponse:
    """Read a state without saving one."""
    kept = await core.get_checkpoint(
        caller=session.caller(request.instance_id), checkpoint_id=request.checkpoint_id
    )
    return pb.RpcResponse(
        get_checkpoint=pb.GetCheckpointResponse(
            found=kept is not None, state=kept.state if kept else b""
        )
    )


async def list_checkpoints(
    core: Operations, session: Session, request: pb.ListCheckpointsRequest
) -> pb.RpcResponse:
    """Read a page of an instance's checkpoints."""
    outcome = await core.list_checkpoints(
        caller=session.caller(request.instance_id), after_id=request.after_id, limit=request.limit
    )
    return pb.RpcResponse(list_checkpoints=translation.page(outcome))


async def sleep(
    core: Operations,
    session: Session,
    request: pb.SleepRequest,
    stored: Callable[[], None] = not_told,
) -> pb.RpcResponse:
    """Sleep durably; answered when it is over."""
    # What no calendar holds is as good as the longest sleep there is.
    longest = values.MAX_SLEEP // timedelta(milliseconds=1)
    slept = core.sleep(
        session=session,
        caller=session.caller(request.instance_id),
        sleep=Sleep(
            checkpoint_id=request.checkpoint_id,
            state=request.state,
            duration=timedelta(milliseconds=min(request.duration_ms, longest)),
            keep_running=request.keep_running,
        ),
        stored=stored,
    )
    del request
    await slept
    return pb.RpcResponse(sleep=pb.SleepResponse())


async def retry_attempt(core: Operations, session: Session, request: pb.RetryAttemptEvent) -> None:
    """Record a failed attempt."""
    message = request.error_message if request.HasField("error_message") else None
    await core.record_retry_attempt(
        caller=session.caller(request.instance_id),
        attempt=RetryAttempt(
            checkpoint_id=request.checkpoint_id,
            attempt_number=request.attempt_number,
            created_at=translation.moment(request.timestamp_ms),
            error_message=None if message is None else message.replace("\0", "\ufffd"),
        ),
    )
