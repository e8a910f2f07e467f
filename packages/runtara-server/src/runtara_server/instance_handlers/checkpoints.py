"""Saving checkpoints, and reading them back."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

from runtara_domain import values
from runtara_domain.error import InstanceNotFound
from runtara_domain.model import Caller, CheckpointWrite, RetryAttempt, Saved, Sleep
from runtara_domain.ports.transport import Operations, Request
from runtara_protocol.pb import instance_pb2 as pb
from runtara_protocol.server.router import LargeAnswer
from runtara_server.instance_handlers import translation


async def checkpoint(
    core: Operations, request: Request, message: pb.CheckpointRequest
) -> pb.RpcResponse | LargeAnswer[pb.RpcResponse]:
    """Save a state, or find the one saved first."""
    caller = request.session.caller(message.instance_id)
    before = [message.preceding] if message.HasField("preceding") else []
    states = [(one.checkpoint_id, one.state) for one in (*before, *message.more_preceding)]
    write = CheckpointWrite.together([*states, (message.checkpoint_id, message.state)])
    outcome = await core.save_checkpoint(caller=caller, write=write)
    if outcome.is_large:
        return LargeAnswer(partial(_read, core, caller, message.checkpoint_id, outcome))
    return pb.RpcResponse(
        checkpoint=translation.saved(message.instance_id, message.checkpoint_id, outcome)
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
    core: Operations, request: Request, message: pb.GetCheckpointRequest
) -> pb.RpcResponse:
    """Read a state without saving one."""
    kept = await core.get_checkpoint(
        caller=request.session.caller(message.instance_id), checkpoint_id=message.checkpoint_id
    )
    return pb.RpcResponse(
        get_checkpoint=pb.GetCheckpointResponse(
            found=kept is not None, state=kept.state if kept else b""
        )
    )


async def list_checkpoints(
    core: Operations, request: Request, message: pb.ListCheckpointsRequest
) -> pb.RpcResponse:
    """Read a page of an instance's checkpoints."""
    outcome = await core.list_checkpoints(
        caller=request.session.caller(message.instance_id),
        after_id=message.after_id,
        limit=message.limit,
    )
    return pb.RpcResponse(list_checkpoints=translation.page(outcome))


async def sleep(core: Operations, request: Request, message: pb.SleepRequest) -> pb.RpcResponse:
    """Sleep durably; answered when it is over, or stored if it is detached."""
    # A deadline beyond the calendar counts as the longest sleep.
    longest = values.MAX_SLEEP // timedelta(milliseconds=1)
    slept = core.sleep(
        session=request.session,
        caller=request.session.caller(message.instance_id),
        sleep=Sleep(
            checkpoint_id=message.checkpoint_id,
            state=message.state,
            duration=timedelta(milliseconds=min(message.duration_ms, longest)),
            keep_running=message.keep_running,
            detach=message.detach,
            waits=message.waits if message.HasField("waits") else None,
        ),
        on_stored=request.on_stored,
    )
    del message
    await slept
    return pb.RpcResponse(sleep=pb.SleepResponse())


async def retry_attempt(core: Operations, request: Request, message: pb.RetryAttemptEvent) -> None:
    """Record a failed attempt."""
    text = message.error_message if message.HasField("error_message") else None
    await core.record_retry_attempt(
        caller=request.session.caller(message.instance_id),
        attempt=RetryAttempt(
            checkpoint_id=message.checkpoint_id,
            attempt_number=message.attempt_number,
            created_at=translation.moment(message.timestamp_ms),
            error_message=None if text is None else text.replace("\0", "\ufffd"),
        ),
    )
