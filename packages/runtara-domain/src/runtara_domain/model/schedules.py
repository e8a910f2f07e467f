"""Records of schedules: the times at which a workflow is started, and the outcomes of ticks."""

import hashlib
import json
from dataclasses import field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.model.launches import (
    HIGHEST_PRIORITY,
    LOWEST_PRIORITY,
    InstanceStart,
    check_json,
)
from runtara_domain.record import record

MAX_CRON_BYTES = 256
SHORTEST_CATCH_UP = timedelta(seconds=10)
LONGEST_SPAN = timedelta(days=366)
DEFAULT_CATCH_UP = timedelta(days=1)
TICK_KEY = "~tick"
"""The key of the input that an instance gets if its schedule has no input: the tick."""
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)
CANCEL_GRACE = timedelta(seconds=5)
"""The time to clean up of an instance that the next tick cancels."""


class Overlap(StrEnum):
    """The effect of a tick while the instance of an earlier tick is open."""

    SKIP = "skip"
    BUFFER_ONE = "buffer_one"
    """The new instance starts when the earlier one has ended; ticks until then are skipped."""
    ALLOW = "allow"
    CANCEL_OTHER = "cancel_other"
    """The earlier instance is cancelled, and the new one does not wait for its end."""


class LocalTimeRule(StrEnum):
    """The effect of a tick at a local time that a change of the clocks skips or repeats."""

    AS_CRON = "cron"
    """
    As Debian's cron: a skipped fixed time comes at the change, and a repeated one comes the first
    time. If the minute or hour begins with `*`, ticks follow the elapsed time.
    """
    SKIP = "skip"
    """The tick is left out; for skipped times only."""
    FIRST = "first"
    """The tick comes at the first existing moment: at the change, or the first time."""
    BOTH = "both"
    """The tick comes both times; for repeated times only."""


@record
class Timing:
    """
    The times at which a schedule ticks.

    cron: five fields, or a word such as `@daily`; the calendar checks it. time_zone: an IANA name.
    missing, duplicate: for local times that a change of the clocks skips or repeats.
    """

    cron: str
    time_zone: str = "UTC"
    missing: LocalTimeRule = LocalTimeRule.AS_CRON
    duplicate: LocalTimeRule = LocalTimeRule.AS_CRON

    def __post_init__(self) -> None:
        values.check_id("cron", self.cron)
        values.check_bytes("cron", self.cron.encode(), MAX_CRON_BYTES)
        values.check_id("time_zone", self.time_zone)
        if self.missing is LocalTimeRule.BOTH:
            raise InvalidValue("missing: takes cron, skip or first, got both")
        if self.duplicate is LocalTimeRule.SKIP:
            raise InvalidValue("duplicate: takes cron, first or both, got skip")


@record(kw_only=True)
class Schedule:
    """
    A workflow, or an image, that is started at the ticks of a timing.

    name: unique within the tenant. catch_up: a missed tick that is older than this starts nothing.
    jitter: an instance is launched up to this long after its tick; the delay of a tick is always
    the same. input: JSON; None stands for the tick's time.
    """

    tenant_id: str
    name: str
    timing: Timing
    workflow: str | None = None
    image_id: str | None = None
    overlap: Overlap = Overlap.SKIP
    catch_up: timedelta = DEFAULT_CATCH_UP
    jitter: timedelta = timedelta(0)
    input: bytes | None = None
    queue: str | None = None
    priority: int = 0

    def __post_init__(self) -> None:
        values.check_id("tenant_id", self.tenant_id)
        values.check_id("name", self.name)
        try:
            values.check_id("instance_id", self.instance_id(_LATEST))
        except InvalidValue as error:
            raise InvalidValue(f"name: the ids of its instances are too long: {error}") from error
        if (self.image_id is None) == (self.workflow is None):
            raise InvalidValue("image_id or workflow: give exactly one of them")
        for field_name, text in (
            ("image_id", self.image_id),
            ("workflow", self.workflow),
            ("queue", self.queue),
        ):
            if text is not None:
                values.check_id(field_name, text)
        _check_span("catch_up", self.catch_up, SHORTEST_CATCH_UP)
        _check_span("jitter", self.jitter, timedelta(0))
        if self.input is not None:
            check_json("input", self.input)
        values.check_range("priority", self.priority, LOWEST_PRIORITY, HIGHEST_PRIORITY)

    def instance_id(self, tick: datetime) -> str:
        """Return the id of a tick's instance; ticks of other schedules have other ids."""
        return f"{self._prefix}{shown(tick)}"

    def triggered_id(self, unique: str) -> str:
        """Return the id of an instance that an operator triggers."""
        return f"{self._prefix}{unique}"

    def delay(self, tick: datetime) -> timedelta:
        """Return the delay between a tick and the earliest launch of its instance."""
        digest = hashlib.sha256(self.instance_id(tick).encode()).digest()
        milliseconds = self.jitter // timedelta(milliseconds=1)
        return timedelta(milliseconds=int.from_bytes(digest[:8]) * milliseconds >> 64)

    def start(self, instance_id: str, tick: datetime, *, delayed: bool = True) -> InstanceStart:
        """Return the start of an instance for a tick."""
        whole = self.input
        if whole is None:
            whole = json.dumps({TICK_KEY: {"schedule": self.name, "at": shown(tick)}}).encode()
        delay = self.delay(tick) if delayed else timedelta(0)
        return InstanceStart(
            instance_id=instance_id,
            tenant_id=self.tenant_id,
            image_id=self.image_id,
            workflow=self.workflow,
            input=whole,
            priority=self.priority,
            launch_after=tick + delay if delay else None,
            queue=self.queue,
        )

    @property
    def _prefix(self) -> str:
        tenant = self.tenant_id.replace("%", "%25").replace("/", "%2F")
        return f"{tenant}/{self.name}/"


class PausedBy(StrEnum):
    """The cause of a pause: an operator, or code that no longer declares the schedule."""

    OPERATOR = "operator"
    CODE = "code"


@record(kw_only=True)
class StoredSchedule:
    """
    A schedule and its state.

    revision: a new one after each change of the schedule, but not after a tick. is_declared: code
    declares it. code_versions: the versions that have declared it, the newest last. next_tick_at:
    None while it is paused, or if no tick will come. last_instance_id: the instance of the newest
    tick that started one. buffered_tick_at: the tick that waits for that instance's end. problem:
    why the newest tick started no instance, though no earlier one was open.
    """

    schedule: Schedule
    revision: int
    created_at: datetime
    is_declared: bool = False
    code_versions: tuple[str, ...] = ()
    paused_by: PausedBy | None = None
    pause_reason: str = ""
    next_tick_at: datetime | None = None
    last_tick_at: datetime | None = None
    last_instance_id: str | None = None
    buffered_tick_at: datetime | None = None
    problem: str | None = None

    @property
    def wakes_at(self) -> datetime | None:
        """When the scheduler must read it: at its next tick; at once if a tick is buffered."""
        return self.buffered_tick_at or self.next_tick_at


@record(kw_only=True)
class Firing:
    """
    A tick to execute, if the schedule is still as it was read.

    tick: the next tick, or the buffered one. next_tick_at: the tick after it; unchanged by a
    buffered one. problem: why it starts no instance; None: it starts one.
    """

    read: StoredSchedule
    tick: datetime
    next_tick_at: datetime | None
    problem: str | None = None

    @property
    def is_buffered(self) -> bool:
        """Whether the tick is the buffered one."""
        return self.tick == self.read.buffered_tick_at


class FireOutcome(StrEnum):
    """The outcome of a tick."""

    STARTED = "started"
    SKIPPED = "skipped"
    BUFFERED = "buffered"
    WAITS = "waits"
    """The instance that a buffered tick waits for is still open; nothing was changed."""
    REFUSED = "refused"
    """It could start no instance; the schedule's problem has the reason."""
    NOT_DUE = "not_due"
    """The schedule has changed, or another environment executed the tick; nothing was changed."""


@record(kw_only=True)
class Fired:
    """
    The effect of a tick.

    instance_id: the instance that it started, if any. cancelled_instance_id: the earlier instance,
    if the tick cancelled it.
    """

    outcome: FireOutcome
    instance_id: str | None = None
    cancelled_instance_id: str | None = None


class Declared(StrEnum):
    """The outcome of a declaration in code."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    PAUSED = "paused"
    """The code no longer declares it."""
    OLDER = "older"
    """A newer version of the code has declared it since; nothing was changed."""
    OPERATORS = "operators"
    """An operator has put a schedule of this name; nothing was changed."""
    ABSENT = "absent"
    """No schedule of this name exists, and the code declares none."""


@record(kw_only=True)
class Declaration:
    """
    The schedule that a version of the code declares for a workflow; None: it declares none.

    next_tick_at: the schedule's next tick, if the schedule is new or its timing has changed.
    """

    tenant_id: str
    name: str
    code_version: str
    schedule: Schedule | None = None
    next_tick_at: datetime | None = None

    def __post_init__(self) -> None:
        values.check_id("tenant_id", self.tenant_id)
        values.check_id("name", self.name)
        values.check_id("code_version", self.code_version)


@record
class DueSchedules:
    """
    The due schedules, the longest waiting first, and when the next one is due.

    next_at: None if no schedule will be due.
    """

    due: tuple[StoredSchedule, ...] = field(default=())
    next_at: datetime | None = None


def shown(tick: datetime) -> str:
    """Return a tick as text, as in ids and inputs; ticks are whole minutes."""
    return f"{tick.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def _check_span(name: str, span: timedelta, shortest: timedelta) -> None:
    if not shortest <= span <= LONGEST_SPAN:
        raise InvalidValue(f"{name}: takes {shortest} to {LONGEST_SPAN}, got {span}")
