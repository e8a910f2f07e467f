"""Polls: signals that are pending now, or come within the wait."""

import asyncio

from runtara_conformance.expect import answered, expect, refused, same, within
from runtara_conformance.messages import (
    CustomSignal,
    PollSignalsRequest,
    PollSignalsResponse,
    SignalAck,
    SignalType,
    Status,
)
from runtara_conformance.rule import Noun, Tier
from runtara_conformance.rules.sleep import AT_ONCE, Stopwatch
from runtara_conformance.subject import Instance, Server

rule = Noun("polls", Tier.CORE)

NOTHING = PollSignalsResponse()
REACHED = 1.0


@rule("PollSignals: the pending signal; none when nothing is pending")
async def nothing_is_pending(server: Server) -> None:
    async with server.instance() as one:
        for checkpoint_id in (None, "a"):
            same("the answer", await one.poll(checkpoint_id), NOTHING)


@rule("nothing for unknown and finished instances")
async def nothing_for_the_unknown_and_the_finished(server: Server) -> None:
    async with server.unborn() as one:
        same("unknown", await one.poll("a"), NOTHING)
        await one.register()
        await one.complete()
        same("finished", await one.poll("a"), NOTHING)


@rule("With `wait_ms` the answer is held until there is something to say (or the time is over)")
async def a_poll_waits(server: Server) -> None:
    async with server.instance() as one:
        watch = Stopwatch()
        same("the answer", await one.poll(wait_ms=500), NOTHING)
        watch.lies_between("an answer", 0.5, 2)


@rule("`wait_ms` 0, or none: answered at once")
async def a_poll_without_a_wait(server: Server) -> None:
    async with server.instance() as one:
        watch = Stopwatch()
        await one.poll()
        await one.poll(wait_ms=0)
        watch.lies_between("both answers", 0, AT_ONCE)


@rule("A waiting poll holds up nothing else of its connection")
async def a_waiting_poll_holds_up_nothing(server: Server) -> None:
    async with server.instance() as one:
        stream = one.connection.start(PollSignalsRequest(one.id, None, 1000))
        watch = Stopwatch()
        await one.saves("a", b"1")
        await one.is_in(Status.RUNNING)
        watch.lies_between("two answers", 0, AT_ONCE)
        same("the poll's end so far", stream.ending, None)
        same("the answer", await stream.reply(), NOTHING)


@rule("SignalAck: only an ack of the type that is pending does anything (nothing pending)")
async def an_ack_of_nothing_does_nothing(server: Server) -> None:
    async with server.instance() as one:
        before = await one.status()
        for signal_type in SignalType:
            for acknowledged in (True, False):
                await one.ask(SignalAck(one.id, signal_type, acknowledged))
        same("the status", await one.status(), before)
        await one.saves("a", b"1")


@rule("An enum number we don't know is refused, never taken for the first (a cancel)")
async def unknown_signal_types_are_refused(server: Server) -> None:
    async with server.instance() as one:
        for number in (3, 99, -1):
            refused(await one.ask(SignalAck(one.id, number, True)), "VALIDATION_ERROR")
        await one.is_in(Status.RUNNING)


@rule("instance_id, checkpoint_id: 1 to 1024 bytes without NUL, else `VALIDATION_ERROR`")
async def a_polls_ids_are_checked(server: Server) -> None:
    async with server.instance() as one:
        for bad in ("", "x" * 1025, "a\0b"):
            refused(await one.ask(PollSignalsRequest(bad)), "VALIDATION_ERROR")
            refused(await one.ask(PollSignalsRequest(one.id, bad)), "VALIDATION_ERROR")
            refused(await one.ask(SignalAck(bad, 0, True)), "VALIDATION_ERROR")


@rule("more_checkpoint_ids: at most 1000, each an id, else `VALIDATION_ERROR`")
async def more_ids_are_checked(server: Server) -> None:
    async with server.instance() as one:
        for bad in (("",), ("a", "x" * 1025), ("a\0b", "b")):
            refused(await one.ask(PollSignalsRequest(one.id, None, None, bad)), "VALIDATION_ERROR")
        names = tuple(f"c-{number}" for number in range(1001))
        too_many = PollSignalsRequest(one.id, None, None, names)
        refused(await one.ask(too_many), "VALIDATION_ERROR", naming=["more_checkpoint_ids", "1001"])
        same("of 1000", await one.poll(more=names[:1000]), PollSignalsResponse(knows_more=True))


async def waiting(
    one: Instance, checkpoint_id: str | None = None, more: tuple[str, ...] = ()
) -> asyncio.Task[object]:
    """Begin a poll that waits long; a request behind it has been answered already."""
    request = PollSignalsRequest(one.id, checkpoint_id, 15_000, more)
    stream = one.connection.start(request)
    await one.is_in(Status.RUNNING)
    return asyncio.create_task(stream.reply())


@rule("a signal put in anywhere (plain SQL) reaches a waiting poll", database=True)
async def a_waiting_poll_is_reached(server: Server) -> None:
    async with server.instance() as one:
        poll = await waiting(one)
        await server.database.put_signal(one.id, "pause", b"why")
        reply = await within(REACHED, "the poll's answer", poll)
        signal = reply.signal if isinstance(reply, PollSignalsResponse) else None
        same("a pause", signal and (signal.signal_type, signal.payload), (1, b"why"))


@rule("a custom signal put in anywhere reaches a waiting poll that names it", database=True)
async def a_waiting_poll_is_reached_by_a_custom_signal(server: Server) -> None:
    async with server.instance() as one:
        poll = await waiting(one, "gate")
        await server.database.put_custom_signal(one.id, "other gate", b"not this")
        await server.database.put_custom_signal(one.id, "gate", b"open")
        reply = await within(REACHED, "the poll's answer", poll)
        signal = reply.custom_signal if isinstance(reply, PollSignalsResponse) else None
        same("its payload", signal and signal.payload, b"open")


@rule("a custom signal reaches the poll that names it among others", database=True)
async def a_waiting_poll_is_reached_by_any_of_many(server: Server) -> None:
    async with server.instance() as one:
        poll = await waiting(one, "gate", ("door", "window"))
        await server.database.put_custom_signal(one.id, "cellar", b"not this")
        await server.database.put_custom_signal(one.id, "window", b"open")
        reply = await within(REACHED, "the poll's answer", poll)
        answer = PollSignalsResponse(
            custom_signals=(CustomSignal("window", b"open"),), knows_more=True
        )
        same("the answer", reply, answer)


@rule("custom_signals: what was sent to more_checkpoint_ids, the first first", database=True)
async def a_poll_brings_what_was_sent_to_many(server: Server) -> None:
    async with server.instance() as one:
        for name in ("b", "gate", "a", "other"):
            await server.database.put_custom_signal(one.id, name, name.encode())
        answer = await one.poll("gate", more=("a", "b", "c"))
        same("custom_signal", answer.custom_signal, CustomSignal("gate", b"gate"))
        sent = (CustomSignal("b", b"b"), CustomSignal("a", b"a"))
        same("custom_signals, knows_more", (answer.custom_signals, answer.knows_more), (sent, True))
        same("asked for none", (await one.poll("c")), NOTHING)


@rule("custom_signals: of much that was sent the first, and at least one", database=True)
async def a_poll_brings_as_much_as_fits(server: Server) -> None:
    async with server.instance() as one:
        names = {f"c-{number}" for number in range(5)}
        for name in sorted(names):
            await server.database.put_custom_signal(one.id, name, bytes(512 * 1024))
        while names:
            told = {each.checkpoint_id for each in (await one.poll(more=names)).custom_signals}
            expect("some of those asked for", bool(told) and told <= names, told)
            names -= told


@rule("a signal reaches the poll of its own instance, and no other", database=True)
async def a_waiting_poll_of_another_goes_on(server: Server) -> None:
    async with server.instance() as one, server.instance() as other:
        poll = await waiting(other)
        await server.database.put_signal(one.id, "pause")
        same("one's", (await one.poll(wait_ms=2000)).signal is not None, True)
        same("the other's poll has ended", poll.done(), False)
        await server.database.put_signal(other.id, "resume")
        await within(REACHED, "the other's answer", poll)


@rule("With `wait_ms`, and something pending already: answered at once", database=True)
async def a_poll_that_need_not_wait(server: Server) -> None:
    async with server.instance() as one:
        await server.database.put_signal(one.id, "pause")
        watch = Stopwatch()
        answer = answered(
            await one.ask(PollSignalsRequest(one.id, None, 10_000)), PollSignalsResponse
        )
        watch.lies_between("an answer", 0, AT_ONCE)
        same("a signal", answer.signal is not None, True)
