"""Instances: starting, reading, controlling and deleting them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from runtara_management_sdk import reading
from runtara_management_sdk.states import Status
from runtara_protocol.pb import environment_pb2 as pb
from runtara_sdk.errors import InstanceNotFound

if TYPE_CHECKING:
    from runtara_management_sdk.answers import Asks
    from runtara_management_sdk.instance_records import Checkpoint, Event, Instance
    from runtara_management_sdk.list_records import InstanceFilter, InstanceSummary
    from runtara_management_sdk.result_records import Forked, Imported, Sent, Started

PAGE = 100
PRUNED = 500
"""The most instances that one request of `prune` deletes."""
HOLD = timedelta(seconds=30)
"""How long the server holds one request of `wait`; the client then sends the next."""

_LARGE = 64 * 1024
_COPIED = 120.0
"""Seconds that an export or import of 60 MiB may take beyond the request timeout."""


class Instances:
    """The instances of an environment's database."""

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
        Start an instance of an image, or of a workflow by its name; it is stored on return.

        input: JSON. launch_timeout: bounds each of its launches. priority: higher is launched
        first; None stands for 0. delay: no launch before. dedupe_key: while an open instance of the
        queue has this key, that instance is returned. A second start with the same id, tenant,
        image or workflow, and input returns the same instance. Without an id the server makes one,
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
        from runtara_management_sdk.result_records import Started

        return Started(answer.instance_id, created is None or created)

    async def get(self, instance_id: str) -> Instance | None:
        """Return an instance; None if there is none of this id."""
        request = pb.GetInstanceStatusRequest(instance_id=instance_id)
        answer = await self._transport.ask(pb.RpcRequest(get_instance_status=request))
        from runtara_management_sdk import instance_reading

        return instance_reading.instance(answer) if answer.found else None

    async def wait(self, instance_id: str, within: timedelta | None = None) -> Instance:
        """
        Wait until the instance has ended, and return it.

        within: after this time the instance is returned though it has not ended; None waits without
        a limit. Raises InstanceNotFound.
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
            from runtara_management_sdk import instance_reading

            found = instance_reading.instance(answer.instance)
            if found.status is Status.UNKNOWN:
                raise InstanceNotFound(f"Instance {instance_id!r} not found")
            if found.status.is_final or hold < HOLD:
                return found

    async def list(
        self, which: InstanceFilter | None = None, *, order_by: str | None = None
    ) -> AsyncIterator[InstanceSummary]:
        """
        Yield instances, newest first; without a filter, all of them.

        order_by: `created_at_desc`, `created_at_asc`, `finished_at_desc` or `finished_at_asc`. An
        environment too old for one of the filters raises RequestNotKnown before the first instance.
        """
        from runtara_management_sdk import list_reading

        after: str | None = None
        while True:
            request = list_reading.listing(which, order_by, PAGE)
            filters = list_reading.newer_fields(request)
            request.count_limit = 0
            if after is not None:
                request.after = after
            answer = await self._transport.ask(pb.RpcRequest(list_instances=request))
            list_reading.require_known(filters, answer)
            for message in answer.instances:
                yield list_reading.summary(message)
            after = reading.field(answer, "next")
            if after is None:
                return

    async def count(self, which: InstanceFilter | None = None, *, limit: int | None = None) -> int:
        """
        Return the number of instances, at most `limit`; an older environment ignores `limit`.

        An environment too old for one of the filters raises RequestNotKnown.
        """
        from runtara_management_sdk import list_reading

        request = list_reading.listing(which, None, limit=1)
        filters = list_reading.newer_fields(request)
        if limit is not None:
            request.count_limit = limit
        answer = await self._transport.ask(pb.RpcRequest(list_instances=request))
        list_reading.require_known(filters, answer)
        return int(answer.total_count)

    async def stop(
        self, instance_id: str, *, grace: timedelta = timedelta(seconds=5), reason: str = ""
    ) -> None:
        """
        Cancel the instance, and end its process if it still runs after the grace.

        Returns once the instance has ended.
        """
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
        """Send the instance a cancel: it cleans up and ends as CANCELLED."""
        await self._signal(instance_id, pb.SIGNAL_CANCEL, reason)

    async def pause(self, instance_id: str) -> None:
        """Send the instance a pause: it suspends at its next durable call until it is resumed."""
        await self._signal(instance_id, pb.SIGNAL_PAUSE, b"")

    async def resume(self, instance_id: str) -> None:
        """Make an instance launchable now that is paused, asleep, blocked or in back-off."""
        request = pb.ResumeInstanceRequest(instance_id=instance_id)
        await self._transport.ask(pb.RpcRequest(resume_instance=request))

    async def send(self, instance_id: str, name: str, payload: bytes) -> Sent:
        """Send a value to the instance's promise of this name; the first value stands."""
        request = pb.SendCustomSignalRequest(
            instance_id=instance_id, checkpoint_id=name, payload=payload
        )
        answer = await self._transport.ask(pb.RpcRequest(send_custom_signal=request))
        first = reading.field(answer, "first")
        from runtara_management_sdk.result_records import Sent

        return Sent(first is None or first, reading.field(answer, "warning"))

    async def retry(
        self, instance_id: str, *, image_id: str | None = None, forget: tuple[str, ...] = ()
    ) -> None:
        """
        Let a FAILED or CANCELLED instance go on; its recorded results are kept.

        image_id: the image it goes on with; None keeps its own. forget: the checkpoint ids of
        results to set aside, so that the next run makes these calls again.
        """
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
        """
        Create an instance with the same input and a copy of the history up to a checkpoint.

        new_instance_id: None lets the server make an id. through: the last copied checkpoint; None
        copies all. before: the first checkpoint that is not copied, instead of `through`.
        """
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
        from runtara_management_sdk.result_records import Forked

        return Forked(answer.instance_id, answer.copied, repeated)

    async def move(self, instance_id: str, image_id: str) -> None:
        """Give an instance another image; the instance must be open, and have no open launch."""
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
        Delete a finished instance, all its data, and its descendants (children and their children).

        Returns the number of deleted instances. Raises InvalidInstanceState, and deletes nothing,
        while the parent or a descendant is open, or a process of any of them is ending. ended_at:
        the instance's end as the caller read it; if the instance has gone on since, nothing is
        deleted. also_suspended: also delete an open instance, without its clean-up, if it is
        paused, or asleep with a pending pause, as after `export`. finished_before: if the instance
        or a descendant finished later, nothing is deleted. An environment too old to know ended_at
        and finished_before raises RequestNotKnown, and deletes nothing.
        """
        request = pb.DeleteInstanceRequest(
            instance_id=instance_id,
            expected_finished_at_ms=reading.to_milliseconds(ended_at),
            also_suspended=also_suspended,
            finished_before_ms=reading.to_milliseconds(finished_before),
        )
        # An older environment would ignore the conditions in `delete_instance`.
        is_bound = ended_at is not None or finished_before is not None
        asked = (
            pb.RpcRequest(delete_instance_if=request)
            if is_bound
            else pb.RpcRequest(delete_instance=request)
        )
        answer = await self._transport.ask(asked, is_repeatable=False)
        return int(answer.deleted)

    async def export(self, instance_id: str, *, as_copy: bool = False) -> bytes:
        """
        Return an instance with its history as a file, for `import_` into another database.

        Raises InvalidInstanceState if the instance is open and not paused, or has an open parent or
        child. as_copy: export it in any state; it goes on here as well.
        """
        request = pb.ExportInstanceRequest(instance_id=instance_id, as_copy=as_copy)
        answer = await self._transport.ask(pb.RpcRequest(export_instance=request), hold=_COPIED)
        return bytes(answer.data)

    async def import_(self, data: bytes, *, image_id: str | None = None) -> Imported:
        """
        Store the instance of an exported file; an open instance is paused until it is resumed.

        image_id: the image it runs; None stands for its former image, else the newest image of that
        name, else an image or worker that serves its workflow. Raises ValidationFailed if the file
        is damaged or of a newer format, InstanceAlreadyExists if another instance has the id.
        """
        request = pb.ImportInstanceRequest(data=data, image_id=image_id)
        answer = await self._transport.ask(pb.RpcRequest(import_instance=request), hold=_COPIED)
        from runtara_management_sdk.result_records import Imported

        return Imported(
            answer.instance_id,
            answer.created,
            reading.field(answer, "image_id"),
            reading.field(answer, "workflow"),
        )

    async def prune(self, finished_before: datetime) -> int:
        """
        Delete the instances that finished before this moment, with all their data.

        Returns their number. An instance with an open parent is kept.
        """
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
        Yield an instance's checkpoints, newest first.

        largest_state: yield states of at most this many bytes, up to 65,536; 0 yields none.
        """
        from runtara_management_sdk.instance_records import Checkpoint

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
        """Return the state of a checkpoint; None if there is no such checkpoint."""
        request = pb.GetCheckpointRequest(instance_id=instance_id, checkpoint_id=checkpoint_id)
        answer = await self._transport.ask(pb.RpcRequest(get_checkpoint=request))
        return bytes(answer.data) if answer.found else None

    async def history(self, instance_id: str) -> Sequence[tuple[str, bytes | None]]:
        """Return all checkpoint ids and states, oldest first; None for a state above 64 KiB."""
        found = self.checkpoints(instance_id, largest_state=_LARGE)
        newest = [(one.checkpoint_id, one.state) async for one in found]
        return newest[::-1]

    async def events(
        self, instance_id: str, *, event_type: str | None = None, subtype: str | None = None
    ) -> AsyncIterator[Event]:
        """Yield an instance's events in the server's order; event_type, subtype: only these."""
        from runtara_management_sdk import instance_reading

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
                yield instance_reading.event(message)
            offset += len(answer.events)
            if not answer.events or offset >= answer.total_count:
                return

    async def _signal(self, instance_id: str, signal: pb.SignalType, payload: bytes) -> None:
        request = pb.SendSignalRequest(instance_id=instance_id, signal_type=signal, payload=payload)
        await self._transport.ask(pb.RpcRequest(send_signal=request))
