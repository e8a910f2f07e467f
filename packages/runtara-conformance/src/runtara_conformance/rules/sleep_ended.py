"""Held sleeps that end early: the client is gone, was told to stop, or came to an end."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import cast

from runtara_conformance.expect import eventually, expect, refused, same, within
from runtara_conformance.messages import EventType, SignalAck, SignalType, SleepRequest, Status
from runtara_conformance.rule import Noun, Pace, Tier
from runtara_conformance.rules.sleep import AT_ONCE, FOR_EVER, Stopwatch, asleep, woken
from runtara_conformance.subject import Server

rule = Noun("sleep", Tier.CORE)

PROMPTLY = 5.0
A_CLAIM = 30.0


@rule("Connection gone: the instance stays asleep (also past its deadline)")
async def the_instance_stays_asleep(server: Server) -> None:
    async with server.unborn() as one:
        async with server.connect() as dying:
            await one.on(dying).register()
            await asleep(one.on(dying), "nap", 1500)
        await one.is_in(Status.SUSPENDED)
        await asyncio.sleep(2)
        await one.is_in(Status.SUSPENDED)


@rule("register: asleep to RUNNING (wake)")
async def an_asleep_instance_registers(server: Server) -> None:
    async with server.unborn() as one:
        async with server.connect() as dying:
            await one.on(dying).register()
            await asleep(one.on(dying), "nap")
        await one.register()
        await one.is_in(Status.RUNNING)
        await one.saves("work", b"1")


@rule("superseded under a held sleep: answered with the error")
async def a_superseded_sleeper_is_told(server: Server) -> None:
    async with server.instance() as one, server.connect() as successor:
        stream = await asleep(one, "nap")
        await one.on(successor).register()
        reply = await within(PROMPTLY, "the sleep's answer", stream.reply())
        refused(reply, "INSTANCE_SUPERSEDED", naming=[one.id])
        await one.is_in(Status.RUNNING)


@rule("ended under a held sleep: answered with the error (complete, fail: from asleep)")
async def an_ended_sleeper_is_told(server: Server) -> None:
    for ending in (EventType.COMPLETED, EventType.FAILED):
        async with server.instance() as one:
            stream = await asleep(one, "nap")
            await one.event(ending, b"the end")
            reply = await within(PROMPTLY, "the sleep's answer", stream.reply())
            refused(reply, "INVALID_INSTANCE_STATE", naming=[one.id])


@rule("suspended, nothing pending: one that is SUSPENDED already (asleep) stays as it is")
async def a_sleeper_that_says_suspended(server: Server) -> None:
    async with server.instance() as one:
        stream = await asleep(one, "nap", 600)
        await one.suspend()
        await one.is_in(Status.SUSPENDED)
        await woken(stream)
        await one.is_in(Status.RUNNING)


@rule("Paused under a held sleep: answered with the error", database=True)
async def a_paused_sleeper_is_told(server: Server) -> None:
    async with server.instance() as one:
        stream = await asleep(one, "nap")
        await server.database.put_signal(one.id, "pause")
        await one.acknowledge(SignalType.PAUSE)
        reply = await within(PROMPTLY, "the sleep's answer", stream.reply())
        refused(reply, "INVALID_INSTANCE_STATE", naming=[one.id, "suspended|paused"])
        await one.is_in(Status.SUSPENDED)
        row = await server.database.instance(one.id)
        same("sleep_until", row["sleep_until"], None)


@rule("A cancel doesn't wait for a sleep: answered within two seconds", database=True)
async def a_cancelled_sleeper_is_woken(server: Server) -> None:
    async with server.instance() as one:
        stream = await asleep(one, "nap")
        await server.database.put_signal(one.id, "cancel")
        await woken(stream, 2.5)
        pending = (await one.poll()).signal
        expect("the cancel pending", pending is not None and pending.signal_type == 0, pending)
        await one.acknowledge(SignalType.CANCEL)
        await one.is_in(Status.CANCELLED)


@rule("with a cancel pending Sleep answers at once", database=True)
async def a_cancelled_instance_does_not_sleep(server: Server) -> None:
    async with server.instance() as one:
        await server.database.put_signal(one.id, "cancel")
        watch = Stopwatch()
        await one.sleep("nap", 60_000)
        watch.lies_between("an answer", 0, AT_ONCE)


@rule("terminated under a held sleep by acknowledging a cancel: answered", database=True)
async def a_sleeper_that_is_cancelled_by_its_other_branch(server: Server) -> None:
    async with server.instance() as one:
        stream = await asleep(one, "nap")
        await server.database.put_signal(one.id, "cancel")
        reply = await one.ask(SignalAck(one.id, SignalType.CANCEL, True))
        expect("an acknowledgement without an error", "RpcError" not in repr(reply), reply)
        await within(PROMPTLY, "the sleep's answer", stream.reply())
        await one.is_in(Status.CANCELLED)


@rule("`sleep_until` is the earliest of several; registering clears it", database=True)
async def the_row_has_the_earliest_deadline(server: Server) -> None:
    async with server.instance() as one:
        for name, duration_ms in (("late", 90_000), ("soon", 30_000), ("later", 600_000)):
            await asleep(one, name, duration_ms)
        row = await server.database.instance(one.id)
        left = cast(datetime, row["sleep_until"]) - datetime.now(UTC)
        expect("20 to 30 s left", 20 < left.total_seconds() <= 30.1, left)
        await one.register()
        row = await server.database.instance(one.id)
        kept = [row[name] for name in ("sleep_until", "wake_claim_until", "wake_claim_by")]
        same("sleep_until, wake_claim_until, wake_claim_by", kept, [None] * 3)


@rule("One step saves the checkpoint with its absolute deadline (`wake_at`)", database=True)
async def the_checkpoint_has_the_deadline(server: Server) -> None:
    async with server.instance() as one:
        began = datetime.now(UTC)
        await asleep(one, "nap", 60_000)
        (row,) = await server.database.checkpoints(one.id)
        away = cast(datetime, row["wake_at"]) - began
        expect("some 60 s away", 59 < away.total_seconds() < 65, away)
        instance = await server.database.instance(one.id)
        same("sleep_until", instance["sleep_until"], row["wake_at"])


@rule("more than 100 years counts as 100", database=True)
async def the_longest_sleep_is_a_hundred_years(server: Server) -> None:
    async with server.instance() as one:
        await asleep(one, "nap", FOR_EVER)
        (row,) = await server.database.checkpoints(one.id)
        away = cast(datetime, row["wake_at"]) - datetime.now(UTC)
        years = away / timedelta(days=365.25)
        expect("100 years away", 99.9 < years < 100.1, f"{years:.2f} years")


@rule("`keep_running` stores the deadline but leaves it RUNNING", database=True)
async def a_running_sleepers_row(server: Server) -> None:
    async with server.instance() as one:
        one.connection.start(SleepRequest(one.id, 60_000, "nap", b"", keep_running=True))

        async def deadline() -> object:
            rows = await server.database.checkpoints(one.id)
            return rows[0]["wake_at"] if rows else None

        await eventually(PROMPTLY, "the deadline", deadline)
        row = await server.database.instance(one.id)
        same("status", row["status"], "running")


@rule("While held it is claimed: an owner's token and `wake_claim_until`, 30 s", database=True)
async def a_held_sleep_is_claimed(server: Server) -> None:
    async with server.instance() as one:
        await asleep(one, "nap")
        _, until = await _claim(server, one.id, None)
        left = (until - datetime.now(UTC)).total_seconds()
        expect("15 to 31 s of claim left", 15 < left < 31, f"{left:.1f} s")


@rule("renewed every 10 s", database=True, pace=Pace.PATIENT)
async def a_claim_is_renewed(server: Server) -> None:
    async with server.instance() as one:
        await asleep(one, "nap")
        owner, first = await _claim(server, one.id, None)
        await asyncio.sleep(8)
        # The stored times tell when it was renewed, however late this look is.
        renewer, later = await _claim(server, one.id, first)
        same("wake_claim_by", renewer, owner)
        apart = (later - first).total_seconds()
        expect("renewed at most 13 s later", 0 < apart < 13, f"{apart:.1f} s")


async def _claim(server: Server, instance_id: str, before: datetime | None) -> tuple[str, datetime]:
    """Read the claim's owner and end, as soon as the end is another than before."""

    async def claim() -> tuple[str, datetime] | None:
        row = await server.database.instance(instance_id)
        if row["wake_claim_by"] is None or row["wake_claim_until"] == before:
            return None
        return cast(str, row["wake_claim_by"]), cast(datetime, row["wake_claim_until"])

    return await eventually(A_CLAIM, "another claim" if before else "a claim", claim)


@rule("Connection gone: released, the instance stays asleep", database=True)
async def a_lost_sleepers_claim_is_released(server: Server) -> None:
    async with server.unborn() as one:
        async with server.connect() as dying:
            await one.on(dying).register()
            await asleep(one.on(dying), "nap")

        async def released() -> bool | None:
            row = await server.database.instance(one.id)
            return True if row["wake_claim_by"] is None else None

        await eventually(PROMPTLY, "the claim's release", released)
        row = await server.database.instance(one.id)
        same("status", row["status"], "suspended")
        expect("sleep_until still set", row["sleep_until"] is not None, row["sleep_until"])
