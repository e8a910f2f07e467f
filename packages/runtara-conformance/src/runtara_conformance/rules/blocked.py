"""Blocked instances, whose code can't go on with their history, and waits of suspended ones."""

from runtara_conformance.expect import answered, expect, refused, same, within
from runtara_conformance.messages import (
    EventType,
    InstanceEvent,
    InstanceEventResponse,
    SignalType,
    SleepRequest,
    SleepResponse,
    Status,
)
from runtara_conformance.rule import Noun, Tier
from runtara_conformance.subject import Instance, Server

rule = Noun("blocked", Tier.CORE)

AN_HOUR = 3_600_000
REASON = "step 2 is gone"
WAITS = '[{"kind": "promise", "name": "approved"}]'


async def suspend(one: Instance, reason: str | None = None, waits: str | None = None) -> None:
    """Report `suspended` with the blocked reason and the waits."""
    event = InstanceEvent(one.id, EventType.SUSPENDED, blocked_reason=reason, waits=waits)
    expect("success", answered(await one.ask(event), InstanceEventResponse).success, event)


@rule("block: RUNNING to paused, with a reason; its `error` holds the reason")
async def a_reason_blocks(server: Server) -> None:
    async with server.instance() as one:
        await suspend(one, REASON)
        status = await one.is_in(Status.SUSPENDED)
        same("error", status.error, REASON)
        same("finished_at_ms", status.finished_at_ms, None)


@rule("Registering clears the reason")
async def registering_clears_the_reason(server: Server) -> None:
    async with server.instance() as one:
        await suspend(one, REASON)
        await one.register()
        same("error", (await one.is_in(Status.RUNNING)).error, None)
        await one.saves("a")


@rule("Blocking settles no signal", database=True)
async def blocking_settles_no_signal(server: Server) -> None:
    async with server.instance() as one:
        await server.database.put_signal(one.id, "cancel")
        await suspend(one, REASON)
        await one.is_in(Status.SUSPENDED)
        signal = (await one.poll()).signal
        same("the signal", signal and signal.signal_type, SignalType.CANCEL)
        await suspend(one)
        await one.is_in(Status.CANCELLED)


@rule("A finished instance is not blocked")
async def the_finished_are_not_blocked(server: Server) -> None:
    async with server.instance() as one:
        await one.fail(b"broken")
        event = InstanceEvent(one.id, EventType.SUSPENDED, blocked_reason=REASON)
        refused(await one.ask(event), "INVALID_INSTANCE_STATE", naming=[one.id, "failed"])
        same("error", (await one.is_in(Status.FAILED)).error, "broken")


@rule("`blocked_reason` (ours, at most 64 KiB) goes with `suspended` alone")
async def a_reason_is_short_and_suspends(server: Server) -> None:
    async with server.instance() as one:
        for event in (
            InstanceEvent(one.id, EventType.SUSPENDED, blocked_reason="x" * 65_537),
            InstanceEvent(one.id, EventType.CUSTOM, blocked_reason=REASON),
        ):
            refused(await one.ask(event), "VALIDATION_ERROR", naming=["blocked_reason"])
        await one.is_in(Status.RUNNING)
        await suspend(one, "x" * 65_536)


@rule("`waits`: what the open run awaits, written with the suspension", database=True)
async def what_is_awaited_is_kept(server: Server) -> None:
    async with server.instance() as one:
        await suspend(one, waits=WAITS)
        same("waits", (await server.database.instance(one.id))["waits"], WAITS)
        await one.register()
        same("waits, running", (await server.database.instance(one.id))["waits"], None)
        event = InstanceEvent(one.id, EventType.SUSPENDED, waits="no JSON")
        refused(await one.ask(event), "VALIDATION_ERROR", naming=["waits"])


@rule("`detach` (ours): answered as soon as the sleep is stored, nothing is held or claimed")
async def a_detached_sleep_is_answered_at_once(server: Server) -> None:
    async with server.instance() as one:
        request = SleepRequest(one.id, AN_HOUR, "nap", b"dream", detach=True)
        answered(await within(5, "the answer", one.ask(request)), SleepResponse)
        await one.is_in(Status.SUSPENDED)
        same("the state", (await one.get("nap")).state, b"dream")
        if server.known_database is not None:
            row = await server.database.instance(one.id)
            same("claimed by", row["wake_claim_by"], None)


@rule("`waits`: what the open run awaits, written with the release by a sleep", database=True)
async def what_a_sleep_awaits_is_kept(server: Server) -> None:
    async with server.instance() as one:
        request = SleepRequest(one.id, AN_HOUR, "nap", b"", detach=True, waits="no JSON")
        refused(await one.ask(request), "VALIDATION_ERROR", naming=["waits"])
        await one.is_in(Status.RUNNING)
        request = SleepRequest(one.id, AN_HOUR, "nap", b"", detach=True, waits=WAITS)
        answered(await within(5, "the answer", one.ask(request)), SleepResponse)
        same("waits", (await server.database.instance(one.id))["waits"], WAITS)
        await one.register()
        same("waits, running", (await server.database.instance(one.id))["waits"], None)
