"""Schedules as an environment describes them, and the options of a new one."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Overlap(StrEnum):
    """What a tick does while the instance of an earlier tick is open."""

    SKIP = "skip"
    BUFFER_ONE = "buffer_one"
    ALLOW = "allow"
    CANCEL_OTHER = "cancel_other"


class LocalTimeRule(StrEnum):
    """What a tick does whose local time a change of the clocks skips, or repeats."""

    AS_CRON = "cron"
    SKIP = "skip"
    FIRST = "first"
    BOTH = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """
    A schedule of a workflow or an image, exactly one of them.

    cron: five fields, or a word such as `@daily`. missing, duplicate: for local times that a change
    of the clocks skips or repeats. catch_up: ticks that are later than this are left out. jitter:
    an instance is launched up to this long after its tick. input: JSON; None gives the tick itself.

    The other fields are read-only, and ignored by `put`. code_version: the newest version that
    declares it. next_tick_at: None while it is paused. buffered_tick_at: the tick that waits for
    the end of an earlier tick's instance. problem: why the newest tick started no instance.
    """

    tenant_id: str
    name: str
    cron: str
    workflow: str | None = None
    image_id: str | None = None
    time_zone: str = "UTC"
    overlap: Overlap = Overlap.SKIP
    missing: LocalTimeRule = LocalTimeRule.AS_CRON
    duplicate: LocalTimeRule = LocalTimeRule.AS_CRON
    catch_up: timedelta = timedelta(days=1)
    jitter: timedelta = timedelta(0)
    input: bytes | None = None
    queue: str | None = None
    priority: int = 0
    is_paused: bool = False
    pause_reason: str | None = None
    is_declared: bool = False
    code_version: str | None = None
    next_tick_at: datetime | None = None
    last_tick_at: datetime | None = None
    last_instance_id: str | None = None
    buffered_tick_at: datetime | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """A tick in UTC, its local time as RFC 3339 with the offset, and the id of its instance."""

    at: datetime
    local_time: str
    instance_id: str
