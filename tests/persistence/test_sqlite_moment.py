from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtara_persistence.sqlite.rows import from_optional, from_text, to_text

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
moments = st.datetimes(timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)


@given(moments)
def test_a_moment_comes_back_as_it_was(moment: datetime) -> None:
    assert from_text(to_text(moment)) == moment


@given(moments, moments)
def test_texts_sort_as_time(one: datetime, other: datetime) -> None:
    assert (to_text(one) < to_text(other)) is (one < other)


def test_any_zone_is_written_in_utc_and_cut_to_milliseconds() -> None:
    east = timezone(timedelta(hours=2))
    moment = datetime(2026, 1, 2, 5, 4, 5, 678999, tzinfo=east)

    assert to_text(moment) == to_text(MOMENT) == "2026-01-02T03:04:05.678Z"


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-02T03:04:05.678Z",
        "2026-01-02 03:04:05.678",
        "2026-01-02T05:04:05.678+02:00",
    ],
)
def test_what_other_programs_write_is_read_as_utc(text: str) -> None:
    moment = from_text(text)

    assert moment == MOMENT
    assert moment.tzinfo is UTC


def test_no_moment_stays_none() -> None:
    assert from_optional(None) is None
    assert from_optional("2026-01-02T03:04:05.678Z") == MOMENT
