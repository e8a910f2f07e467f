"""Runs: each registration begins a run, and requests of older runs are refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runtara_conformance.expect import answered, expect, refused, same, unregistered
from runtara_conformance.messages import (
    CheckpointRequest,
    EventType,
    InstanceEvent,
    PollSignalsRequest,
    RegisterInstanceRequest,
    RegisterInstanceResponse,
    RetryAttemptEvent,
    SignalAck,
    SignalType,
    SleepRequest,
    Status,
)
from runtara_conformance.rule import Noun, Tier
from runtara_conformance.subject import Instance, Server

rule = Noun("runs", Tier.CORE)


@asynccontextmanager
async def superseded(server: Server) -> AsyncIterator[tuple[Instance, Instance]]:
    """Yield an instance on the connections of its first and its second run."""
    async with server.instance() as first, server.connect() as connection:
        await first.saves("a", b"1")
        second = first.on(connection)
        await second.register()
        yield first, second


@rule("Each registration begins a run, counted from 1; the response carries `run`")
async def runs_are_counted_from_one(server: Server) -> None:
    async with server.unborn() as one, server.connect() as other:
        for place, number in ((one, 1), (one, 2), (one.on(other), 3)):
            same("run", (await place.register()).run, number)


@rule("Each registration begins a run (racing ones: each its own)")
async def racing_registrations_begin_runs_of_their_own(server: Server) -> None:
    async with server.unborn() as one, server.connect() as other:
        answers = await asyncio.gather(*(each.register() for each in [one, one.on(other)] * 4))
        same("runs", sorted(answer.run or 0 for answer in answers), list(range(1, 9)))


@rule("What a connection of an older run asks is refused with `INSTANCE_SUPERSEDED`: Checkpoint")
async def an_older_run_cannot_checkpoint(server: Server) -> None:
    async with superseded(server) as (first, second):
        for name in ("a", "b"):
            reply = await first.ask(CheckpointRequest(first.id, name, b"2"))
            refused(reply, "INSTANCE_SUPERSEDED", naming=[first.id])
        same("found afterwards", (await second.get("b")).found, False)
        await second.finds("a", b"1")


@rule("… refused with `INSTANCE_SUPERSEDED`: events")
async def an_older_run_cannot_report(server: Server) -> None:
    async with superseded(server) as (first, second):
        for event_type in EventType:
            reply = await first.ask(InstanceEvent(first.id, event_type, payload=b"x"))
            refused(reply, "INSTANCE_SUPERSEDED", naming=[first.id])
        await second.is_in(Status.RUNNING)


@rule("… refused with `INSTANCE_SUPERSEDED`: Sleep")
async def an_older_run_cannot_sleep(server: Server) -> None:
    async with superseded(server) as (first, second):
        reply = await first.ask(SleepRequest(first.id, 10, "nap", b""))
        refused(reply, "INSTANCE_SUPERSEDED", naming=[first.id])
        same("found afterwards", (await second.get("nap")).found, False)
        await second.is_in(Status.RUNNING)


@rule("… refused with `INSTANCE_SUPERSEDED`: acks, retries, polls")
async def an_older_run_cannot_acknowledge_retry_or_poll(server: Server) -> None:
    async with superseded(server) as (first, second):
        for request in (
            SignalAck(first.id, SignalType.CANCEL, True),
            RetryAttemptEvent(first.id, "a", 1),
            PollSignalsRequest(first.id),
        ):
            refused(await first.ask(request), "INSTANCE_SUPERSEDED", naming=[first.id])
        await second.is_in(Status.RUNNING)


@rule("never the two reads GetCheckpoint and GetInstanceStatus")
async def an_older_run_may_read(server: Server) -> None:
    async with superseded(server) as (first, _):
        same("the state", (await first.get("a")).state, b"1")
        await first.is_in(Status.RUNNING)


@rule("remembered with the connection that registered (its highest)")
async def a_connection_speaks_for_its_newest_run(server: Server) -> None:
    async with superseded(server) as (first, second):
        await first.register()
        await first.saves("b", b"2")
        reply = await second.ask(CheckpointRequest(second.id, "c", b"3"))
        refused(reply, "INSTANCE_SUPERSEDED")


@rule("A connection that never registered an instance may act for it")
async def an_unregistered_connection_is_of_no_run(server: Server) -> None:
    async with superseded(server) as (_, second), server.connect() as third:
        await second.on(third).saves("b", b"2")
        await second.on(third).event(EventType.HEARTBEAT)
        await second.on(third).poll()


@rule("A connection's run of one instance says nothing of another")
async def runs_belong_to_their_instance(server: Server) -> None:
    async with superseded(server) as (first, _), server.instance() as other:
        await other.on(first.connection).saves("a", b"2")


@rule("`continue_run`, equal to the newest: it binds the new connection to that run")
async def a_run_is_continued(server: Server) -> None:
    async with server.instance() as one, server.connect() as again, server.connect() as next_one:
        same("run", (await one.on(again).register(continue_run=1)).run, 1)
        await one.on(again).saves("a", b"1")
        await one.saves("b", b"2")

        await one.on(next_one).register()
        for place in (one, one.on(again)):
            reply = await place.ask(CheckpointRequest(one.id, "c", b"3"))
            refused(reply, "INSTANCE_SUPERSEDED")


@rule("`continue_run` moves nothing else (no un-pause)")
async def a_continued_run_stays_paused(server: Server) -> None:
    async with server.instance() as one, server.connect() as again:
        await one.suspend()
        before = await one.status()
        await one.on(again).register(continue_run=1)
        same("the status", await one.status(), before)


@rule("`continue_run` moves nothing else (no `started` event)", database=True)
async def a_continued_run_starts_nothing(server: Server) -> None:
    async with server.instance() as one, server.connect() as again:
        before = await server.database.instance(one.id)
        await one.on(again).register(continue_run=1)
        after = await server.database.instance(one.id)
        for column in ("status", "run_epoch", "started_at", "sleep_until"):
            same(column, after[column], before[column])
        same("started events", len(await server.database.events(one.id, "started")), 1)


@rule("`continue_run` of an older run: superseded, and it must stop")
async def an_older_run_is_not_continued(server: Server) -> None:
    async with superseded(server) as (first, second), server.connect() as again:
        request = RegisterInstanceRequest(first.id, first.tenant, continue_run=1)
        unregistered(await again.request(request), "INSTANCE_SUPERSEDED", naming=[first.id])
        await second.saves("b", b"2")
        same("run", (await second.register()).run, 3)


@rule("`continue_run` of a finished instance: refused naming the state")
async def a_finished_run_is_not_continued(server: Server) -> None:
    async with server.instance() as one, server.connect() as again:
        await one.complete()
        request = RegisterInstanceRequest(one.id, one.tenant, continue_run=1)
        reply = await again.request(request)
        unregistered(reply, "INVALID_INSTANCE_STATE", naming=["completed"])


@rule("The same ending again, from a newer connection of the same run, is a success")
async def an_ending_is_repeated_on_a_newer_connection(server: Server) -> None:
    async with server.instance() as one, server.connect() as again:
        await one.on(again).register(continue_run=1)
        await one.complete(b"done")
        before = await one.status()
        await one.on(again).complete(b"done")
        same("the status", await one.status(), before)


@rule("`continue_run` is a registration: the tenant must be the same")
async def another_tenant_continues_nothing(server: Server) -> None:
    async with server.instance() as one, server.connect() as again:
        unregistered(await again.request(RegisterInstanceRequest(one.id, "else", None, 1)))
        await one.saves("a", b"1")


@rule("two live processes never take turns: the older one cannot come back by continuing")
async def two_processes_do_not_take_turns(server: Server) -> None:
    async with superseded(server) as (first, second):
        for _ in range(3):
            request = RegisterInstanceRequest(first.id, first.tenant, continue_run=1)
            unregistered(await first.ask(request), "INSTANCE_SUPERSEDED")
            await second.register(continue_run=2)
        await second.saves("b", b"2")


@rule("The response brings the instance's `input`, if it has one", database=True)
async def a_registration_brings_the_input(server: Server) -> None:
    async with server.unborn() as one:
        await server.database.put_instance(one.id, one.tenant, b"\x00given")
        for _ in range(2):
            same("input", (await one.register()).input, b"\x00given")


@rule("The response brings the instance's `input`, if it has one (it has none)")
async def a_registration_without_an_input(server: Server) -> None:
    async with server.unborn() as one:
        same("input", (await one.register()).input, None)


@rule("A refusal says why in `error` and in `code`")
async def a_refused_registration_has_a_code(server: Server) -> None:
    async with server.instance() as one:
        await one.complete()
        for request, code in (
            (RegisterInstanceRequest(one.id, one.tenant), "INVALID_INSTANCE_STATE"),
            (RegisterInstanceRequest("", one.tenant), "VALIDATION_ERROR"),
            (RegisterInstanceRequest(one.id + "2", one.tenant, "no"), "CHECKPOINT_NOT_FOUND"),
        ):
            reply = await one.ask(request)
            unregistered(reply, code)
            expect(f"code {code}, present", getattr(reply, "code", None) == code, reply)


@rule("`launch_id` works only while that launch is the instance's open one")
async def a_launch_that_is_not_open_is_superseded(server: Server) -> None:
    async with server.unborn() as unknown, server.instance() as known:
        for one in (unknown, known):
            request = RegisterInstanceRequest(one.id, one.tenant, launch_id="no launch of it")
            unregistered(await one.ask(request), "INSTANCE_SUPERSEDED", naming=["no launch of it"])
        await unknown.is_in(Status.UNKNOWN)
        await known.saves("a")


@rule("`workflow` and `code_version` are kept in the row", database=True)
async def what_an_instance_runs_is_kept(server: Server) -> None:
    async with server.unborn() as one:
        for workflow, version in (("orders", "1"), (None, "2")):
            request = RegisterInstanceRequest(
                one.id, one.tenant, workflow=workflow, code_version=version
            )
            answer = answered(await one.ask(request), RegisterInstanceResponse)
            expect("a registration", answer.success, answer)
            row = await server.database.instance(one.id)
            same("the row", (row["workflow"], row["code_version"]), ("orders", version))
