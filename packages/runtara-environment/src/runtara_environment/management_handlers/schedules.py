"""Handlers of schedules: put, list, pause, trigger, backfill and next ticks."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TypeVar

from runtara_domain import values
from runtara_domain.error import ImageNotFound, InvalidValue
from runtara_domain.model.schedules import (
    DEFAULT_CATCH_UP,
    Declared,
    LocalTimeRule,
    Overlap,
    Schedule,
    StoredSchedule,
    Timing,
)
from runtara_domain.use_cases.schedules import ManageSchedules, Upcoming
from runtara_environment.errors import NotFound
from runtara_environment.management import Management, ManagementRequest
from runtara_environment.management_handlers import translation
from runtara_protocol.pb import environment_pb2 as pb

_MILLISECOND = timedelta(milliseconds=1)
_PAGE = 100
_SHOWN, _MOST_SHOWN = 10, 1000
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
T = TypeVar("T")


async def put_schedule(
    core: Management, request: ManagementRequest, message: pb.PutScheduleRequest
) -> pb.RpcResponse:
    """Create a schedule or replace it, for an operator or as code declares it."""
    given, now = message.schedule, core.launcher.now()
    if message.declared_in_code:
        declared = await _declare(core, given, now)
        answer = pb.PutScheduleResponse(created=declared is Declared.CREATED, declared=declared)
    else:
        schedule = _schedule(given)
        await _require_image(core, schedule)
        created = await _manage(core).put(schedule, at=now)
        answer = pb.PutScheduleResponse(created=created)
    core.launcher.recheck_schedules()
    return pb.RpcResponse(put_schedule=answer)


async def _declare(core: Management, given: pb.Schedule, now: datetime) -> Declared:
    tenant_id = translation.required(given, "tenant_id")
    name = translation.required(given, "name")
    version = translation.required(given, "code_version")
    schedule = _schedule(given) if given.cron else None
    return await _manage(core).declare(tenant_id, name, version, schedule, at=now)


async def list_schedules(
    core: Management, request: ManagementRequest, message: pb.ListSchedulesRequest
) -> pb.RpcResponse:
    """List schedules by tenant and name."""
    tenant_id = translation.optional(message, "tenant_id")
    listed: list[StoredSchedule] = []
    after: tuple[str, str] | None = None
    while True:
        found = await core.persistence.schedules.page(tenant_id, after=after, limit=_PAGE)
        listed.extend(found)
        if len(found) < _PAGE:
            break
        after = found[-1].schedule.tenant_id, found[-1].schedule.name
    schedules = [_message(each) for each in listed]
    return pb.RpcResponse(list_schedules=pb.ListSchedulesResponse(schedules=schedules))


async def pause_schedule(
    core: Management, request: ManagementRequest, message: pb.PauseScheduleRequest
) -> pb.RpcResponse:
    """Pause a schedule, or have it go on."""
    key = _key(message)
    if message.pause:
        is_there = await core.persistence.schedules.pause(*key, message.reason)
    else:
        is_there = await _manage(core).resume(*key, at=core.launcher.now())
    _known(is_there or None, message.name)
    core.launcher.recheck_schedules()
    return pb.RpcResponse(pause_schedule=pb.PauseScheduleResponse())


async def trigger_schedule(
    core: Management, request: ManagementRequest, message: pb.TriggerScheduleRequest
) -> pb.RpcResponse:
    """Start one instance now; launch it at once where there is room."""
    triggered = _known(
        await _manage(core).trigger(*_key(message), at=core.launcher.now()),
        message.name,
    )
    core.launcher.take(triggered.started.claims)
    if not triggered.started.image_is_found:
        raise ImageNotFound(triggered.start.image_id or "")
    answer = pb.TriggerScheduleResponse(instance_id=triggered.start.instance_id)
    return pb.RpcResponse(trigger_schedule=answer)


async def backfill_schedule(
    core: Management, request: ManagementRequest, message: pb.BackfillScheduleRequest
) -> pb.RpcResponse:
    """Start the ticks of a period of the past, each once."""
    found = await _manage(core).backfill(
        *_key(message),
        since=_required_moment(message, "from_ms"),
        until=_required_moment(message, "until_ms"),
        dry_run=message.dry_run,
        at=core.launcher.now(),
    )
    ticks = [_tick(each) for each in _known(found, message.name)]
    core.launcher.recheck()
    return pb.RpcResponse(backfill_schedule=pb.BackfillScheduleResponse(ticks=ticks))


async def next_ticks(
    core: Management, request: ManagementRequest, message: pb.NextTicksRequest
) -> pb.RpcResponse:
    """Return the coming ticks, also of a schedule that is paused."""
    values.check_range("limit", message.limit, 0, _MOST_SHOWN)
    limit = message.limit or _SHOWN
    found = await _manage(core).upcoming(*_key(message), limit=limit, at=core.launcher.now())
    ticks = [_tick(each) for each in _known(found, message.name)]
    return pb.RpcResponse(next_ticks=pb.NextTicksResponse(ticks=ticks))


async def delete_schedule(
    core: Management, request: ManagementRequest, message: pb.DeleteScheduleRequest
) -> pb.RpcResponse:
    """Delete a schedule; the instances that it started stay."""
    is_there = await core.persistence.schedules.remove(*_key(message))
    _known(is_there or None, message.name)
    core.launcher.recheck_schedules()
    return pb.RpcResponse(delete_schedule=pb.DeleteScheduleResponse())


def _manage(core: Management) -> ManageSchedules:
    return ManageSchedules(core.persistence.schedules, core.persistence.launches, core.calendar)


_Keyed = (
    pb.PauseScheduleRequest
    | pb.TriggerScheduleRequest
    | pb.BackfillScheduleRequest
    | pb.NextTicksRequest
    | pb.DeleteScheduleRequest
)


def _key(message: _Keyed) -> tuple[str, str]:
    return translation.required(message, "tenant_id"), translation.required(message, "name")


def _required_moment(message: pb.BackfillScheduleRequest, field: str) -> datetime:
    moment = translation.moment(message, field)
    if moment is None:
        raise InvalidValue(f"{field} is required")
    return moment


def _known(found: T | None, name: str) -> T:
    if found is None:
        raise NotFound(f"Schedule {name!r} not found")
    return found


async def _require_image(core: Management, schedule: Schedule) -> None:
    if schedule.image_id is None:
        return
    image = await core.persistence.images.get(schedule.image_id, schedule.tenant_id)
    if image is None or image.deleted_at is not None:
        raise ImageNotFound(schedule.image_id)


def _schedule(given: pb.Schedule) -> Schedule:
    timing = Timing(
        translation.required(given, "cron"),
        given.time_zone or "UTC",
        _chosen("missing", _RULES, given.missing),
        _chosen("duplicate", _RULES, given.duplicate),
    )
    catch_up = given.catch_up_ms * _MILLISECOND if given.catch_up_ms else DEFAULT_CATCH_UP
    return Schedule(
        tenant_id=translation.required(given, "tenant_id"),
        name=translation.required(given, "name"),
        timing=timing,
        workflow=given.workflow or None,
        image_id=translation.optional(given, "image_id"),
        overlap=_chosen("overlap", _OVERLAPS, given.overlap),
        catch_up=catch_up,
        jitter=given.jitter_ms * _MILLISECOND,
        input=given.input if given.HasField("input") else None,
        queue=translation.optional(given, "queue"),
        priority=given.priority,
    )


def _chosen(field: str, known: Mapping[T, int], number: int) -> T:
    for each, its_number in known.items():
        if its_number == number:
            return each
    takes = ", ".join(map(str, known))
    raise InvalidValue(f"{field}: takes {takes}, got the unknown number {number}")


def _message(stored: StoredSchedule) -> pb.Schedule:
    schedule = stored.schedule
    timing = schedule.timing
    return pb.Schedule(
        tenant_id=schedule.tenant_id,
        name=schedule.name,
        workflow=schedule.workflow or "",
        image_id=schedule.image_id,
        cron=timing.cron,
        time_zone=timing.time_zone,
        overlap=_OVERLAPS[schedule.overlap],
        missing=_RULES[timing.missing],
        duplicate=_RULES[timing.duplicate],
        catch_up_ms=schedule.catch_up // _MILLISECOND,
        jitter_ms=schedule.jitter // _MILLISECOND,
        input=schedule.input,
        is_paused=stored.paused_by is not None,
        pause_reason=stored.pause_reason or None,
        code_version=stored.code_versions[-1] if stored.code_versions else None,
        queue=schedule.queue,
        priority=schedule.priority,
        next_tick_ms=translation.optional_milliseconds(stored.next_tick_at),
        last_tick_ms=translation.optional_milliseconds(stored.last_tick_at),
        last_instance_id=stored.last_instance_id,
        problem=stored.problem,
        is_declared=stored.is_declared,
        buffered_tick_ms=translation.optional_milliseconds(stored.buffered_tick_at),
    )


def _tick(each: Upcoming) -> pb.ScheduleTick:
    return pb.ScheduleTick(
        tick_ms=translation.milliseconds(each.tick),
        local_time=each.local.isoformat(),
        instance_id=each.instance_id,
    )
