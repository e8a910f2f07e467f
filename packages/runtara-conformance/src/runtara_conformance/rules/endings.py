"""Endings: completed and failed, once and for ever."""

import asyncio

from runtara_conformance.client import Reply
from runtara_conformance.expect import answered, expect, refused, same
from runtara_conformance.messages import (
    CheckpointRequest,
    EventType,
    InstanceEvent,
    InstanceEventResponse,
    RpcError,
    Status,
)
from runtara_conformance.rule import Noun, Tier
from runtara_conformance.subject import Instance, Server

rule = Noun("endings", Tier.SLICE)


def completed(one: Instance, output: bytes) -> InstanceEvent:
    """Write the event of a good ending."""
    return InstanceEvent(one.id, EventType.COMPLETED, payload=output)


def failed(one: Instance, error: bytes) -> InstanceEvent:
    """Write the event of a bad ending."""
    return InstanceEvent(one.id, EventType.FAILED, payload=error)


async def refuses_every_other_ending(one: Instance, state: str) -> None:
    """Expect no other ending to be taken, and nothing to change."""
    before = await one.status()
    for other in (
        completed(one, b"another"),
        failed(one, b"another"),
        InstanceEvent(one.id, EventType.SUSPENDED),
    ):
        reply = await one.ask(other)
        refused(reply, "INVALID_INSTANCE_STATE", naming=[one.id, state])
        same("the status", await one.status(), before)


@rule("completed: payload is the output")
async def completed_keeps_the_output(server: Server) -> None:
    async with server.instance() as one, server.connect() as other:
        await one.complete(b"\x00\xff the output")
        status = await one.on(other).is_in(Status.COMPLETED)
        same("output, error", (status.output, status.error), (b"\x00\xff the output", None))
        expect("an end", status.finished_at_ms is not None, status)


@rule("completed: payload is the output (an empty one)")
async def completed_without_an_output(server: Server) -> None:
    async with server.instance() as one:
        await one.complete()
        status = await one.is_in(Status.COMPLETED)
        same("output or nothing", status.output or b"", b"")
        await one.complete()


@rule("failed: payload is the error text")
async def failed_keeps_the_error(server: Server) -> None:
    async with server.instance() as one, server.connect() as other:
        await one.fail("es brach → leider".encode())
        status = await one.on(other).is_in(Status.FAILED)
        same("error, output", (status.error, status.output), ("es brach → leider", None))
        expect("an end", status.finished_at_ms is not None, status)


@rule("failed: what `failure` brings for programs is kept as the output")
async def failed_keeps_what_programs_read(server: Server) -> None:
    async with server.instance() as one, server.connect() as other:
        told = InstanceEvent(one.id, EventType.FAILED, payload=b"it broke", failure=b'{"x":\xff')
        for _ in range(2):
            expect("a success", answered(await one.ask(told), InstanceEventResponse).success, told)
        status = await one.on(other).is_in(Status.FAILED)
        same("error, output", (status.error, status.output), ("it broke", b'{"x":\xff'))
    async with server.instance() as one:
        wrong = InstanceEvent(one.id, EventType.COMPLETED, failure=b"x")
        refused(await one.ask(wrong), "VALIDATION_ERROR", naming=["failure"])


@rule("failed: empty, not UTF-8 or with NUL: a text that says so")
async def failed_without_a_readable_error(server: Server) -> None:
    for error in (b"", b"\xff\xfe", b"a\0b"):
        async with server.instance() as one:
            await one.fail(error)
            status = await one.is_in(Status.FAILED)
            words = status.error or ""
            expect("a text without NUL", " " in words and "\0" not in words, status)


@rule("The same ending again (the answer was lost) is a success recorded once: completed")
async def completed_twice_is_a_success(server: Server) -> None:
    async with server.instance() as one, server.connect() as other:
        await one.complete(b"done")
        before = await one.status()
        await one.complete(b"done")
        await one.on(other).complete(b"done")
        same("the status", await one.status(), before)


@rule("The same ending again (the answer was lost) is a success recorded once: failed")
async def failed_twice_is_a_success(server: Server) -> None:
    for error in (b"it broke", b"", b"\xff", b"a\0b"):
        async with server.instance() as one:
            await one.fail(error)
            before = await one.status()
            await one.fail(error)
            same("the status", await one.status(), before)


@rule("another ending is `INVALID_INSTANCE_STATE`; nothing in such a row changes (completed)")
async def nothing_leaves_completed(server: Server) -> None:
    async with server.instance() as one:
        await one.complete(b"done")
        await refuses_every_other_ending(one, "completed")


@rule("another ending is `INVALID_INSTANCE_STATE`; nothing in such a row changes (failed)")
async def nothing_leaves_failed(server: Server) -> None:
    async with server.instance() as one:
        await one.fail(b"it broke")
        await refuses_every_other_ending(one, "failed")


@rule("same kind, same payload: the same bytes under the other kind are another ending")
async def the_same_payload_of_the_other_kind(server: Server) -> None:
    async with server.instance() as one:
        await one.complete(b"same")
        refused(await one.ask(failed(one, b"same")), "INVALID_INSTANCE_STATE")
        await one.is_in(Status.COMPLETED)


@rule("complete, fail: from RUNNING or asleep; a paused one is refused, naming its state")
async def a_paused_instance_cannot_end(server: Server) -> None:
    async with server.instance() as one:
        await one.suspend()
        for ending in (completed(one, b"x"), failed(one, b"x")):
            reply = await one.ask(ending)
            refused(reply, "INVALID_INSTANCE_STATE", naming=[one.id, "suspended|paused"])
        await one.is_in(Status.SUSPENDED)


@rule("processes and servers race: of different endings at once one is taken")
async def one_of_racing_endings_is_taken(server: Server) -> None:
    async with server.instance() as one, server.connect() as other:
        endings = [
            completed(one, b"%d" % number) if number % 2 else failed(one, b"%d" % number)
            for number in range(16)
        ]
        places = [one.connection, other] * 8
        replies = await asyncio.gather(
            *(place.request(ending) for place, ending in zip(places, endings, strict=True))
        )
        taken = [ending for ending, reply in zip(endings, replies, strict=True) if success(reply)]
        expect("exactly one of 16 taken", len(taken) == 1, taken)
        status = await one.status()
        kept = status.output if taken[0].event_type == EventType.COMPLETED else status.error
        same("what is kept", kept in (taken[0].payload, taken[0].payload.decode()), True)


def success(reply: Reply) -> bool:
    """Return whether an ending was accepted; only a late ending may be refused."""
    if isinstance(reply, RpcError):
        refused(reply, "INVALID_INSTANCE_STATE")
        return False
    return answered(reply, InstanceEventResponse).success


@rule("the same ending at once, many times: each is a success")
async def racing_equal_endings_all_succeed(server: Server) -> None:
    async with server.instance() as one, server.connect() as other:
        await asyncio.gather(*(place.complete(b"done") for place in [one, one.on(other)] * 8))
        status = await one.is_in(Status.COMPLETED)
        same("output", status.output, b"done")


@rule("COMPLETED, FAILED: an ending may come from a connection that never registered")
async def an_unregistered_connection_may_end(server: Server) -> None:
    async with server.instance() as one, server.connect() as other:
        await one.on(other).complete(b"done")
        await one.is_in(Status.COMPLETED)


@rule("What checkpoints race with an ending: those that were told saved are kept")
async def checkpoints_that_race_with_the_end(server: Server) -> None:
    async with server.instance() as one, server.connect() as other:
        ending = asyncio.create_task(one.on(other).complete(b"done"))
        told: list[str] = []
        for number in range(200):
            name = f"step {number}"
            reply = await one.ask(CheckpointRequest(one.id, name, b"1"))
            if isinstance(reply, RpcError):
                refused(reply, "INVALID_INSTANCE_STATE")
                same("found afterwards", (await one.get(name)).found, False)
                break
            told.append(name)
        await ending
        for name in told:
            same("found afterwards", (await one.get(name)).found, True)
