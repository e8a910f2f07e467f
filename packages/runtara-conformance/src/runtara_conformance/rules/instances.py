"""Instances: registering, and reading where one stands."""

import asyncio

from runtara_conformance.expect import answered, expect, names, same, unregistered
from runtara_conformance.messages import (
    GetInstanceStatusRequest,
    GetInstanceStatusResponse,
    RegisterInstanceRequest,
    RegisterInstanceResponse,
    Status,
)
from runtara_conformance.rule import Noun, Tier
from runtara_conformance.subject import Instance, Server, fresh

rule = Noun("instances", Tier.SLICE)


@rule("An unknown instance is created and RUNNING in one step")
async def an_unknown_instance_is_created(server: Server) -> None:
    async with server.unborn() as one:
        answer = await one.register()
        same("the code", answer.code, None)
        status = await one.is_in(Status.RUNNING)
        expect("a time of start", status.started_at_ms > 0, status)
        same("finished_at_ms", status.finished_at_ms, None)
        same("checkpoint_id", status.checkpoint_id, None)
        same("output, error", (status.output, status.error), (None, None))


@rule("register: RUNNING to RUNNING (restart after a crash)")
async def a_running_instance_registers_again(server: Server) -> None:
    async with server.instance() as one:
        await one.register()
        async with server.connect() as other:
            await one.on(other).register()
            await one.on(other).is_in(Status.RUNNING)


@rule("register: paused to RUNNING (resume)")
async def a_paused_instance_registers_again(server: Server) -> None:
    async with server.instance() as one:
        await one.suspend()
        await one.is_in(Status.SUSPENDED)
        await one.register()
        await one.is_in(Status.RUNNING)
        await one.saves("a", b"1")


@rule("`started_at` is the first start")
async def the_first_start_counts(server: Server) -> None:
    async with server.instance() as one:
        first = (await one.status()).started_at_ms
        await asyncio.sleep(0.05)
        await one.register()
        same("started_at_ms", (await one.status()).started_at_ms, first)


@rule("An existing one must belong to the same tenant; a refusal leaves nothing behind")
async def another_tenants_instance_is_refused(server: Server) -> None:
    async with server.instance() as one, server.connect() as other:
        before = await one.status()
        reply = await other.request(RegisterInstanceRequest(one.id, fresh("tenant")))
        unregistered(reply)
        same("the status", await one.status(), before)
        await one.saves("a", b"1")


@rule("An existing one must not be finished; refused naming the state (completed)")
async def a_completed_instance_cannot_register(server: Server) -> None:
    async with server.instance() as one:
        await one.complete(b"done")
        before = await one.status()
        reply = await one.ask(RegisterInstanceRequest(one.id, one.tenant))
        unregistered(reply, "INVALID_INSTANCE_STATE", naming=["completed"])
        same("the status", await one.status(), before)


@rule("An existing one must not be finished; refused naming the state (failed)")
async def a_failed_instance_cannot_register(server: Server) -> None:
    async with server.instance() as one:
        await one.fail()
        reply = await one.ask(RegisterInstanceRequest(one.id, one.tenant))
        unregistered(reply, "INVALID_INSTANCE_STATE", naming=["failed"])


@rule("a checkpoint_id must exist; a refusal leaves nothing behind")
async def an_unknown_checkpoint_is_refused(server: Server) -> None:
    async with server.unborn() as one:
        request = RegisterInstanceRequest(one.id, one.tenant, "missing")
        reply = await one.ask(request)
        unregistered(reply, "CHECKPOINT_NOT_FOUND", naming=["missing", "not found"])
        await one.is_in(Status.UNKNOWN)

        await one.register()
        unregistered(await one.ask(request), "CHECKPOINT_NOT_FOUND", naming=["not found"])
        await one.saves("a", b"1")


@rule("a checkpoint_id must exist (it is only verified)")
async def a_known_checkpoint_is_only_verified(server: Server) -> None:
    async with server.instance() as one:
        await one.saves("first", b"1")
        await one.saves("second", b"2")
        request = RegisterInstanceRequest(one.id, one.tenant, "first")
        answer = answered(await one.ask(request), RegisterInstanceResponse)
        expect("a registration that succeeds", answer.success, answer)
        same("the pointer", (await one.status()).checkpoint_id, "second")
        await one.finds("second", b"2")


@rule("A refusal leaves nothing behind: the instance's own connection works on")
async def a_refusal_takes_nothing_from_the_living(server: Server) -> None:
    async with server.instance() as one, server.connect() as other:
        unregistered(await other.request(RegisterInstanceRequest(one.id, fresh("tenant"))))
        missing = RegisterInstanceRequest(one.id, one.tenant, "missing")
        unregistered(await other.request(missing))
        await one.saves("a", b"1")
        await one.complete()


@rule("Each registration begins a run: racing ones all succeed")
async def racing_registrations_all_succeed(server: Server) -> None:
    async with server.unborn() as one, server.connect() as other:
        both = [one, one.on(other)] * 8
        answers = await asyncio.gather(*(each.register() for each in both))
        runs = [answer.run for answer in answers]
        expect("runs that differ, or none", len(set(runs)) in (1, 16), runs)
        await one.is_in(Status.RUNNING)


@rule("Racing first registrations of two tenants: one gets the instance")
async def racing_tenants_do_not_share(server: Server) -> None:
    async with server.connect() as one, server.connect() as other:
        instance = fresh()
        requests = [RegisterInstanceRequest(instance, f"tenant {each % 2}") for each in range(8)]
        places = [one, other] * 4
        replies = await asyncio.gather(
            *(place.request(request) for place, request in zip(places, requests, strict=True))
        )
        answers = [answered(reply, RegisterInstanceResponse) for reply in replies]
        winners = {index % 2 for index, answer in enumerate(answers) if answer.success}
        same("how many tenants succeeded", len(winners), 1)
        same("how many registrations", sum(answer.success for answer in answers), 4)


@rule('an unknown instance is no error here: STATUS_UNKNOWN, `error` "Instance … not found"')
async def an_unknown_instance_has_a_status(server: Server) -> None:
    async with server.unborn() as one:
        status = await one.is_in(Status.UNKNOWN)
        names(status.error or "", ["Instance", one.id, "not found"])
        same("finished_at_ms, output", (status.finished_at_ms, status.output), (None, None))


@rule("GetInstanceStatus: the answer names the instance that was asked for")
async def a_status_names_its_instance(server: Server) -> None:
    async with server.instance() as one, server.instance() as other:
        for connection in (one.connection, other.connection):
            for asked in (one.id, other.id):
                reply = await connection.request(GetInstanceStatusRequest(asked))
                status = answered(reply, GetInstanceStatusResponse)
                same("instance_id", status.instance_id, asked)


@rule("`finished_at` is set exactly there (in a final state), and not before the start")
async def only_the_finished_have_an_end(server: Server) -> None:
    async with server.instance() as one:
        same("while RUNNING", (await one.status()).finished_at_ms, None)
        await one.suspend()
        same("while SUSPENDED", (await one.status()).finished_at_ms, None)
        await one.register()
        await one.complete()
        status = await one.is_in(Status.COMPLETED)
        finished = status.finished_at_ms or 0
        expect("an end not before the start", finished >= status.started_at_ms, status)


@rule("Answer one instance with another's data: never")
async def instances_are_kept_apart(server: Server) -> None:
    async with server.instance() as one, server.connect() as shared:
        twin = Instance(one.connection, fresh(), one.tenant)
        await twin.register()
        await asyncio.gather(
            *(each.on(shared).saves("a", each.id.encode()) for each in (one, twin))
        )
        await one.finds("a", one.id.encode())
        await twin.finds("a", twin.id.encode())
        await one.complete(b"one's")
        await twin.is_in(Status.RUNNING)
