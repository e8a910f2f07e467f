"""An oracle of ticks that knows neither cronsim nor our calendar: it walks through all minutes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
ZONES = (
    "Europe/Paris",
    "America/New_York",
    # Its clocks change by half an hour.
    "Australia/Lord_Howe",
    # Its clocks change for Ramadan, twice within weeks.
    "Africa/Casablanca",
    # Its clocks change at midnight, so that a day begins at one.
    "America/Santiago",
    # It is 45 minutes off, and its clocks never change.
    "Asia/Kathmandu",
)
FIVE_YEARS = range(2024, 2029)

Matches = Callable[[datetime], bool]


class Wall(NamedTuple):
    """
    A minute, and what the clock on the wall shows.

    skipped: what the clock would have shown and jumped over. is_second: it has shown this before.
    """

    moment: datetime
    shown: datetime
    skipped: tuple[datetime, ...] = ()
    is_second: bool = False


def year(number: int) -> tuple[datetime, datetime]:
    """Give the first moment of a year, and that of the next one."""
    return datetime(number, 1, 1, tzinfo=UTC), datetime(number + 1, 1, 1, tzinfo=UTC)


def walls(zone: str, since: datetime, until: datetime) -> Iterator[Wall]:
    """Walk through all minutes; until is not one of them."""
    info = ZoneInfo(zone)
    latest = _shown(info, since - MINUTE)
    moment = since
    while moment < until:
        shown = _shown(info, moment)
        skipped: tuple[datetime, ...] = ()
        if shown > latest + MINUTE:
            gap = (shown - latest) // MINUTE
            skipped = tuple(latest + MINUTE * number for number in range(1, gap))
        yield Wall(moment, shown, skipped, shown <= latest)
        latest = max(latest, shown)
        moment += MINUTE


Match = tuple[Wall, bool, bool]
"""A minute that matches by what the clock shows, by what it jumped over, or by both."""


def matching(minutes: Iterable[Wall], each: Mapping[str, Matches]) -> dict[str, list[Match]]:
    """Give the minutes that match each of some conditions, by their names, in one walk."""
    found: dict[str, list[Match]] = {name: [] for name in each}
    for wall in minutes:
        shown, skipped = wall.shown, wall.skipped
        for name, matches in each.items():
            by_shown, by_skipped = matches(shown), bool(skipped) and any(map(matches, skipped))
            if by_shown or by_skipped:
                found[name].append((wall, by_shown, by_skipped))
    return found


def ticks(found: list[Match], *, takes_missing: bool, takes_second: bool) -> list[datetime]:
    """Tell the ticks among minutes that match."""
    return [
        wall.moment
        for wall, by_shown, by_skipped in found
        if (by_shown and (takes_second or not wall.is_second)) or (takes_missing and by_skipped)
    ]


def around_changes(zone: str, in_year: int) -> list[tuple[datetime, datetime]]:
    """Give a day and some hours around each change of a zone's clocks in a year."""
    info = ZoneInfo(zone)
    days = [datetime(in_year, 1, 2, tzinfo=UTC) + timedelta(days=number) for number in range(362)]
    return [
        (day - timedelta(hours=3), day + timedelta(hours=28))
        for day in days
        if _offset(info, day) != _offset(info, day + timedelta(days=1))
    ]


def _shown(info: ZoneInfo, moment: datetime) -> datetime:
    return moment.astimezone(info).replace(tzinfo=None)


def _offset(info: ZoneInfo, moment: datetime) -> timedelta | None:
    return moment.astimezone(info).utcoffset()
