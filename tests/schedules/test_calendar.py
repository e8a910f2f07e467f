"""Ticks of cron expressions in zones whose clocks change, against a search of all minutes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.schedules.walls import (
    FIVE_YEARS,
    ZONES,
    Matches,
    around_changes,
    matching,
    ticks,
    walls,
    year,
)

from runtara_domain.error import InvalidValue
from runtara_domain.model.schedules import LocalTimeRule, Timing
from runtara_schedules import CronCalendar

CALENDAR = CronCalendar()
EXPRESSIONS: dict[str, Matches] = {
    "* * * * *": lambda wall: True,
    "30 2 * * *": lambda wall: (wall.hour, wall.minute) == (2, 30),
    "0 0 * * *": lambda wall: (wall.hour, wall.minute) == (0, 0),
    "*/20 1-3 * * *": lambda wall: wall.minute % 20 == 0 and wall.hour in (1, 2, 3),
    "15,45 * * * *": lambda wall: wall.minute in (15, 45),
    "10 23,0,1 * * SUN": lambda wall: (
        wall.minute == 10 and wall.hour in (23, 0, 1) and wall.isoweekday() == 7
    ),
    "59 1 1-7 * 6": lambda wall: (
        (wall.minute, wall.hour) == (59, 1) and (wall.day <= 7 or wall.isoweekday() == 6)
    ),
}
RARE = [each for each in EXPRESSIONS if each != "* * * * *"]
RULES = [
    (missing, duplicate)
    for missing in (LocalTimeRule.SKIP, LocalTimeRule.FIRST)
    for duplicate in (LocalTimeRule.FIRST, LocalTimeRule.BOTH)
]


def between(timing: Timing, since: datetime, until: datetime) -> Iterator[datetime]:
    tick = CALENDAR.next_tick(timing, since - timedelta(milliseconds=1))
    while tick is not None and tick < until:
        yield tick
        tick = CALENDAR.next_tick(timing, tick)


def check(zone: str, since: datetime, until: datetime, expressions: list[str]) -> dict[str, int]:
    """Compare with a walk through all minutes; gives how many ticks each expression has."""
    number = dict.fromkeys(expressions, 0)
    conditions = {each: EXPRESSIONS[each] for each in expressions}
    for expression, found in matching(walls(zone, since, until), conditions).items():
        for missing, duplicate in RULES:
            timing = Timing(expression, zone, missing, duplicate)
            expected = ticks(
                found,
                takes_missing=missing is LocalTimeRule.FIRST,
                takes_second=duplicate is LocalTimeRule.BOTH,
            )
            assert list(between(timing, since, until)) == expected
            number[expression] += len(expected)
    return number


@pytest.mark.parametrize("zone", ZONES)
def test_ticks_around_changes_of_the_clocks_are_those_of_every_minute(zone: str) -> None:
    for since, until in around_changes(zone, 2027):
        assert sum(check(zone, since, until, RARE).values()) > 0


@pytest.mark.long
@pytest.mark.parametrize("number", FIVE_YEARS)
@pytest.mark.parametrize("zone", ZONES)
def test_ticks_of_a_year_are_those_of_every_minute(zone: str, number: int) -> None:
    # The 18,000 ticks of "15,45 * * * *" show nothing that the others don't.
    few = [each for each in RARE if each != "15,45 * * * *"]

    assert min(check(zone, *year(number), few).values()) > 0


@pytest.mark.parametrize("zone", ZONES[:2])
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_without_rules_ticks_are_those_of_cron(zone: str, expression: str) -> None:
    """They are those of cronsim in the zone, which follows Debian's cron."""
    timing = Timing(expression, zone)
    for since, until in around_changes(zone, 2026):
        theirs = CronSim(expression, CALENDAR.local(timing, since))
        for tick in between(timing, since + timedelta(seconds=1), until):
            assert tick == next(theirs).astimezone(UTC)


SOME = st.sets(st.integers(0, 59), min_size=1, max_size=4)


@settings(max_examples=25, deadline=None)
@given(
    SOME,
    st.sets(st.integers(0, 23), min_size=1, max_size=4),
    st.sampled_from(ZONES),
    st.sampled_from(RULES),
    st.integers(0, 2**31),
    st.data(),
)
def test_a_walk_from_any_moment_misses_and_repeats_none(
    minutes: set[int],
    hours: set[int],
    zone: str,
    rules: tuple[LocalTimeRule, LocalTimeRule],
    second: int,
    data: st.DataObject,
) -> None:
    cron = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *"
    timing = Timing(cron, zone, *rules)
    days = [since for since, _ in around_changes(zone, 2026)] or [datetime(2026, 5, 1, tzinfo=UTC)]
    since = data.draw(st.sampled_from(days)) + timedelta(seconds=second % 86_400)
    until = since + timedelta(days=2)
    expected = ticks(
        matching(
            walls(zone, since.replace(second=0), until),
            {cron: lambda wall: wall.minute in minutes and wall.hour in hours},
        )[cron],
        takes_missing=rules[0] is LocalTimeRule.FIRST,
        takes_second=rules[1] is LocalTimeRule.BOTH,
    )

    assert list(between(timing, since, until)) == [tick for tick in expected if tick >= since]


@pytest.mark.parametrize(
    ("word", "tick"),
    [
        ("@yearly", "2027-01-01T00:00"),
        ("@annually", "2027-01-01T00:00"),
        ("@monthly", "2026-06-01T00:00"),
        ("@weekly", "2026-05-10T00:00"),
        ("@Daily ", "2026-05-07T00:00"),
        ("@midnight", "2026-05-07T00:00"),
        ("@hourly", "2026-05-06T08:00"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
        ("0 0 L * *", "2026-05-31T00:00"),
        ("0 9 * * FRI#2", "2026-05-08T09:00"),
    ],
)
def test_words_and_rare_days_are_known(word: str, tick: str) -> None:
    after = datetime(2026, 5, 6, 7, 8, tzinfo=UTC)

    assert CALENDAR.next_tick(Timing(word), after) == datetime.fromisoformat(f"{tick}:00Z")


@pytest.mark.parametrize(
    ("cron", "zone", "field"),
    [
        ("x", "UTC", "cron"),
        ("@never", "UTC", "cron"),
        ("* * * *", "UTC", "cron"),
        ("0 * * * * *", "UTC", "cron"),
        ("60 * * * *", "UTC", "cron"),
        ("0 0 31 2 *", "UTC", "cron"),
        ("0 0 30 2 MON#1", "UTC", None),
        (f"{'9' * 200} * * * *", "UTC", "cron"),
        ("@daily", "Paris", "time_zone"),
        ("@daily", "localtime", "time_zone"),
        ("@daily", "right/Europe/Paris", "time_zone"),
        ("@daily", "../../etc/passwd", "time_zone"),
    ],
)
def test_what_is_no_timing_is_refused_by_the_name_of_its_field(
    cron: str, zone: str, field: str | None
) -> None:
    if field is None:
        CALENDAR.check(Timing(cron, zone))
        return
    with pytest.raises(InvalidValue, match=rf"^{field}: takes"):
        CALENDAR.check(Timing(cron, zone))


@settings(max_examples=50, deadline=None)
@given(st.text(st.sampled_from("0123456789*/,-L#W@MONJANsu² \t"), max_size=30))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        timing = Timing(f"{text} * * * *")
        CALENDAR.check(timing)
    except InvalidValue:
        return
    after = datetime(2026, 5, 6, tzinfo=UTC)
    tick = CALENDAR.next_tick(timing, after)
    assert tick is not None
    assert tick > after
