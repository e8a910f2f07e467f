"""Handlers that start, read and control instances."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from runtara_domain import values
from runtara_domain.error import InvalidValue, ShuttingDown
from runtara_environment.errors import Conflict
from runtara_environment.management_handlers import translation, views
from runtara_protocol.pb import environment_pb2 as pb

if TYPE_CHECKING:
    from runtara_domain.model.instance_lists import (
        InstanceOrder,
        InstancePlace,
        InstanceQuery,
        ListedInstance,
    )
    from runtara_domain.model.instance_views import InstanceView
    from runtara_domain.model.launches import InstanceStart
    from runtara_domain.ports.transport import OnAbandoned
    from runtara_domain.status import InstanceStatus, SignalType
    from runtara_environment.management import Management, ManagementRequest

_LONGEST_WAIT = timedelta(minutes=1)


async def start_instance(
    core: Management, request: ManagementRequest, message: pb.StartInstanceRequest
) -> pb.RpcResponse:
    """Keep an instance to be launched; launch it at once where there is room."""
    start = _start(message, core.launcher.now())
    started = await core.operations.start(start)
    return pb.RpcResponse(
        start_instance=pb.StartInstanceResponse(
            success=True,
            instance_id=started.duplicate_of or start.instance_id,
            created=started.created,
        )
    )


def _start(message: pb.StartInstanceRequest, now: datetime) -> InstanceStart:
    from runtara_domain.model.launches import InstanceStart

    workflow = translation.optional(message, "workflow")
    if not workflow:
        translation.required(message, "image_id")
    elif message.image_id:
        raise Conflict("image_id and workflow: give one of them")
    delay = translation.optional(message, "delay_ms")
    if delay is not None:
        longest = values.MAX_SLEEP // timedelta(milliseconds=1)
        values.check_range("delay_ms", delay, 0, longest)
    seconds = translation.optional(message, "timeout_seconds")
    return InstanceStart(
        instance_id=translation.optional(message, "instance_id") or str(uuid4()),
        tenant_id=translation.required(message, "tenant_id"),
        image_id=message.image_id or None,
        workflow=workflow,
        input=message.input or None,
        timeout=None if seconds is None else timedelta(seconds=seconds),
        env=dict(message.env),
        priority=message.priority,
        launch_after=None if delay is None else now + timedelta(milliseconds=delay),
        queue=translation.optional(message, "queue"),
        dedupe_key=translation.optional(message, "dedupe_key"),
    )


async def get_instance_status(
    core: Management, request: ManagementRequest, message: pb.GetInstanceStatusRequest
) -> pb.RpcResponse:
    """Read an instance; an unknown one is no error."""
    response = await _status(core, message.instance_id, brief=message.brief)
    return pb.RpcResponse(get_instance_status=response)


async def _status(
    core: Management, instance_id: str, *, brief: bool
) -> pb.GetInstanceStatusResponse:
    seen = await core.operations.view(instance_id, tenant_limit=core.tenant_limit)
    if seen is None:
        return pb.GetInstanceStatusResponse(
            instance_id=instance_id,
            status=pb.STATUS_UNKNOWN,
            error=f"Instance {instance_id!r} not found",
        )
    obstacle = None if seen.image is None else core.obstacle(seen.image)
    response = views.view(seen, obstacle=obstacle, brief=brief)
    if not response.HasField("not_launched") and _may_wait(seen):
        from runtara_domain.model.launch_ends import Cause
        from runtara_domain.model.stored_launches import LaunchFilter

        [newest] = await core.persistence.launches.page(LaunchFilter(instance_id), limit=1)
        if newest.cause == Cause.WAITING:
            response.not_launched = newest.stderr or "its placement has no room for it"
            response.not_launched_kind = "room"
    return response


def _may_wait(seen: InstanceView) -> bool:
    """Return whether a placement may have given the newest launch back for want of room."""
    one = seen.instance
    is_between = one.launch_id is None and seen.next_launch_at is not None
    return is_between and seen.launches > 0 and not one.state.is_final


async def wait_instance(
    core: Management, request: ManagementRequest, message: pb.WaitInstanceRequest
) -> pb.RpcResponse:
    """Answer when the instance is final, or the time is up."""
    wait = min(timedelta(milliseconds=message.wait_ms), _LONGEST_WAIT)
    until = core.clock.uptime() + wait
    given_up, endings = _given_up(core, request), core.operations.endings
    while True:
        left = until - core.clock.uptime()
        has_heard = await endings.until_heard(message.instance_id, left, given_up)
        response = await _status(core, message.instance_id, brief=False)
        is_over = not response.found or response.status in translation.FINAL_STATUSES
        if is_over or core.clock.uptime() >= until:
            return pb.RpcResponse(wait_instance=pb.WaitInstanceResponse(instance=response))
        if not has_heard:
            raise ShuttingDown("The server is shutting down: try again in a moment, or another")


def _given_up(core: Management, request: ManagementRequest) -> OnAbandoned:
    """Return a context that calls back when the client gives up, or the environment ends."""

    @contextmanager
    def given_up(call: Callable[[], None]) -> Iterator[None]:
        with request.on_abandoned(call), core.ending.calling(call):
            yield

    return given_up


async def list_instances(
    core: Management, request: ManagementRequest, message: pb.ListInstancesRequest
) -> pb.RpcResponse:
    """List instances, a page at a time."""
    which, order = _query(message), _order(message)
    limit = translation.limit(message)
    after = translation.optional(message, "after")
    launches = core.persistence.launches
    page = await launches.instances(
        which,
        order=order,
        after=None if after is None else _place(after),
        offset=message.offset,
        limit=limit,
    )
    most = message.count_limit if message.HasField("count_limit") else None
    return pb.RpcResponse(
        list_instances=pb.ListInstancesResponse(
            instances=map(translation.listed, page),
            # A client that goes through all pages counts none of them.
            total_count=0 if most == 0 else await launches.count_instances(which, limit=most),
            next=_cursor(page[-1], order) if len(page) == limit else None,
            known_fields=[field.number for field, _ in message.ListFields()],
        )
    )


def _query(message: pb.ListInstancesRequest) -> InstanceQuery:
    from runtara_domain.model.instance_lists import InstanceQuery

    status: InstanceStatus | None = None
    if message.HasField("status") and message.status != pb.STATUS_UNKNOWN:
        status = translation.word(translation.STATUSES, "status", message.status, pb.InstanceStatus)
    return InstanceQuery(
        tenant_id=translation.optional(message, "tenant_id"),
        status=status,
        image_id=translation.optional(message, "image_id"),
        image_name_prefix=translation.optional(message, "image_name_prefix"),
        workflow=translation.optional(message, "workflow"),
        queue=translation.optional(message, "queue"),
        parent_id=translation.optional(message, "parent_id"),
        error_contains=translation.optional(message, "error_contains"),
        blocked=message.blocked if message.HasField("blocked") else None,
        created_since=translation.moment(message, "created_after_ms"),
        created_until=translation.moment(message, "created_before_ms"),
        finished_since=translation.moment(message, "finished_after_ms"),
        finished_until=translation.moment(message, "finished_before_ms"),
    )


def _order(message: pb.ListInstancesRequest) -> InstanceOrder:
    from runtara_domain.model.instance_lists import InstanceOrder

    text = message.order_by or InstanceOrder.CREATED_DESC
    if text not in set(InstanceOrder):
        raise InvalidValue(f"order_by: takes one of {', '.join(InstanceOrder)}, got {text!r}")
    return InstanceOrder(text)


def _cursor(last: ListedInstance, order: InstanceOrder) -> str:
    summary = last.summary
    by_creation = order.startswith("created")
    moment = summary.created_at if by_creation else summary.finished_at or summary.created_at
    return base64.urlsafe_b64encode(
        json.dumps([moment.astimezone(UTC).isoformat(), summary.instance_id]).encode()
    ).decode()


def _place(cursor: str) -> InstancePlace:
    from runtara_domain.model.instance_lists import InstancePlace

    try:
        moment, instance_id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return InstancePlace(datetime.fromisoformat(moment), instance_id)
    except (binascii.Error, ValueError, TypeError, AttributeError) as error:
        raise InvalidValue("after: takes the `next` of an earlier page") from error


async def stop_instance(
    core: Management, request: ManagementRequest, message: pb.StopInstanceRequest
) -> pb.RpcResponse:
    """Cancel, let the process clean up, end it; answered when the instance is final."""
    from runtara_domain.model.interventions import Stop

    grace = timedelta(seconds=message.grace_period_seconds)
    stop = Stop(message.instance_id, grace, message.reason)
    await core.operations.stop(stop, _given_up(core, request))
    return pb.RpcResponse(stop_instance=pb.StopInstanceResponse(success=True))


async def resume_instance(
    core: Management, request: ManagementRequest, message: pb.ResumeInstanceRequest
) -> pb.RpcResponse:
    """Make an instance launchable now."""
    await core.operations.resume(message.instance_id)
    return pb.RpcResponse(resume_instance=pb.ResumeInstanceResponse(success=True))


async def send_signal(
    core: Management, request: ManagementRequest, message: pb.SendSignalRequest
) -> pb.RpcResponse:
    """Put in a cancel or a pause; a resume makes the instance launchable."""
    from runtara_domain.model import Signal

    kind: SignalType = translation.word(
        translation.SIGNALS, "signal_type", message.signal_type, pb.SignalType
    )
    await core.operations.send_signal(message.instance_id, Signal(kind, message.payload))
    return pb.RpcResponse(send_signal=pb.SendSignalResponse(success=True))


async def send_custom_signal(
    core: Management, request: ManagementRequest, message: pb.SendCustomSignalRequest
) -> pb.RpcResponse:
    """Send a value; the first one sent for a name stands."""
    from runtara_domain.model import CustomSignal

    translation.required(message, "checkpoint_id")
    sent = await core.operations.send(
        message.instance_id, CustomSignal(message.checkpoint_id, message.payload)
    )
    return pb.RpcResponse(
        send_custom_signal=pb.SendCustomSignalResponse(
            success=True, first=sent.stands, warning=sent.hint
        )
    )


async def retry_instance(
    core: Management, request: ManagementRequest, message: pb.RetryInstanceRequest
) -> pb.RpcResponse:
    """Let a failed or cancelled instance go on."""
    from runtara_domain.model.interventions import Retry

    retry = Retry(
        instance_id=message.instance_id,
        image_id=translation.optional(message, "image_id"),
        set_aside=tuple(message.forget_checkpoint_ids),
    )
    await core.operations.retry(retry)
    return pb.RpcResponse(retry_instance=pb.RetryInstanceResponse())


async def fork_instance(
    core: Management, request: ManagementRequest, message: pb.ForkInstanceRequest
) -> pb.RpcResponse:
    """Make an instance with a copy of another one's history."""
    from runtara_domain.model.interventions import Fork

    fork = Fork(
        instance_id=message.instance_id,
        new_instance_id=translation.optional(message, "new_instance_id") or str(uuid4()),
        through_checkpoint_id=translation.optional(message, "through_checkpoint_id"),
        before_checkpoint_id=translation.optional(message, "before_checkpoint_id"),
        image_id=translation.optional(message, "image_id"),
    )
    forked = await core.operations.fork(fork)
    return pb.RpcResponse(
        fork_instance=pb.ForkInstanceResponse(
            instance_id=fork.new_instance_id,
            copied=forked.copied,
            repeated_checkpoint_ids=forked.repeated,
        )
    )


async def delete_instance(
    core: Management, request: ManagementRequest, message: pb.DeleteInstanceRequest
) -> pb.RpcResponse:
    """Delete a finished instance, and the folders of its launches on this machine."""
    return pb.RpcResponse(delete_instance=await _delete(core, message))


async def delete_instance_if(
    core: Management, request: ManagementRequest, message: pb.DeleteInstanceRequest
) -> pb.RpcResponse:
    """Delete as `delete_instance` does, for clients whose conditions must not be ignored."""
    return pb.RpcResponse(delete_instance_if=await _delete(core, message))


async def _delete(core: Management, message: pb.DeleteInstanceRequest) -> pb.DeleteInstanceResponse:
    from runtara_domain.model.interventions import Deletion

    deletion = Deletion(
        message.instance_id,
        ended_at=translation.moment(message, "expected_finished_at_ms"),
        also_suspended=message.also_suspended,
        finished_before=translation.moment(message, "finished_before_ms"),
    )
    found = await core.operations.delete(deletion)
    if found.deleted:
        await asyncio.to_thread(core.forget_files, found.tenant_id, found.deleted)
    return pb.DeleteInstanceResponse(deleted=len(found.deleted))


async def move_instance(
    core: Management, request: ManagementRequest, message: pb.MoveInstanceRequest
) -> pb.RpcResponse:
    """Let an open instance run another image."""
    image_id = translation.required(message, "image_id")
    await core.operations.move(message.instance_id, image_id)
    return pb.RpcResponse(move_instance=pb.MoveInstanceResponse())
