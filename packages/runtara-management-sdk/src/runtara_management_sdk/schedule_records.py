"""Records of schedules and their ticks."""

from datetime import datetime, timedelta
from enum import StrEnum

from runtara_domain.record import record


class Overlap(StrEnum):
    """The effect of a tick while the instance of an earlier tick is open."""

    SKIP = "skip"
    BUFFER_ONE = "buffer_one"
    ALLOW = "allow"
    CANCEL_OTHER = "cancel_other"


class LocalTimeRule(StrEnum):
    """The effect of a tick at a local time that a change of the clocks skips or repeats."""

    AS_CRON = "cron"
    SKIP = "skip"
    FIRST = "first"
    BOTH = "both"


@record(kw_only=True)
class Schedule:
    """
    A schedule of either a workflow or an image.

    cron: five fields, or a word such as `@daily`. missing, duplicate: for local times that a change
    of the clocks skips or repeats. catch_up: a missed tick that is older than this starts nothing.
    jitter: an instance is launched up to this long after its tick. input: JSON; None stands for the
    tick's time.

    The other fields are read-only, and ignored by `put`. code_version: the newest version of the
    code that declares the schedule. next_tick_at: None while the schedule is paused.
    buffered_tick_at: the tick that waits for the end of an earlier tick's instance. problem: why
    the newest tick started no instance.
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


@record
class Tick:
    """A tick in UTC, its local time as RFC 3339 with the offset, and the id of its instance."""

    at: datetime
    local_time: str
    instance_id: str
