"""Workflows that declare a schedule, and get its ticks."""

from datetime import UTC, datetime, timedelta

import pytest

from runtara_sdk import Incompatible, InputRefused, Tick, workflow
from runtara_sdk.workflow.api.scheduling import CodeSchedule

TICK = b'{"~tick": {"schedule": "nightly", "at": "2026-03-29T00:30Z"}}'
READ = Tick("nightly", datetime(2026, 3, 29, 0, 30, tzinfo=UTC))


@workflow(cron="30 2 * * *", tz="Europe/Paris", overlap="buffer_one", jitter="5m")
async def nightly(tick: Tick, days: int = 1) -> None: ...


@workflow(cron="@daily")
async def bare() -> None: ...


@workflow
async def order(sku: str) -> None: ...


def test_a_schedule_is_declared_with_the_workflow() -> None:
    assert nightly.schedule == CodeSchedule(
        cron="30 2 * * *",
        time_zone="Europe/Paris",
        overlap="buffer_one",
        missing="cron",
        duplicate="cron",
        catch_up=timedelta(days=1),
        jitter=timedelta(minutes=5),
    )
    assert nightly.schedule.metadata["jitter_s"] == 300
    assert order.schedule is None
    assert nightly.code_version == bare.code_version != ""


def test_a_workflow_gets_its_tick_if_it_takes_one() -> None:
    assert nightly.arguments(TICK) == {"tick": READ}
    assert nightly.arguments(TICK, is_saved=True) == {"tick": READ}
    assert bare.arguments(TICK) == {}
    with pytest.raises(InputRefused, match="takes sku, and was started by schedule 'nightly'"):
        order.arguments(TICK)
    with pytest.raises(Incompatible, match="takes sku"):
        order.arguments(TICK, is_saved=True)


def test_a_tick_can_be_given_by_hand_and_other_inputs_are_none() -> None:
    text, _ = nightly.input((READ,), {"days": 2})
    assert text is not None
    assert nightly.arguments(text) == {"tick": READ, "days": 2}
    with pytest.raises(InputRefused):
        nightly.arguments(b'{"~tick": {"schedule": "nightly"}}')


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cron": "often"}, "cron: takes five fields"),
        ({"cron": "@daily", "tz": "Paris"}, "time_zone: takes an IANA name"),
        ({"cron": "@daily", "overlap": "never"}, "'never' is not a valid Overlap"),
        ({"cron": "@daily", "missing": "both"}, "missing: takes cron, skip or first"),
        ({"cron": "@daily", "catch_up": "1s"}, "catch_up: takes 0:00:10 to"),
    ],
)
def test_what_is_no_schedule_is_refused_at_the_decorator(
    options: dict[str, str], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        workflow(**options)  # type: ignore[call-overload]  # What is refused.


def test_a_workflow_that_needs_more_than_its_tick_is_refused() -> None:
    async def needy(tick: Tick, sku: str) -> None: ...

    with pytest.raises(TypeError, match="has a schedule, and takes tick, sku"):
        workflow(cron="@daily")(needy)
