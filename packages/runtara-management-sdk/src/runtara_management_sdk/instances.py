"""Instances: start them, look at them, tell them what to do."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from runtara_management_sdk import reading
from runtara_management_sdk.answers import Asks
from runtara_management_sdk.records import (
    Checkpoint,
    Event,
    Forked,
    Imported,
    Instance,
    InstanceFilter,
    InstanceSummary,
    Sent,
    Started,
    Status,
)
from runtara_protocol.pb import environment_pb2 as pb
from runtara_sdk.errors import InstanceNotFound

PAGE = 100
PRUNED = 500
"""Instances that one request deletes."""
HOLD = timedelta(seconds=30)
"""How long one request waits for an instance's end before it asks again."""

_LARGE = 64 * 1024
_COPIED = 120.0
"""Seconds that a file of 60 MiB may take besides what other requests may, with those before it."""

ANY = InstanceFilter()


class Instances:
    """What an environment knows of instances, and what it does with them."""

    def __init__(self, transport: Asks) -> None:
        self._transport = transport

    async def start(
        self,
        tenant_id: str,
        *,
        image_id: str | None = None,
        workflow: str | None = None,
        instance_id: str | None = None,
        input: bytes = b"",
        launch_timeout: timedelta | None = None,
        env: Mapping[str, str] | None = None,
        priority: int | None = None,
        delay: timedelta | None = None,
        queue: str | None = None,
        dedupe_key: str | None = None,
    ) -> Started:
        """
        Start an instance of an image, or of a workflow by its name; it is durable on return.

        input: JSON. launch_timeout: bounds each of its launches. A second start with the same id,
        tenant, image or workflow, and input is the same start. Without an id the server makes one,
        and the client does not repeat a start whose answer is lost.
        """
        request = pb.StartInstanceRequest(
            image_id=image_id or "",
            tenant_id=tenant_id,
            instance_id=instance_id,
            input=input,
            timeout_seconds=None if launch_timeout is None else int(launch_timeout.total_seconds()),
            env=env,
            workflow=workflow,
            priority=priority,
            delay_ms=None if delay is None else delay // timedelta(milliseconds=1),
            queue=queue,
            dedupe_key=dedupe_key,
        )
        answer = await self._transport.ask(
            pb.RpcRequest(start_instance=request), is_repeatable=instance_id is not None
        )
        created = reading.field(answer, "created")
        return Started(answer.instance_id, created is None or created)

    async def get(self, instance_id: str) -> Instance | None:
        """Read an instance; None if it is unknown."""
        request = pb.GetInstanceStatusRequest(instance_id=instance_id)
        answer = await self._transport.ask(pb.RpcRequest(get_instance_status=request))
        return reading.instance(answer) if answer.found else None

    async def wait(self, instance_id: str, within: timedelta | None = None) -> Instance:
        """
        Wait until the instance has ended and return it; after `within` return it as it is then.

        Raises InstanceNotFound.
        """
        until = None if within is None else datetime.now(UTC) + within
        while True:
            left = HOLD if until is None else until - datetime.now(UTC)
            hold = max(timedelta(0), min(HOLD, left))
            request = pb.WaitInstanceRequest(
                instance_id=instance_id, wait_ms=hold // timedelta(milliseconds=1)
            )
            answer = await self._transport.ask(
                pb.RpcRequest(wait_instance=request), hold=hold.total_seconds()
            )
            found = reading.instance(answer.instance)
            if found.status is Status.UNKNOWN:
                raise InstanceNotFound(f"Instance {instance_id!r} not found")
            if found.status.is_final or hold < HOLD:
                return found

    async def list(
        self, which: InstanceFilter = ANY, *, order_by: str | None = None
    ) -> AsyncIterator[InstanceSummary]:
        """Give instances, newest first unless ordered otherwise (`finished_at_asc`, ...)."""
        after: str | None = None
        while True:
            request = _listing(which, order_by)
            request.count_limit = 0
            if after is not None:
                request.after = after
            answer = await self._transport.ask(pb.RpcRequest(list_instances=request))
            for message in answer.instances:
                yield reading.summary(message)
            after = reading.field(answer, "next")
            if after is None:
                return

    async def count(self, which: InstanceFilter = ANY, *, limit: int | None = None) -> int:
        """Count instances, up to `limit`: an older environment counts all of them."""
        request = _listing(which, None)
        request.limit = 1
        if limit is not None:
            request.count_limit = limit
        answer = await self._transport.ask(pb.RpcRequest(list_instances=request))
        return int(answer.total_count)

    async def stop(
        self, instance_id: str, *, grace: timedelta = timedelta(seconds=5), reason: str = ""
    ) -> None:
        """Cancel, let it clean up for the grace, end its process; returns when it is final."""
        request = pb.StopInstanceRequest(
            instance_id=instance_id,
            grace_period_seconds=int(grace.total_seconds()),
            reason=reason,
        )
        await self._transport.ask(
            pb.RpcRequest(stop_instance=request),
            is_repeatable=False,
            hold=grace.total_seconds() + 5,
        )

    async def cancel(self, instance_id: str, reason: bytes = b"") -> None:
        """Ask it to clean up and end as CANCELLED."""
        await self._signal(instance_id, pb.SIGNAL_CANCEL, reason)

    async def pause(self, instance_id: str) -> None:
        """Ask it to suspend at its next durable call until it is resumed."""
        await self._signal(instance_id, pb.SIGNAL_PAUSE, b"")

    async def resume(self, instance_id: str) -> None:
        """Make a paused, sleeping, blocked or backing-off instance launchable now."""
        request = pb.ResumeInstanceRequest(instance_id=instance_id)
        await self._transport.ask(pb.RpcRequest(resume_instance=request))

    async def send(self, instance_id: str, name: str, payload: bytes) -> Sent:
        """Send a value for a name that the instance waits for; the first one stands."""
        request = pb.SendCustomSignalRequest(
            instance_id=instance_id, checkpoint_id=name, payload=payload
        )
        answer = await self._transport.ask(pb.RpcRequest(send_custom_signal=request))
        first = reading.field(answer, "first")
        return Sent(first is None or first, reading.field(answer, "warning"))

    async def retry(
        self, instance_id: str, *, image_id: str | None = None, forget: tuple[str, ...] = ()
    ) -> None:
        """Let a FAILED or CANCELLED instance go on; its results stay, but those to forget."""
        request = pb.RetryInstanceRequest(
            instance_id=instance_id, image_id=image_id, forget_checkpoint_ids=forget
        )
        await self._transport.ask(pb.RpcRequest(retry_instance=request))

    async def fork(
        self,
        instance_id: str,
        *,
        new_instance_id: str | None = None,
        through: str | None = None,
        before: str | None = None,
        image_id: str | None = None,
    ) -> Forked:
        """Make an instance with the same input and a copy of the history up to a checkpoint."""
        request = pb.ForkInstanceRequest(
            instance_id=instance_id,
            new_instance_id=new_instance_id,
            through_checkpoint_id=through,
            before_checkpoint_id=before,
            image_id=image_id,
        )
        answer = await self._transport.ask(
            pb.RpcRequest(fork_instance=request), is_repeatable=new_instance_id is not None
        )
        repeated = tuple(answer.repeated_checkpoint_ids)
        return Forked(answer.instance_id, answer.copied, repeated)

    async def move(self, instance_id: str, image_id: str) -> None:
        """Give an open instance that has no open launch another image."""
        request = pb.MoveInstanceRequest(instance_id=instance_id, image_id=image_id)
        await self._transport.ask(pb.RpcRequest(move_instance=request))

    async def delete(
        self,
        instance_id: str,
        *,
        ended_at: datetime | None = None,
        also_suspended: bool = False,
        finished_before: datetime | None = None,
    ) -> int:
        """
        Delete a finished instance with all that belongs to it, and with its children and theirs.

        Returns the number of deleted instances. Raises InvalidInstanceState, and deletes nothing,
        while its parent or one of those children is open, or a process of one is ending. ended_at:
        the end as it was read; if the instance has gone on since, the result is 0. also_suspended:
        delete an open instance as well, without its clean-up, if it is paused, or asleep and about
        to pause when it wakes, as `export` leaves one. finished_before: if one of those that would
        go finished later, the result is 0.
        """
        request = pb.DeleteInstanceRequest(
            instance_id=instance_id,
            expected_finished_at_ms=reading.to_milliseconds(ended_at),
            also_suspended=also_suspended,
            finished_before_ms=reading.to_milliseconds(finished_before),
        )
        answer = await self._transport.ask(
            pb.RpcRequest(delete_instance=request), is_repeatable=False
        )
        return int(answer.deleted)

    async def export(self, instance_id: str, *, as_copy: bool = False) -> bytes:
        """
        Return an instance with its history as a file, for `import_` at another database.

        Raises InvalidInstanceState for an open instance that is not paused, or has an open parent
        or child. as_copy: export it nevertheless as it is, and let it go on here.
        """
        request = pb.ExportInstanceRequest(instance_id=instance_id, as_copy=as_copy)
        answer = await self._transport.ask(pb.RpcRequest(export_instance=request), hold=_COPIED)
        return bytes(answer.data)

    async def import_(self, data: bytes, *, image_id: str | None = None) -> Imported:
        """
        Store the instance of a file; an open one is paused, and goes on once it is resumed.

        Without image_id it runs its former image, else the newest one of that name, else an image
        or worker that serves its workflow. Raises ValidationFailed for a damaged file or one of a
        newer format, InstanceAlreadyExists if another instance has the id.
        """
        request = pb.ImportInstanceRequest(data=data, image_id=image_id)
        answer = await self._transport.ask(pb.RpcRequest(import_instance=request), hold=_COPIED)
        return Imported(
            answer.instance_id,
            answer.created,
            reading.field(answer, "image_id"),
            reading.field(answer, "workflow"),
        )

    async def prune(self, finished_before: datetime) -> int:
        """Delete finished instances with all that belongs to them; tells how many there were."""
        deleted = 0
        while True:
            request = pb.PruneInstancesRequest(
                finished_before_ms=reading.to_milliseconds(finished_before), limit=PRUNED
            )
            answer = await self._transport.ask(pb.RpcRequest(prune_instances=request))
            deleted += int(answer.deleted)
            if answer.deleted < PRUNED:
                return deleted

    async def checkpoints(
        self, instance_id: str, *, largest_state: int = 0
    ) -> AsyncIterator[Checkpoint]:
        """
        Return an instance's checkpoints, newest first.

        largest_state: include states of at most this many bytes, up to 65,536.
        """
        offset = 0
        while True:
            request = pb.ListCheckpointsRequest(
                instance_id=instance_id,
                limit=PAGE,
                offset=offset,
                largest_data_bytes=largest_state,
            )
            answer = await self._transport.ask(pb.RpcRequest(list_checkpoints=request))
            for one in answer.checkpoints:
                saved_at = reading.moment(one.created_at_ms)
                state = reading.field(one, "data")
                if state is None and one.data_size_bytes <= largest_state > 0:
                    # An older environment lists checkpoints without states.
                    state = await self.checkpoint(instance_id, one.checkpoint_id)
                yield Checkpoint(one.checkpoint_id, saved_at, one.data_size_bytes, state)
            offset += len(answer.checkpoints)
            if not answer.checkpoints or offset >= answer.total_count:
                return

    async def checkpoint(self, instance_id: str, checkpoint_id: str) -> bytes | None:
        """Read a checkpoint's bytes; None if there is none."""
        request = pb.GetCheckpointRequest(instance_id=instance_id, checkpoint_id=checkpoint_id)
        answer = await self._transport.ask(pb.RpcRequest(get_checkpoint=request))
        return bytes(answer.data) if answer.found else None

    async def history(self, instance_id: str) -> Sequence[tuple[str, bytes | None]]:
        """Read an instance's checkpoints in the order of saving; None: one of over 64 KiB."""
        found = self.checkpoints(instance_id, largest_state=_LARGE)
        newest = [(one.checkpoint_id, one.state) async for one in found]
        return newest[::-1]

    async def events(
        self, instance_id: str, *, event_type: str | None = None, subtype: str | None = None
    ) -> AsyncIterator[Event]:
        """Give an instance's events in the server's order."""
        offset = 0
        while True:
            request = pb.ListEventsRequest(
                instance_id=instance_id,
                event_type=event_type,
                subtype=subtype,
                limit=PAGE,
                offset=offset,
            )
            answer = await self._transport.ask(pb.RpcRequest(list_events=request))
            for message in answer.events:
                yield reading.event(message)
            offset += len(answer.events)
            if not answer.events or offset >= answer.total_count:
                return

    async def _signal(self, instance_id: str, signal: pb.SignalType, payload: bytes) -> None:
        request = pb.SendSignalRequest(instance_id=instance_id, signal_type=signal, payload=payload)
        await self._transport.ask(pb.RpcRequest(send_signal=request))


def _listing(which: InstanceFilter, order_by: str | None) -> pb.ListInstancesRequest:
    return pb.ListInstancesRequest(
        tenant_id=which.tenant_id,
        status=None if which.status is None else reading.STATUSES[which.status],
        limit=PAGE,
        image_id=which.image_id,
        created_after_ms=reading.to_milliseconds(which.created_after),
        created_before_ms=reading.to_milliseconds(which.created_before),
        finished_after_ms=reading.to_milliseconds(which.finished_after),
        finished_before_ms=reading.to_milliseconds(which.finished_before),
        order_by=order_by,
        image_name_prefix=which.image_name_prefix,
        workflow=which.workflow,
        error_contains=which.error_contains,
        blocked=which.is_blocked,
        queue=which.queue,
        parent_id=which.parent_id,
    )
