"""Ticks of a timing as moments, whatever the clocks of its zone do."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

from runtara_domain.error import InvalidValue
from runtara_domain.model.schedules import LocalTimeRule, Timing
from runtara_schedules.cron import Cron

_SECOND = timedelta(seconds=1)
_STEP = timedelta(hours=12)
"""No zone changes its clocks twice in this time."""


class CronCalendar:
    """Fits `runtara_domain.ports.schedules.Calendar`."""

    def check(self, timing: Timing) -> None:
        _cron(timing.cron)
        _zone(timing.time_zone)

    def next_tick(self, timing: Timing, after: datetime) -> datetime | None:
        # Ticks and changes of clocks come with whole seconds.
        return next(_ticks(timing, after.astimezone(UTC).replace(microsecond=0)), None)

    def local(self, timing: Timing, tick: datetime) -> datetime:
        return tick.astimezone(_zone(timing.time_zone))


@lru_cache(maxsize=1024)
def _cron(text: str) -> Cron:
    return Cron(text)


def _zone(name: str) -> ZoneInfo:
    # A machine has more: its own local time, and zones whose clocks count leap seconds.
    if name not in _names():
        raise InvalidValue(f"time_zone: takes an IANA name such as Europe/Paris, got {name!r}")
    return ZoneInfo(name)


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())


def _ticks(timing: Timing, after: datetime) -> Iterator[datetime]:
    """
    Give the ticks after a moment.

    From one change of the clocks to the next, the time on the wall is the moment plus an offset:
    there the expression is asked. Each change is looked at by itself.
    """
    cron, zone = _cron(timing.cron), _zone(timing.time_zone)
    takes_missing, takes_second = _rules(timing, cron)
    since, offset = after, _offset(zone, after)
    wall = _wall(since, offset)
    while (found := cron.after(wall)) is not None:
        tick = (found - offset).replace(tzinfo=UTC)
        change = _next_change(zone, since, tick)
        if change is None:
            since, wall = tick, found
            if takes_second or not _is_second(zone, found, offset):
                yield tick
            continue
        is_missing = found < _wall(change, _offset(zone, change))
        since, offset = change, _offset(zone, change)
        # What matches the new time of the change itself comes once, by either reason.
        wall = _wall(change, offset) - _SECOND
        if is_missing and takes_missing:
            wall += _SECOND
            yield change


def _rules(timing: Timing, cron: Cron) -> tuple[bool, bool]:
    """Return whether skipped times come with the change, and repeated ones a second time."""
    takes_missing = timing.missing is LocalTimeRule.FIRST
    takes_second = timing.duplicate is LocalTimeRule.BOTH
    if timing.missing is LocalTimeRule.AS_CRON:
        takes_missing = not cron.goes_by_elapsed_time
    if timing.duplicate is LocalTimeRule.AS_CRON:
        takes_second = cron.goes_by_elapsed_time
    return takes_missing, takes_second


def _is_second(zone: ZoneInfo, wall: datetime, offset: timedelta) -> bool:
    """Return whether a time on the wall has been there before, with another offset."""
    first = wall.replace(tzinfo=zone, fold=0).utcoffset()
    second = wall.replace(tzinfo=zone, fold=1).utcoffset()
    return first != second and first != offset


def _next_change(zone: ZoneInfo, since: datetime, until: datetime) -> datetime | None:
    """Find the first moment up to `until` at which the offset differs from that at `since`."""
    offset = _offset(zone, since)
    while since < until:
        probe = min(since + _STEP, until)
        if _offset(zone, probe) != offset:
            return _first_with_another(zone, offset, since, probe)
        since = probe
    return None


def _first_with_another(
    zone: ZoneInfo, offset: timedelta, low: datetime, high: datetime
) -> datetime:
    while high - low > _SECOND:
        middle = low + (high - low) // _SECOND // 2 * _SECOND
        if _offset(zone, middle) == offset:
            low = middle
        else:
            high = middle
    return high


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None, "a moment in a zone has an offset"
    return offset


def _wall(moment: datetime, offset: timedelta) -> datetime:
    return moment.replace(tzinfo=None) + offset
