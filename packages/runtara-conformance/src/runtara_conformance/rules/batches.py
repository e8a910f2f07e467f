"""Batches of events: one transaction, an empty end."""

from runtara_conformance.client import EmptyEnd
from runtara_conformance.expect import refused, same
from runtara_conformance.messages import EventType, InstanceEvent, InstanceEventBatch, Status
from runtara_conformance.rule import Noun, Tier
from runtara_conformance.subject import Instance, Server, fresh

rule = Noun("batches", Tier.CORE)

MOST = 10_000


async def takes(one: Instance, *events: InstanceEvent) -> None:
    """Expect the batch's empty end."""
    same("the answer", await one.ask(InstanceEventBatch(events)), EmptyEnd())


def custom(one: Instance, subtype: str) -> InstanceEvent:
    """Write a custom event."""
    return InstanceEvent(one.id, EventType.CUSTOM, payload=b"x", subtype=subtype)


@rule("InstanceEventBatch has no response message: an empty end means done")
async def a_batch_is_answered_by_an_empty_end(server: Server) -> None:
    async with server.instance() as one:
        await takes(one)
        await takes(one, custom(one, "a"))
        await takes(one, *(custom(one, str(number)) for number in range(500)))
        await one.is_in(Status.RUNNING)


@rule("An event and its move are one step, in a batch too")
async def a_batch_may_end_an_instance(server: Server) -> None:
    async with server.instance() as one:
        end = InstanceEvent(one.id, EventType.COMPLETED, payload=b"done")
        await takes(one, custom(one, "a"), end, custom(one, "b"))
        same("output", (await one.is_in(Status.COMPLETED)).output, b"done")


@rule("a bad one skipped: the others are taken")
async def a_bad_event_is_skipped(server: Server) -> None:
    async with server.instance() as one:
        unknown = InstanceEvent(fresh(), EventType.CUSTOM, subtype="of-an-unknown-instance")
        end = InstanceEvent(one.id, EventType.COMPLETED, payload=b"done")
        await takes(one, unknown, InstanceEvent("", EventType.CUSTOM), end)
        await one.is_in(Status.COMPLETED)


@rule("a bad one skipped: an ending that comes too late")
async def a_late_ending_is_skipped(server: Server) -> None:
    async with server.instance() as one:
        first = InstanceEvent(one.id, EventType.COMPLETED, payload=b"done")
        second = InstanceEvent(one.id, EventType.FAILED, payload=b"too late")
        await takes(one, first, second)
        same("output", (await one.is_in(Status.COMPLETED)).output, b"done")


@rule("at most 10,000 events (that many are taken)")
async def the_largest_batch_is_taken(server: Server) -> None:
    async with server.instance() as one:
        await takes(one, *[custom(one, "many")] * MOST)


@rule("at most 10,000 events, else `VALIDATION_ERROR`; nothing of it is taken")
async def a_larger_batch_is_refused(server: Server) -> None:
    async with server.instance() as one:
        end = InstanceEvent(one.id, EventType.COMPLETED)
        batch = InstanceEventBatch((end, *[custom(one, "many")] * MOST))
        refused(await one.ask(batch), "VALIDATION_ERROR", naming=["10000|10,000|10_000"])
        await one.is_in(Status.RUNNING)


@rule("a bad one skipped, the others stored in their order, for several instances", database=True)
async def a_batchs_events_are_stored(server: Server) -> None:
    async with server.instance() as one, server.instance() as other:
        bad = InstanceEvent(fresh(), EventType.CUSTOM, subtype="of-an-unknown-instance")
        mixed = [custom(one, "1"), bad, custom(other, "2"), custom(one, "3")]
        await takes(one, *mixed)
        for instance, wanted in ((one, ["1", "3"]), (other, ["2"])):
            events = await server.database.events(instance.id, "custom")
            same("subtypes", [event["subtype"] for event in events], wanted)


@rule("events of an older run are never stored, in a batch neither", database=True)
async def an_older_runs_batch_is_not_stored(server: Server) -> None:
    async with server.instance() as first, server.connect() as connection:
        await first.on(connection).register()
        await first.ask(InstanceEventBatch((custom(first, "late"),)))
        same("custom events", len(await server.database.events(first.id, "custom")), 0)
