"""Ticks against croniter, which shares no code with what our calendar reads expressions by."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter  # type: ignore[import-untyped]  # It ships no types.
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.schedules.test_calendar import RULES, between
from tests.schedules.walls import FIVE_YEARS, MINUTE, ZONES, year

from runtara_domain.model.schedules import LocalTimeRule, Timing

DAY = timedelta(days=1)
BY_STARS = {
    "30 2 * * *": False,
    "0 0 * * *": False,
    "0 0 1 1 *": False,
    "0 12 L * *": False,
    "15 1 * 3,9,10,11 SUN#4": False,
    "59 1 1-7 * 6": False,
    "*/20 1-3 * * *": True,
    "5 */6 * * MON-FRI": True,
}
"""Expressions, and whether cron takes them for those that go by the time that passes."""


def on_the_wall(cron: str, since: datetime, until: datetime) -> Iterator[datetime]:
    """Give the times that match on a clock that never changes; since is not one of them."""
    found = croniter(cron, since, implement_cron_bug=True)
    while (wall := found.get_next(datetime)) < until:
        yield wall


def moments(zone: ZoneInfo, wall: datetime) -> tuple[datetime, ...]:
    """Give the moments at which the clock shows it, none if it jumps over it."""
    both = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return tuple(
        sorted({each for each in both if each.astimezone(zone).replace(tzinfo=None) == wall})
    )


def change(zone: ZoneInfo, wall: datetime) -> datetime:
    """Give the moment at which the clock jumps over what it never shows."""
    before, after = (wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    assert before is not None
    assert after is not None
    moment = (wall - after).replace(tzinfo=UTC)
    while moment.astimezone(zone).utcoffset() == before:
        moment += MINUTE
    return moment


def check(cron: str, zone: str, since: datetime, until: datetime) -> int:
    """Compare all rules, and cron's own; gives how many ticks there are."""
    info, number = ZoneInfo(zone), 0
    begin, end = (each.replace(tzinfo=None) for each in (since - DAY, until + DAY))
    shown = [(wall, moments(info, wall)) for wall in on_the_wall(cron, begin, end)]
    jumped = {change(info, wall) for wall, each in shown if not each}
    as_cron = (LocalTimeRule.AS_CRON, LocalTimeRule.AS_CRON)
    for missing, duplicate in [*RULES, as_cron]:
        is_cron, by_stars = missing is LocalTimeRule.AS_CRON, BY_STARS.get(cron, True)
        takes_missing = not by_stars if is_cron else missing is LocalTimeRule.FIRST
        takes_second = by_stars if is_cron else duplicate is LocalTimeRule.BOTH
        expected = {one for _, each in shown for one in (each if takes_second else each[:1])}
        expected |= jumped if takes_missing else set()
        found = list(between(Timing(cron, zone, missing, duplicate), since, until))
        assert found == sorted(one for one in expected if since <= one < until), (cron, missing)
        number += len(found)
    return number


@pytest.mark.parametrize("zone", ZONES)
def test_ticks_of_a_year_are_those_of_another_library(zone: str) -> None:
    for cron in ("30 2 * * *", "0 0 * * *", "15 1 * 3,9,10,11 SUN#4"):
        assert check(cron, zone, *year(2026))


@pytest.mark.long
@pytest.mark.parametrize("number", FIVE_YEARS)
@pytest.mark.parametrize("zone", ZONES)
def test_ticks_of_five_years_are_those_of_another_library(zone: str, number: int) -> None:
    for cron in BY_STARS:
        assert check(cron, zone, *year(number)) > 0


def field(low: int, high: int) -> st.SearchStrategy[str]:
    """Make a field of an expression: all, a step, a range, or a list."""
    one = st.integers(low, high)
    return st.one_of(
        st.just("*"),
        st.integers(1, high).map(lambda step: f"*/{step}"),
        # From one to itself is no range to either, but not the same thing.
        st.tuples(st.sets(one, min_size=2, max_size=2), st.integers(1, 9)).map(
            lambda each: f"{min(each[0])}-{max(each[0])}/{each[1]}"
        ),
        st.sets(one, min_size=1, max_size=4).map(lambda each: ",".join(map(str, sorted(each)))),
    )


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6)).map(" ".join),
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),
)
def test_any_expression_is_read_as_by_another_library(cron: str, since: datetime) -> None:
    """Where neither clocks change nor months differ in what they have."""
    after = since.replace(second=0, microsecond=0)
    ours = between(
        Timing(cron), after.replace(tzinfo=UTC) + MINUTE, datetime.max.replace(tzinfo=UTC)
    )
    theirs = on_the_wall(cron, after, datetime.max)

    assert [one.replace(tzinfo=None) for one in islice(ours, 20)] == list(islice(theirs, 20))
