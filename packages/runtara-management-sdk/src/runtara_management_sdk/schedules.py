"""Schedules: workflows that are started at the ticks of a cron expression."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from runtara_management_sdk import reading
from runtara_management_sdk.answers import Asks
from runtara_management_sdk.schedule_records import LocalTimeRule, Overlap, Schedule, Tick
from runtara_protocol.pb import environment_pb2 as pb

_MILLISECOND = timedelta(milliseconds=1)


class Schedules:
    """Schedules; a call that names an unknown schedule raises NotFound."""

    def __init__(self, transport: Asks) -> None:
        self._transport = transport

    async def put(self, schedule: Schedule) -> bool:
        """
        Create a schedule, or replace it; True if the schedule is new.

        A paused schedule stays paused. Raises ServerError if the cron expression or time zone can't
        be used, ImageNotFound if there is no such image.
        """
        request = pb.PutScheduleRequest(schedule=_message(schedule))
        answer = await self._transport.ask(pb.RpcRequest(put_schedule=request))
        return bool(answer.created)

    async def declare(self, schedule: Schedule) -> str:
        """
        Declare the schedule that a version of the code has for the workflow of the schedule's name.

        An empty cron declares that the code has no schedule. Returns the outcome: created, changed,
        unchanged, paused, older (a newer version declared the schedule), operators (an operator
        created the schedule) or absent.
        """
        request = pb.PutScheduleRequest(schedule=_message(schedule), declared_in_code=True)
        answer = await self._transport.ask(pb.RpcRequest(put_schedule=request))
        return str(answer.declared)

    async def list(self, tenant_id: str | None = None) -> Sequence[Schedule]:
        """Return schedules in the order of tenant and name; tenant_id: only this tenant's."""
        request = pb.ListSchedulesRequest(tenant_id=tenant_id)
        answer = await self._transport.ask(pb.RpcRequest(list_schedules=request))
        return [_schedule(message) for message in answer.schedules]

    async def pause(self, tenant_id: str, name: str, *, reason: str = "") -> None:
        """Pause a schedule: its ticks start nothing until it is resumed."""
        request = pb.PauseScheduleRequest(tenant_id=tenant_id, name=name, pause=True, reason=reason)
        await self._transport.ask(pb.RpcRequest(pause_schedule=request))

    async def resume(self, tenant_id: str, name: str) -> None:
        """Resume a schedule: ticks from now on start instances, missed ones don't."""
        request = pb.PauseScheduleRequest(tenant_id=tenant_id, name=name, pause=False)
        await self._transport.ask(pb.RpcRequest(pause_schedule=request))

    async def trigger(self, tenant_id: str, name: str) -> str:
        """Start one instance now, in addition to the ticks, and return its id."""
        request = pb.TriggerScheduleRequest(tenant_id=tenant_id, name=name)
        answer = await self._transport.ask(pb.RpcRequest(trigger_schedule=request))
        return str(answer.instance_id)

    async def backfill(
        self,
        tenant_id: str,
        name: str,
        *,
        since: datetime,
        until: datetime,
        dry_run: bool = False,
    ) -> Sequence[Tick]:
        """
        Start an instance for each tick of a past period, and return the ticks.

        since: inclusive. until: exclusive. A tick that was started before is not started again. One
        call takes at most 1000 ticks. dry_run: return the ticks, and start nothing.
        """
        request = pb.BackfillScheduleRequest(
            tenant_id=tenant_id,
            name=name,
            from_ms=reading.to_milliseconds(since),
            until_ms=reading.to_milliseconds(until),
            dry_run=dry_run,
        )
        answer = await self._transport.ask(pb.RpcRequest(backfill_schedule=request))
        return [_tick(message) for message in answer.ticks]

    async def next_ticks(self, tenant_id: str, name: str, *, limit: int = 10) -> Sequence[Tick]:
        """Return the next ticks, also those of a paused schedule."""
        request = pb.NextTicksRequest(tenant_id=tenant_id, name=name, limit=limit)
        answer = await self._transport.ask(pb.RpcRequest(next_ticks=request))
        return [_tick(message) for message in answer.ticks]

    async def delete(self, tenant_id: str, name: str) -> None:
        """Delete a schedule; the instances that it started stay."""
        request = pb.DeleteScheduleRequest(tenant_id=tenant_id, name=name)
        await self._transport.ask(pb.RpcRequest(delete_schedule=request))


_OVERLAPS: Mapping[Overlap, pb.Overlap] = MappingProxyType(
    {
        Overlap.SKIP: pb.OVERLAP_SKIP,
        Overlap.BUFFER_ONE: pb.OVERLAP_BUFFER_ONE,
        Overlap.ALLOW: pb.OVERLAP_ALLOW,
        Overlap.CANCEL_OTHER: pb.OVERLAP_CANCEL_OTHER,
    }
)
_RULES: Mapping[LocalTimeRule, pb.LocalTimeRule] = MappingProxyType(
    {
        LocalTimeRule.AS_CRON: pb.LOCAL_TIME_AS_CRON,
        LocalTimeRule.SKIP: pb.LOCAL_TIME_SKIP,
        LocalTimeRule.FIRST: pb.LOCAL_TIME_FIRST,
        LocalTimeRule.BOTH: pb.LOCAL_TIME_BOTH,
    }
)
_OVERLAP_OF = {number: overlap for overlap, number in _OVERLAPS.items()}
_RULE_OF = {number: rule for rule, number in _RULES.items()}


def _message(schedule: Schedule) -> pb.Schedule:
    return pb.Schedule(
        tenant_id=schedule.tenant_id,
        name=schedule.name,
        workflow=schedule.workflow or "",
        image_id=schedule.image_id,
        cron=schedule.cron,
        time_zone=schedule.time_zone,
        overlap=_OVERLAPS[schedule.overlap],
        missing=_RULES[schedule.missing],
        duplicate=_RULES[schedule.duplicate],
        catch_up_ms=schedule.catch_up // _MILLISECOND,
        jitter_ms=schedule.jitter // _MILLISECOND,
        input=schedule.input,
        code_version=schedule.code_version,
        queue=schedule.queue,
        priority=schedule.priority,
    )


def _schedule(message: pb.Schedule) -> Schedule:
    return Schedule(
        tenant_id=message.tenant_id,
        name=message.name,
        cron=message.cron,
        workflow=message.workflow or None,
        image_id=reading.field(message, "image_id"),
        time_zone=message.time_zone,
        overlap=_OVERLAP_OF[message.overlap],
        missing=_RULE_OF[message.missing],
        duplicate=_RULE_OF[message.duplicate],
        catch_up=message.catch_up_ms * _MILLISECOND,
        jitter=message.jitter_ms * _MILLISECOND,
        input=reading.field(message, "input"),
        queue=reading.field(message, "queue"),
        priority=message.priority,
        is_paused=message.is_paused,
        pause_reason=reading.field(message, "pause_reason"),
        is_declared=message.is_declared,
        code_version=reading.field(message, "code_version"),
        next_tick_at=reading.time(message, "next_tick_ms"),
        last_tick_at=reading.time(message, "last_tick_ms"),
        last_instance_id=reading.field(message, "last_instance_id"),
        buffered_tick_at=reading.time(message, "buffered_tick_ms"),
        problem=reading.field(message, "problem"),
    )


def _tick(message: pb.ScheduleTick) -> Tick:
    return Tick(reading.moment(message.tick_ms), message.local_time, message.instance_id)
