"""Events that are no ending: custom ones, heartbeats, `suspended`."""

import asyncio

from runtara_conformance.expect import refused, same
from runtara_conformance.messages import EventType, InstanceEvent, Status
from runtara_conformance.rule import Noun, Tier
from runtara_conformance.subject import Instance, Server

rule = Noun("events", Tier.SLICE)


async def takes_a_custom_event(one: Instance) -> None:
    """Expect a custom event to be taken and to change nothing that is read."""
    before = await one.status()
    await one.event(EventType.CUSTOM, b"\x00\xffpayload", "step")
    same("the status", await one.status(), before)


@rule("custom: kept in every state, no change of state (running, paused)")
async def custom_events_of_an_open_instance(server: Server) -> None:
    async with server.instance() as one:
        await takes_a_custom_event(one)
        await one.suspend()
        await takes_a_custom_event(one)


@rule("custom: kept in every state, no change of state (completed, failed)")
async def custom_events_of_a_finished_instance(server: Server) -> None:
    async with server.instance() as one, server.instance() as failed:
        await one.complete(b"done")
        await takes_a_custom_event(one)
        await failed.fail()
        await takes_a_custom_event(failed)


@rule("custom: kept with subtype and payload, empty ones too")
async def custom_events_without_anything(server: Server) -> None:
    async with server.instance() as one:
        await one.event(EventType.CUSTOM)
        await one.event(EventType.CUSTOM, b"", "")
        await one.event(EventType.CUSTOM, b"x" * 100_000, "large")


@rule("heartbeat: answered once the instance is known to exist, be open")
async def heartbeats_of_an_open_instance(server: Server) -> None:
    async with server.instance() as one:
        before = await one.status()
        await one.event(EventType.HEARTBEAT)
        same("the status", await one.status(), before)
        await one.suspend()
        await one.event(EventType.HEARTBEAT)
        await one.is_in(Status.SUSPENDED)


@rule("heartbeat: refused for a finished instance, naming its state")
async def heartbeats_of_a_finished_instance(server: Server) -> None:
    async with server.instance() as one:
        await one.complete()
        reply = await one.ask(InstanceEvent(one.id, EventType.HEARTBEAT))
        refused(reply, "INVALID_INSTANCE_STATE", naming=[one.id, "completed"])


@rule("An unknown instance is `INSTANCE_NOT_FOUND`, of whatever event")
async def events_of_an_unknown_instance(server: Server) -> None:
    async with server.unborn() as one:
        for event_type in EventType:
            reply = await one.ask(InstanceEvent(one.id, event_type, payload=b"x"))
            refused(reply, "INSTANCE_NOT_FOUND", naming=[one.id, "not found"])
        await one.is_in(Status.UNKNOWN)


@rule("suspended, nothing pending: paused if RUNNING")
async def suspended_pauses(server: Server) -> None:
    async with server.instance() as one:
        await one.suspend()
        status = await one.is_in(Status.SUSPENDED)
        same("finished_at_ms", status.finished_at_ms, None)


@rule("suspended: one that is SUSPENDED already stays as it is (success)")
async def suspended_twice_is_a_success(server: Server) -> None:
    async with server.instance() as one:
        await one.suspend()
        before = await one.status()
        await one.suspend()
        same("the status", await one.status(), before)


@rule("suspended: nothing leaves a final state")
async def a_finished_instance_cannot_suspend(server: Server) -> None:
    async with server.instance() as one, server.instance() as failed:
        await one.complete()
        reply = await one.ask(InstanceEvent(one.id, EventType.SUSPENDED))
        refused(reply, "INVALID_INSTANCE_STATE", naming=[one.id, "completed"])
        await failed.fail()
        reply = await failed.ask(InstanceEvent(failed.id, EventType.SUSPENDED))
        refused(reply, "INVALID_INSTANCE_STATE", naming=[failed.id, "failed"])


@rule("A connection that never registered an instance may act for it")
async def an_unregistered_connection_may_report(server: Server) -> None:
    async with server.instance() as one, server.connect() as other:
        await one.on(other).event(EventType.HEARTBEAT)
        await one.on(other).event(EventType.CUSTOM, b"x", "s")
        await one.on(other).suspend()
        await one.is_in(Status.SUSPENDED)


@rule("A single `InstanceEvent` is answered once it is durable (many at once)")
async def many_events_at_once(server: Server) -> None:
    async with server.instance() as one:
        sent = (one.event(EventType.CUSTOM, b"%d" % number, "many") for number in range(100))
        await asyncio.gather(*sent)
