"""Schedules over the environment's port."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.environment.management.conftest import Port

from runtara_management_sdk import (
    ImageNotFound,
    LocalTimeRule,
    NotFound,
    Overlap,
    Runner,
    Schedule,
)
from runtara_sdk.errors import ServerError

NIGHTLY = Schedule(tenant_id="acme", name="nightly", cron="30 2 * * *", workflow="report")
WHOLE = replace(
    NIGHTLY,
    time_zone="Europe/Paris",
    overlap=Overlap.BUFFER_ONE,
    missing=LocalTimeRule.SKIP,
    duplicate=LocalTimeRule.BOTH,
    catch_up=timedelta(hours=3),
    jitter=timedelta(minutes=5),
    input=b"[1]",
    queue="reports",
    priority=-2,
)


async def test_a_schedule_is_put_listed_paused_resumed_and_deleted(port: Port) -> None:
    schedules = port.client.schedules
    assert await schedules.put(WHOLE) is True
    assert await schedules.put(WHOLE) is False
    [listed] = await schedules.list("acme")
    assert listed.next_tick_at is not None
    assert listed.next_tick_at > datetime.now(UTC)
    assert replace(listed, next_tick_at=None) == WHOLE
    assert await schedules.list("other") == []

    await schedules.pause("acme", "nightly", reason="holidays")
    [paused] = await schedules.list()
    assert (paused.is_paused, paused.pause_reason) == (True, "holidays")
    assert paused.next_tick_at is None
    ticks = await schedules.next_ticks("acme", "nightly", limit=3)
    assert [tick.local_time[10:16] for tick in ticks] == ["T02:30"] * 3
    await schedules.resume("acme", "nightly")
    assert await schedules.list("acme") == [listed]

    await schedules.delete("acme", "nightly")
    for operation in (
        schedules.delete("acme", "nightly"),
        schedules.pause("acme", "nightly"),
        schedules.resume("acme", "nightly"),
        schedules.trigger("acme", "nightly"),
        schedules.next_ticks("acme", "nightly"),
    ):
        with pytest.raises(NotFound, match="Schedule 'nightly' not found"):
            await operation


async def test_ticks_of_the_past_are_started_once_and_one_is_triggered(port: Port) -> None:
    schedules = port.client.schedules
    await schedules.put(NIGHTLY)
    since = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)
    until = since + timedelta(days=2)

    told = await schedules.backfill("acme", "nightly", since=since, until=until, dry_run=True)
    assert [tick.instance_id for tick in told] == [
        "acme/nightly/2026-03-01T02:30Z",
        "acme/nightly/2026-03-02T02:30Z",
    ]
    assert [one async for one in port.client.instances.list()] == []
    assert await schedules.backfill("acme", "nightly", since=since, until=until) == told
    assert await schedules.backfill("acme", "nightly", since=since, until=until) == told
    assert len([one async for one in port.client.instances.list()]) == 2

    triggered = await schedules.trigger("acme", "nightly")
    shown = await port.client.instances.get(triggered)
    assert shown is not None
    assert shown.workflow == "report"
    with pytest.raises(ServerError, match="take a past period"):
        await schedules.backfill(
            "acme", "nightly", since=since, until=datetime.now(UTC) + timedelta(days=1)
        )
    with pytest.raises(ServerError, match="take at most 1000 ticks at once"):
        await schedules.backfill("acme", "nightly", since=since - timedelta(days=1001), until=since)


async def test_what_is_no_schedule_is_refused(port: Port) -> None:
    schedules = port.client.schedules
    for wrong, says in (
        (replace(NIGHTLY, cron="often"), "cron: takes five fields"),
        (replace(NIGHTLY, cron=""), "cron is required"),
        (replace(NIGHTLY, time_zone="Paris"), "time_zone: takes an IANA name"),
        (replace(NIGHTLY, missing=LocalTimeRule.BOTH), "missing: takes cron, skip or first"),
        (replace(NIGHTLY, workflow=None), "give exactly one"),
        (replace(NIGHTLY, input=b"{"), "input: takes JSON"),
        (replace(NIGHTLY, catch_up=timedelta(seconds=1)), "catch_up: takes 0:00:10 to"),
    ):
        with pytest.raises(ServerError, match=says):
            await schedules.put(wrong)
    with pytest.raises(ImageNotFound):
        await schedules.put(replace(NIGHTLY, workflow=None, image_id="gone"))


async def test_code_declares_a_schedule_and_takes_it_back(port: Port) -> None:
    schedules = port.client.schedules
    first, second = replace(NIGHTLY, code_version="1"), replace(NIGHTLY, code_version="2")
    assert await schedules.declare(first) == "created"
    assert await schedules.declare(replace(second, cron="")) == "paused"
    assert await schedules.declare(first) == "older"
    [gone] = await schedules.list()
    assert (gone.is_declared, gone.is_paused, gone.code_version) == (True, True, "2")
    assert gone.pause_reason == "version 2 of the code doesn't declare it"
    assert await schedules.declare(replace(second, cron="@daily")) == "changed"


async def test_a_tick_starts_an_instance_that_is_launched(port: Port) -> None:
    schedule = replace(NIGHTLY, cron="* * * * *")
    await port.client.schedules.put(schedule)
    [stored] = await port.persistence.schedules.page()
    overdue = datetime.now(UTC).replace(second=0, microsecond=0)
    await port.persistence.schedules.remove("acme", "nightly")
    await port.persistence.schedules.put(
        stored.schedule, next_tick_at=overdue, at=datetime.now(UTC)
    )
    port.launcher.recheck_schedules()

    async def started() -> bool:
        return stored.schedule.instance_id(overdue) in [
            one.instance_id async for one in port.client.instances.list()
        ]

    async with asyncio.timeout(30):
        while not await started():  # noqa: ASYNC110 -- what is waited for is on the server's side
            await asyncio.sleep(0.01)


async def test_an_image_declares_the_schedule_of_its_workflow(port: Port) -> None:
    """The newest version counts; one without a schedule pauses it."""
    schedules = port.client.schedules

    async def register(code: bytes, **metadata: object) -> None:
        whole = {"target": "report:run", "workflow": "report", **metadata}
        await port.client.images.register("acme", "report", code, Runner.PYTHON, metadata=whole)

    nightly = {"cron": "30 2 * * *", "time_zone": "Europe/Paris", "overlap": "allow"}
    await register(b"1", schedule=nightly)
    [first] = await schedules.list("acme")
    assert (first.name, first.workflow, first.is_declared) == ("report", "report", True)
    assert (first.cron, first.time_zone, first.overlap) == (*nightly.values(),)
    assert first.next_tick_at is not None

    await register(b"1", schedule=nightly)
    assert await schedules.list("acme") == [first]
    await register(b"2")
    [gone] = await schedules.list("acme")
    assert gone.is_paused
    await register(b"3", schedule={**nightly, "jitter_s": 60})
    [back] = await schedules.list("acme")
    assert (back.is_paused, back.jitter) == (False, timedelta(minutes=1))
