"""Sleep: a deadline that is stored, even if its client is gone."""

import asyncio
from collections.abc import Awaitable, Callable

from runtara_conformance.client import Stream
from runtara_conformance.expect import answered, eventually, expect, refused, same, within
from runtara_conformance.messages import SleepRequest, SleepResponse, Status
from runtara_conformance.rule import Noun, Tier
from runtara_conformance.subject import Instance, Server

rule = Noun("sleep", Tier.CORE)

AN_HOUR = 3_600_000
FOR_EVER = 2**64 - 1
LATE = 1.5
AT_ONCE = 0.5


class Stopwatch:
    """How long it has been, in seconds."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    def lies_between(self, what: str, at_least: float, less_than: float) -> None:
        """Expect the time since the start to be in this window."""
        passed = self._loop.time() - self._began
        window = f"{what} after {at_least:g} to {less_than:g} s"
        # A server may count in whole milliseconds.
        expect(window, at_least - 0.002 <= passed < less_than, f"{passed:.3f} s")


async def asleep(one: Instance, checkpoint_id: str, duration_ms: int = AN_HOUR) -> Stream:
    """Begin a sleep whose answer is not waited for; give its stream once it is stored."""
    stream = one.connection.start(SleepRequest(one.id, duration_ms, checkpoint_id, b"dream"))
    await eventually(5, "the sleep's checkpoint", stored(one, checkpoint_id))
    return stream


def stored(one: Instance, checkpoint_id: str) -> Callable[[], Awaitable[bool | None]]:
    """Look whether a checkpoint is there yet."""

    async def look() -> bool | None:
        return (await one.get(checkpoint_id)).found or None

    return look


async def woken(stream: Stream, seconds: float = 3.0) -> None:
    """Expect the answer of a sleep in that time."""
    answered(await within(seconds, "the sleep's answer", stream.reply()), SleepResponse)


@rule("The server holds the answer until the deadline, then wakes and answers")
async def a_sleep_lasts(server: Server) -> None:
    async with server.instance() as one:
        watch = Stopwatch()
        await one.sleep("nap", 500, b"dream")
        watch.lies_between("an answer", 0.5, 0.5 + LATE)
        await one.is_in(Status.RUNNING)


@rule("One step saves the checkpoint, sets `sleep_until` and makes it asleep")
async def a_sleep_saves_and_suspends(server: Server) -> None:
    async with server.instance() as one:
        stream = await asleep(one, "nap", 600)
        kept = await one.get("nap")
        same("found, state", (kept.found, kept.state), (True, b"dream"))
        status = await one.is_in(Status.SUSPENDED)
        same("the pointer", status.checkpoint_id, "nap")
        await woken(stream)
        await one.finds("nap", b"dream")


@rule("asked again with the same id, only what is left is slept")
async def the_deadline_belongs_to_the_checkpoint(server: Server) -> None:
    async with server.instance() as one, server.connect() as other:
        watch = Stopwatch()
        first = await asleep(one, "nap", 1000)
        await asyncio.sleep(0.3)
        await one.on(other).sleep("nap", AN_HOUR, b"another")
        watch.lies_between("an answer", 1.0, 1.0 + LATE)
        await woken(first)
        await one.finds("nap", b"dream")


@rule("asked again by the next run: only what is left is slept")
async def the_deadline_outlives_the_run(server: Server) -> None:
    async with server.unborn() as one:
        watch = Stopwatch()
        async with server.connect() as dying:
            await one.on(dying).register()
            await asleep(one.on(dying), "nap", 1200)
        await one.register()
        await one.is_in(Status.RUNNING)
        await one.sleep("nap", AN_HOUR)
        watch.lies_between("an answer", 1.2, 1.2 + LATE)


@rule("asked again for less: the first deadline stands")
async def a_shorter_sleep_does_not_move_the_deadline(server: Server) -> None:
    async with server.instance() as one:
        watch = Stopwatch()
        first = await asleep(one, "nap", 700)
        await one.sleep("nap", 1)
        watch.lies_between("an answer", 0.7, 0.7 + LATE)
        await woken(first)


@rule("a sleep that is over is answered at once and moves nothing")
async def a_sleep_that_is_over(server: Server) -> None:
    async with server.instance() as one:
        await one.sleep("nap", 100, b"dream")
        await one.saves("next", b"1")
        before = await one.status()
        watch = Stopwatch()
        await one.sleep("nap", AN_HOUR, b"another")
        watch.lies_between("an answer", 0, AT_ONCE)
        same("the status", await one.status(), before)
        await one.finds("nap", b"dream")


@rule("a sleep that is over … but wakes an asleep instance")
async def a_sleep_that_is_over_wakes(server: Server) -> None:
    async with server.instance() as one:
        await one.sleep("short", 50)
        await asleep(one, "long")
        await one.is_in(Status.SUSPENDED)
        await one.sleep("short", 50)
        await one.is_in(Status.RUNNING)


@rule("a checkpoint without a deadline gets one now")
async def a_saved_checkpoint_gets_a_deadline(server: Server) -> None:
    async with server.instance() as one:
        await one.saves("a", b"first")
        watch = Stopwatch()
        await one.sleep("a", 400, b"another")
        watch.lies_between("an answer", 0.4, 0.4 + LATE)
        await one.finds("a", b"first")
        again = Stopwatch()
        await one.sleep("a", AN_HOUR)
        again.lies_between("an answer, asked again", 0, AT_ONCE)


@rule("Zero is over at once")
async def a_sleep_of_zero(server: Server) -> None:
    async with server.instance() as one:
        watch = Stopwatch()
        await one.sleep("nap", 0, b"dream")
        watch.lies_between("an answer", 0, AT_ONCE)
        await one.is_in(Status.RUNNING)
        await one.finds("nap", b"dream")


@rule("more than 100 years counts as 100")
async def a_sleep_for_ever(server: Server) -> None:
    async with server.instance() as one:
        for number, duration_ms in enumerate((FOR_EVER, 2**63, 2**63 - 1, 2**53)):
            stream = await asleep(one, f"nap {number}", duration_ms)
            await one.is_in(Status.SUSPENDED)
            same("the end of the stream", stream.ending, None)


@rule("`keep_running` holds the answer but leaves it RUNNING")
async def a_sleep_that_keeps_running(server: Server) -> None:
    async with server.instance() as one:
        watch = Stopwatch()
        request = SleepRequest(one.id, 600, "nap", b"dream", keep_running=True)
        stream = one.connection.start(request)
        await eventually(5, "the sleep's checkpoint", stored(one, "nap"))
        await one.is_in(Status.RUNNING)
        await one.saves("work", b"1")
        await woken(stream)
        watch.lies_between("an answer", 0.6, 0.6 + LATE)
        await one.is_in(Status.RUNNING)
        await one.finds("nap", b"dream")


@rule("Several sleeps may be held: each is answered at its own deadline")
async def several_sleeps_are_held(server: Server) -> None:
    async with server.instance() as one:
        watch = Stopwatch()
        streams = [await asleep(one, str(ms), ms) for ms in (900, 300, 600)]
        await woken(streams[1])
        watch.lies_between("the first", 0.3, 0.3 + LATE)
        await woken(streams[2])
        watch.lies_between("the second", 0.6, 0.6 + LATE)
        await woken(streams[0])
        watch.lies_between("the third", 0.9, 0.9 + LATE)
        await one.is_in(Status.RUNNING)


@rule("Many sleeps of an instance may be held at once, and are all answered")
async def many_sleeps_are_held(server: Server) -> None:
    async with server.instance() as one:
        watch = Stopwatch()
        naps = (one.sleep(f"nap {number}", 400) for number in range(50))
        await within(6, "all answers", asyncio.gather(*naps))
        watch.lies_between("all answers", 0.4, 6)


@rule("stir: asleep to RUNNING, its own run calls Checkpoint")
async def a_checkpoint_stirs_the_sleeper(server: Server) -> None:
    async with server.instance() as one:
        stream = await asleep(one, "nap", 800)
        await one.is_in(Status.SUSPENDED)
        await one.saves("work", b"1")
        await one.is_in(Status.RUNNING)
        await woken(stream)


@rule("stir: asleep to RUNNING, its own run calls Checkpoint (and finds)")
async def a_found_checkpoint_stirs_the_sleeper(server: Server) -> None:
    async with server.instance() as one:
        await one.saves("work", b"1")
        await asleep(one, "nap")
        await one.is_in(Status.SUSPENDED)
        await one.finds("work", b"1")
        await one.is_in(Status.RUNNING)


@rule("sleep: only from RUNNING and asleep; a paused or finished instance is refused")
async def the_paused_and_the_finished_cannot_sleep(server: Server) -> None:
    async with server.instance() as one:
        await one.suspend()
        reply = await one.ask(SleepRequest(one.id, 10, "nap"))
        refused(reply, "INVALID_INSTANCE_STATE", naming=[one.id, "suspended|paused"])
        await one.register()
        await one.complete()
        reply = await one.ask(SleepRequest(one.id, 10, "nap"))
        refused(reply, "INVALID_INSTANCE_STATE", naming=[one.id, "completed"])
        same("found afterwards", (await one.get("nap")).found, False)


@rule("An unknown instance is `INSTANCE_NOT_FOUND`")
async def an_unknown_instance_cannot_sleep(server: Server) -> None:
    async with server.unborn() as one:
        reply = await one.ask(SleepRequest(one.id, 10, "nap"))
        refused(reply, "INSTANCE_NOT_FOUND", naming=[one.id, "not found"])


@rule("checkpoint_id: as where any is saved; a retry's id is refused")
async def a_sleeps_ids_are_checked(server: Server) -> None:
    async with server.instance() as one:
        for bad in ("", "x" * 1025, "a\0b", "nap::retry::7"):
            reply = await one.ask(SleepRequest(one.id, 10, bad))
            refused(reply, "VALIDATION_ERROR", naming=["checkpoint_id"])
        reply = await one.ask(SleepRequest("", 10, "nap"))
        refused(reply, "VALIDATION_ERROR", naming=["instance_id"])
        await one.is_in(Status.RUNNING)
