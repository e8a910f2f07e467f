"""Signals: pending until acknowledged; custom ones for ever."""

from runtara_conformance.client import EmptyEnd
from runtara_conformance.expect import expect, refused, same, unregistered
from runtara_conformance.messages import (
    CheckpointRequest,
    CustomSignal,
    EventType,
    InstanceEvent,
    RegisterInstanceRequest,
    Signal,
    SignalAck,
    SignalType,
    Status,
)
from runtara_conformance.rule import Noun, Tier
from runtara_conformance.rules.sleep import asleep
from runtara_conformance.subject import Instance, Server

rule = Noun("signals", Tier.CORE, database=True)

KINDS = (("cancel", SignalType.CANCEL), ("pause", SignalType.PAUSE), ("resume", SignalType.RESUME))


async def is_settled(server: Server, one: Instance) -> None:
    """Expect that no signal is pending any more, and that the database knows when."""
    same("pending", (await one.poll()).signal, None)
    row = await server.database.signal(one.id)
    expect("acknowledged_at set, or no row", not row or row["acknowledged_at"] is not None, row)


@rule("PollSignals: the pending signal, again and again until acknowledged")
async def a_signal_is_polled_again_and_again(server: Server) -> None:
    for word, number in KINDS:
        async with server.instance() as one:
            await server.database.put_signal(one.id, word, b"why")
            for _ in range(3):
                same("pending", (await one.poll()).signal, Signal(one.id, number, b"why"))
            await one.acknowledge(number)
            await is_settled(server, one)


@rule("Checkpoint: the answer carries the pending signal, saving or finding")
async def a_checkpoint_brings_the_signal(server: Server) -> None:
    async with server.instance() as one:
        await server.database.put_signal(one.id, "pause", b"why")
        for found in (False, True):
            answer = await one.checkpoint("a", b"1")
            same("found", answer.found, found)
            pending = Signal(one.id, SignalType.PAUSE, b"why")
            same("pending_signal", answer.pending_signal, pending)


@rule("Checkpoint: and the custom signal for this checkpoint_id, if any")
async def a_checkpoint_brings_its_custom_signal(server: Server) -> None:
    async with server.instance() as one:
        await server.database.put_custom_signal(one.id, "gate", b"open")
        for found in (False, True):
            answer = await one.checkpoint("gate", b"1")
            same("found", answer.found, found)
            same("custom_signal", answer.custom_signal, CustomSignal("gate", b"open"))
        same("another's", (await one.checkpoint("other")).custom_signal, None)


@rule("A custom signal is never used up: every read that names its checkpoint returns it")
async def a_custom_signal_is_never_used_up(server: Server) -> None:
    async with server.instance() as one:
        await server.database.put_custom_signal(one.id, "gate", b"")
        for _ in range(3):
            same("polled", (await one.poll("gate")).custom_signal, CustomSignal("gate", b""))
            same("of another", (await one.poll("other")).custom_signal, None)
            same("none named", (await one.poll()).custom_signal, None)
        await one.register()
        same("a replay's", (await one.poll("gate")).custom_signal, CustomSignal("gate", b""))


@rule("SignalAck: cancel to CANCELLED (from RUNNING, asleep, paused); an empty end")
async def a_cancel_is_acknowledged(server: Server) -> None:
    for state in ("running", "asleep", "paused"):
        async with server.instance() as one:
            if state == "asleep":
                await asleep(one, "nap")
            if state == "paused":
                await one.suspend()
            await server.database.put_signal(one.id, "cancel")
            await one.acknowledge(SignalType.CANCEL)
            status = await one.is_in(Status.CANCELLED)
            expect("an end", status.finished_at_ms is not None, status)


@rule("CANCELLED is final: nothing leaves it; custom events are taken")
async def nothing_leaves_cancelled(server: Server) -> None:
    async with server.instance() as one:
        await server.database.put_signal(one.id, "cancel")
        await one.acknowledge(SignalType.CANCEL)
        before = await one.status()
        refused(
            await one.ask(CheckpointRequest(one.id, "a")),
            "INVALID_INSTANCE_STATE",
            naming=["cancelled"],
        )
        reply = await one.ask(RegisterInstanceRequest(one.id, one.tenant))
        unregistered(reply, "INVALID_INSTANCE_STATE", naming=["cancelled"])
        await one.event(EventType.CUSTOM, b"x", "s")
        same("the status", await one.status(), before)


@rule("SignalAck: pause to paused (the `suspended` event right after is fine)")
async def a_pause_is_acknowledged(server: Server) -> None:
    async with server.instance() as one:
        await server.database.put_signal(one.id, "pause")
        await one.acknowledge(SignalType.PAUSE)
        await one.is_in(Status.SUSPENDED)
        await one.suspend()
        await one.is_in(Status.SUSPENDED)
        await is_settled(server, one)
        row = await server.database.instance(one.id)
        same("sleep_until", row["sleep_until"], None)


@rule("SignalAck: resume, nothing more than acknowledged")
async def a_resume_is_acknowledged(server: Server) -> None:
    async with server.instance() as one:
        await server.database.put_signal(one.id, "resume")
        before = await one.status()
        await one.acknowledge(SignalType.RESUME)
        same("the status", await one.status(), before)
        await is_settled(server, one)


@rule("SignalAck once more (the answer was lost): an empty end, and nothing is done")
async def an_ack_that_comes_again(server: Server) -> None:
    for word, number in KINDS:
        async with server.instance() as one, server.connect() as other:
            await server.database.put_signal(one.id, word)
            await one.acknowledge(number)
            before = await one.status()
            await one.acknowledge(number)
            await one.on(other).acknowledge(number)
            same("the status", await one.status(), before)


@rule("`acknowledged` false leaves it pending")
async def an_ack_that_says_no(server: Server) -> None:
    for word, number in KINDS:
        async with server.instance() as one:
            await server.database.put_signal(one.id, word)
            await one.ask(SignalAck(one.id, number, acknowledged=False))
            same("pending", (await one.poll()).signal, Signal(one.id, number))
            await one.is_in(Status.RUNNING)


@rule("only an ack of the type that is pending does anything")
async def an_ack_of_another_type_does_nothing(server: Server) -> None:
    for word, number in KINDS:
        async with server.instance() as one:
            await server.database.put_signal(one.id, word)
            for other in set(SignalType) - {number}:
                await one.ask(SignalAck(one.id, other, acknowledged=True))
            same("pending", (await one.poll()).signal, Signal(one.id, number))
            await one.is_in(Status.RUNNING)


@rule("suspended settles the pending signal in the same step: cancel to CANCELLED")
async def suspended_settles_a_cancel(server: Server) -> None:
    async with server.instance() as one:
        await server.database.put_signal(one.id, "cancel")
        await one.suspend()
        status = await one.is_in(Status.CANCELLED)
        expect("an end", status.finished_at_ms is not None, status)


@rule("The same ending again (the answer was lost) is a success recorded once: suspended")
async def suspended_twice_under_a_cancel(server: Server) -> None:
    async with server.instance() as one, server.connect() as other:
        await server.database.put_signal(one.id, "cancel")
        await one.suspend()
        before = await one.status()
        await one.suspend()
        await one.on(other).suspend()
        same("the status", await one.status(), before)
        same("suspended events", len(await server.database.events(one.id, "suspended")), 1)
        reply = await one.ask(InstanceEvent(one.id, EventType.SUSPENDED, payload=b"another"))
        refused(reply, "INVALID_INSTANCE_STATE", naming=[one.id, "cancelled"])


@rule("suspended settles the pending signal in the same step: pause to acknowledged, paused")
async def suspended_settles_a_pause(server: Server) -> None:
    async with server.instance() as one:
        await asleep(one, "nap")
        await server.database.put_signal(one.id, "pause")
        await one.suspend()
        await one.is_in(Status.SUSPENDED)
        await is_settled(server, one)
        row = await server.database.instance(one.id)
        same("sleep_until", row["sleep_until"], None)


@rule("register: a pending resume is settled")
async def registering_settles_a_resume(server: Server) -> None:
    async with server.instance() as one:
        await one.suspend()
        await server.database.put_signal(one.id, "resume")
        await one.register()
        await is_settled(server, one)
        await one.is_in(Status.RUNNING)


@rule("register settles a resume only: a cancel or a pause stays pending")
async def registering_leaves_other_signals(server: Server) -> None:
    for word, number in KINDS[:2]:
        async with server.instance() as one:
            await server.database.put_signal(one.id, word)
            await one.register()
            same("pending", (await one.poll()).signal, Signal(one.id, number))


@rule("PollSignals: nothing for finished instances")
async def a_finished_instance_is_told_nothing(server: Server) -> None:
    async with server.instance() as one:
        await server.database.put_signal(one.id, "pause")
        await server.database.put_custom_signal(one.id, "gate", b"open")
        await one.complete()
        answer = await one.poll("gate")
        same("signal, custom_signal", (answer.signal, answer.custom_signal), (None, None))


@rule("An instance that is cancelled while it ends: its ending stands, an ack changes nothing")
async def an_ack_after_the_end_changes_nothing(server: Server) -> None:
    async with server.instance() as one:
        await server.database.put_signal(one.id, "cancel")
        await one.complete(b"done")
        before = await one.status()
        reply = await one.ask(SignalAck(one.id, SignalType.CANCEL, acknowledged=True))
        if reply != EmptyEnd():
            refused(reply, "INVALID_INSTANCE_STATE", naming=["completed"])
        same("the status", await one.status(), before)
