"""Stored data of registrations, checkpoints and events that only the database shows."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import cast

from runtara_conformance import envelope, frame
from runtara_conformance.client import Connection
from runtara_conformance.expect import answered, expect, same
from runtara_conformance.messages import (
    EventType,
    InstanceEvent,
    InstanceEventResponse,
    RegisterInstanceRequest,
)
from runtara_conformance.rule import Noun, Tier
from runtara_conformance.subject import Instance, Server, fresh

rule = Noun("stored", Tier.SLICE, database=True)

CLOCKS_APART = timedelta(seconds=30)
IN_THE_YEAR_2000 = 946_684_800_000
A_DAY = 86_400_000


def about_now(what: str, moment: object) -> None:
    """Expect a time that two clocks would call now."""
    expect(f"{what}: a time", isinstance(moment, datetime), moment)
    apart = abs(datetime.now(UTC) - cast(datetime, moment))
    expect(f"{what}: about now", apart < CLOCKS_APART, moment)


@rule("An unknown instance is created: its row")
async def a_registered_instance_is_a_row(server: Server) -> None:
    async with server.instance() as one:
        row = await server.database.instance(one.id)
        kept = {name: row[name] for name in ("tenant_id", "status", "checkpoint_id", "output")}
        wanted = {"tenant_id": one.tenant, "status": "running"}
        same("the row", kept, wanted | {"checkpoint_id": None, "output": None})
        numbers = [row[name] for name in ("definition_version", "attempt", "max_attempts")]
        same("definition_version, attempt, max_attempts", numbers, [1, 1, 3])
        about_now("created_at", row["created_at"])
        about_now("started_at", row["started_at"])
        same("finished_at, sleep_until", (row["finished_at"], row["sleep_until"]), (None, None))


@rule("One `started` event a run")
async def each_run_has_one_started_event(server: Server) -> None:
    async with server.instance() as one:
        for runs in range(1, 4):
            started = await server.database.events(one.id, "started")
            same("started events", len(started), runs)
            same("run_epoch", (await server.database.instance(one.id))["run_epoch"], runs)
            await one.register()


@rule("A refusal leaves nothing behind")
async def a_refused_registration_leaves_no_row(server: Server) -> None:
    async with server.instance() as one:
        before = await server.database.instance(one.id)
        await one.ask(RegisterInstanceRequest(one.id, fresh("tenant")))
        await one.ask(RegisterInstanceRequest(one.id, one.tenant, "missing"))
        stored = dict(await server.database.instance(one.id))
        stored["last_activity_at"] = before["last_activity_at"]
        same("the row", stored, dict(before))
        same("started events", len(await server.database.events(one.id, "started")), 1)

        unborn = fresh()
        await one.ask(RegisterInstanceRequest(unborn, one.tenant, "missing"))
        same("the row of the refused", dict(await server.database.instance(unborn)), {})


@rule("register: PENDING to RUNNING")
async def a_pending_instance_registers(server: Server) -> None:
    async with server.unborn() as one:
        await server.database.put_instance(one.id, one.tenant, b"given")
        status = await one.status()
        same("the status before", status.status, 1)
        await one.register()
        row = await server.database.instance(one.id)
        same("status, input", (row["status"], row["input"]), ("running", b"given"))
        about_now("started_at", row["started_at"])


@rule("The first call with an id saves: one row, with its state")
async def a_checkpoint_is_one_row(server: Server) -> None:
    async with server.instance() as one:
        await asyncio.gather(*(one.checkpoint("a", b"same") for _ in range(16)))
        rows = await server.database.checkpoints(one.id)
        kept = [(row["checkpoint_id"], row["state"], row["is_retry_attempt"]) for row in rows]
        same("id, state, is_retry_attempt", kept, [("a", b"same", 0)])
        about_now("created_at", rows[0]["created_at"])


@rule("The instance's `checkpoint_id` moves in the same step")
async def the_pointer_is_the_last_saved(server: Server) -> None:
    async with server.instance() as one:
        for name in ("a", "b"):
            await one.saves(name, b"1")
            row = await server.database.instance(one.id)
            same("checkpoint_id", row["checkpoint_id"], name)


@rule("completed: output, `finished_at`, and one event")
async def completed_is_one_step(server: Server) -> None:
    async with server.instance() as one:
        await one.complete(b"\x00done")
        row = await server.database.instance(one.id)
        kept = (row["status"], row["output"], row["error"])
        same("status, output, error", kept, ("completed", b"\x00done", None))
        about_now("finished_at", row["finished_at"])
        events = await server.database.events(one.id, "completed")
        same("completed events", [event["payload"] for event in events], [b"\x00done"])


@rule("failed: error, `finished_at`, and one event")
async def failed_is_one_step(server: Server) -> None:
    async with server.instance() as one:
        await one.fail(b"it broke")
        row = await server.database.instance(one.id)
        same("status, error", (row["status"], row["error"]), ("failed", "it broke"))
        about_now("finished_at", row["finished_at"])
        same("failed events", len(await server.database.events(one.id, "failed")), 1)


@rule("The same ending again is a success recorded once; nothing in such a row changes")
async def an_ending_is_recorded_once(server: Server) -> None:
    async with server.instance() as one:
        await one.complete(b"done")
        before = dict(await server.database.instance(one.id))
        await asyncio.gather(*(one.complete(b"done") for _ in range(8)))
        await one.ask(InstanceEvent(one.id, EventType.FAILED, payload=b"no"))
        await one.ask(RegisterInstanceRequest(one.id, one.tenant))
        same("the row", dict(await server.database.instance(one.id)), before)
        kinds = [event["event_type"] for event in await server.database.events(one.id)]
        same("the events", kinds, ["started", "completed"])


@rule("custom: kept with subtype and payload, in every state")
async def custom_events_are_kept(server: Server) -> None:
    async with server.instance() as one:
        event = InstanceEvent(one.id, EventType.CUSTOM, "step", b"\x00\xff", 0, "kind")
        answered(await one.ask(event), InstanceEventResponse)
        await one.complete()
        answered(await one.ask(event), InstanceEventResponse)
        events = await server.database.events(one.id, "custom")
        kept = [(each["checkpoint_id"], each["payload"], each["subtype"]) for each in events]
        same("checkpoint_id, payload, subtype", kept, [("step", b"\x00\xff", "kind")] * 2)


@rule("heartbeat: adds no row")
async def a_heartbeat_adds_no_row(server: Server) -> None:
    async with server.instance() as one:
        for _ in range(3):
            await one.event(EventType.HEARTBEAT)
        kinds = [event["event_type"] for event in await server.database.events(one.id)]
        same("the events", kinds, ["started"])


@rule("suspended: paused (`sleep_until` null), and its event")
async def suspended_is_one_step(server: Server) -> None:
    async with server.instance() as one:
        await one.suspend()
        row = await server.database.instance(one.id)
        same("status, sleep_until", (row["status"], row["sleep_until"]), ("suspended", None))
        same("finished_at", row["finished_at"], None)
        same("suspended events", len(await server.database.events(one.id, "suspended")), 1)


async def stored_at(server: Server, one: Instance, timestamp_ms: int) -> datetime:
    """Report an event of that time, and read the time it was stored with."""
    event = InstanceEvent(one.id, EventType.CUSTOM, timestamp_ms=timestamp_ms)
    answered(await one.ask(event), InstanceEventResponse)
    return cast(datetime, (await server.database.events(one.id, "custom"))[-1]["created_at"])


@rule("`created_at` is the client's `timestamp_ms` between the year 2000 and a day ahead")
async def an_events_time_is_the_clients(server: Server) -> None:
    async with server.instance() as one:
        now = time.time_ns() // 1_000_000
        for timestamp_ms in (IN_THE_YEAR_2000 + 1, 1_234_567_890_123, now, now + A_DAY // 2):
            stored = await stored_at(server, one, timestamp_ms)
            same("created_at", round(stored.timestamp() * 1000), timestamp_ms)


@rule("`created_at` is the client's `timestamp_ms` …, else now")
async def an_impossible_time_is_now(server: Server) -> None:
    async with server.instance() as one:
        now = time.time_ns() // 1_000_000
        impossible = (0, -1, IN_THE_YEAR_2000 - 1, now + 2 * A_DAY, 2**63 - 1, -(2**63))
        for timestamp_ms in impossible:
            stored = await stored_at(server, one, timestamp_ms)
            about_now(f"created_at of {timestamp_ms}", stored)


@rule("A connection's events are stored in the order they arrived")
async def events_keep_their_order(server: Server) -> None:
    async with server.instance() as one:
        await report_in_order(one.connection, one.id, 100)
        events = await server.database.events(one.id, "custom")
        same("the order", [event["subtype"] for event in events], [str(n) for n in range(100)])


@rule("stored in the order they arrived: an event has arrived when its frame is complete")
async def an_event_that_is_held_up_is_overtaken(server: Server) -> None:
    async with server.instance() as one:
        held_up = InstanceEvent(one.id, EventType.CUSTOM, subtype="begun first")
        request = frame.encode(envelope.wrap(held_up))
        stream = one.connection.raw_stream()
        stream.write(request[:-1])
        await one.event(EventType.CUSTOM, subtype="complete first")
        stream.write(request[-1:], end=True)
        answered(await stream.reply(), InstanceEventResponse)
        events = await server.database.events(one.id, "custom")
        order = [event["subtype"] for event in events]
        same("the order", order, ["complete first", "begun first"])


async def report_in_order(connection: Connection, instance_id: str, count: int) -> None:
    """Send events one after the other without waiting for answers, then wait for all."""
    streams = [
        connection.start(InstanceEvent(instance_id, EventType.CUSTOM, subtype=str(number)))
        for number in range(count)
    ]
    for stream in streams:
        answered(await stream.reply(), InstanceEventResponse)
