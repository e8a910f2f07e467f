"""Checkpoints: saved once, found for ever."""

import asyncio

from runtara_conformance.expect import answered, expect, refused, same
from runtara_conformance.messages import (
    CheckpointRequest,
    CheckpointResponse,
    GetCheckpointRequest,
    PrecedingCheckpoint,
    Status,
)
from runtara_conformance.rule import Noun, Tier
from runtara_conformance.rules.lists import page
from runtara_conformance.subject import Server

rule = Noun("checkpoints", Tier.SLICE)
extension = Noun("checkpoints", Tier.CORE)


@rule("The first call with an id saves and answers `found` false with empty state")
async def the_first_call_saves(server: Server) -> None:
    async with server.instance() as one:
        answer = await one.checkpoint("a", b"state")
        same("found, state", (answer.found, answer.state), (False, b""))
        kept = await one.get("a")
        same("read: found, state", (kept.found, kept.state), (True, b"state"))


@rule("every later one answers `found` true with the first one's state, whatever it brings")
async def later_calls_find_the_first_state(server: Server) -> None:
    async with server.instance() as one:
        await one.saves("a", b"first")
        for brought in (b"second", b"", b"first", b"x" * 5000):
            answer = await one.checkpoint("a", brought)
            same("found, state", (answer.found, answer.state), (True, b"first"))


@rule("Of any number of racing calls exactly one is told it saved, the others get its state")
async def one_of_racing_calls_saves(server: Server) -> None:
    async with server.instance() as one, server.connect() as second, server.connect() as third:
        places = [one, one.on(second), one.on(third), one] * 4
        for checkpoint in range(8):
            answers = await asyncio.gather(
                *(
                    place.checkpoint(f"race {checkpoint}", b"racer %d" % racer)
                    for racer, place in enumerate(places)
                )
            )
            fresh = [racer for racer, answer in enumerate(answers) if not answer.found]
            expect("exactly one of 16 told that it saved", len(fresh) == 1, fresh)
            states = {answer.state for answer in answers if answer.found}
            same("what the others got", states, {b"racer %d" % fresh[0]})
            same("what is kept", (await one.get(f"race {checkpoint}")).state, states.pop())


@rule("Racing calls with different ids are all saved, each with its own state")
async def racing_ids_are_all_saved(server: Server) -> None:
    async with server.instance() as one, server.connect() as second:
        places = [one, one.on(second)] * 32
        named = [(f"step {number}", b"state %d" % number) for number in range(len(places))]
        await asyncio.gather(
            *(place.saves(*each) for place, each in zip(places, named, strict=True))
        )
        await asyncio.gather(*(one.finds(*each) for each in named))


@rule("The instance's `checkpoint_id` moves in the same step")
async def the_pointer_moves_with_the_save(server: Server) -> None:
    async with server.instance() as one, server.connect() as other:
        for name in ("a", "b", "c"):
            await one.saves(name, b"1")
            same("the pointer", (await one.on(other).status()).checkpoint_id, name)


@rule("An empty state is a state")
async def an_empty_state_is_a_state(server: Server) -> None:
    async with server.instance() as one:
        await one.saves("a", b"")
        await one.finds("a", b"")
        kept = await one.get("a")
        same("read: found, state", (kept.found, kept.state), (True, b""))


@rule("GetCheckpoint reads without saving")
async def reading_saves_nothing(server: Server) -> None:
    async with server.instance() as one:
        for _ in range(2):
            answer = await one.get("a")
            same("found, state", (answer.found, answer.state), (False, b""))
        same("the pointer", (await one.status()).checkpoint_id, None)
        await one.saves("a", b"1")


@rule("GetCheckpoint of an unknown instance is `INSTANCE_NOT_FOUND`")
async def reading_needs_an_instance(server: Server) -> None:
    async with server.unborn() as one:
        reply = await one.ask(GetCheckpointRequest(one.id, "a"))
        refused(reply, "INSTANCE_NOT_FOUND", naming=[one.id, "not found"])


@rule("GetCheckpoint reads in any state")
async def reading_works_in_any_state(server: Server) -> None:
    async with server.instance() as one, server.instance() as failed:
        await one.saves("a", b"1")
        await one.suspend()
        same("while paused", (await one.get("a")).state, b"1")
        await one.register()
        await one.complete()
        same("when completed", (await one.get("a")).state, b"1")
        await failed.saves("a", b"2")
        await failed.fail()
        same("when failed", (await failed.get("a")).state, b"2")


@rule("Needs RUNNING or asleep, saving or finding (paused)")
async def a_paused_instance_cannot_checkpoint(server: Server) -> None:
    async with server.instance() as one:
        await one.saves("a", b"1")
        await one.suspend()
        for name in ("a", "b"):
            reply = await one.ask(CheckpointRequest(one.id, name, b"2"))
            refused(reply, "INVALID_INSTANCE_STATE", naming=[one.id, "suspended|paused", "running"])
        same("found afterwards", (await one.get("b")).found, False)
        await one.is_in(Status.SUSPENDED)


@rule("Needs RUNNING or asleep, saving or finding (finished): names the state it is in")
async def a_finished_instance_cannot_checkpoint(server: Server) -> None:
    async with server.instance() as one, server.instance() as failed:
        await one.saves("a", b"1")
        await one.complete()
        for name in ("a", "b"):
            reply = await one.ask(CheckpointRequest(one.id, name, b"2"))
            refused(reply, "INVALID_INSTANCE_STATE", naming=[one.id, "completed", "running"])
        same("found afterwards", (await one.get("b")).found, False)
        same("the pointer", (await one.status()).checkpoint_id, "a")
        await failed.fail()
        reply = await failed.ask(CheckpointRequest(failed.id, "a", b"2"))
        refused(reply, "INVALID_INSTANCE_STATE", naming=[failed.id, "failed"])


@rule('An unknown instance is `INSTANCE_NOT_FOUND`; the message contains "not found"')
async def an_unknown_instance_cannot_checkpoint(server: Server) -> None:
    async with server.unborn() as one:
        reply = await one.ask(CheckpointRequest(one.id, "a", b"1"))
        refused(reply, "INSTANCE_NOT_FOUND", naming=[one.id, "not found"])
        await one.is_in(Status.UNKNOWN)


@rule("A connection that never registered an instance may act for it")
async def an_unregistered_connection_may_checkpoint(server: Server) -> None:
    async with server.instance() as one, server.connect() as other:
        await one.on(other).saves("a", b"1")
        await one.finds("a", b"1")


@rule("Run again, it gets back those it has passed, and goes on where it stopped")
async def a_replay_finds_what_was_passed(server: Server) -> None:
    async with server.instance() as one:
        for number in range(10):
            await one.saves(f"step {number}", b"state %d" % number)
        async with server.connect() as restarted:
            again = one.on(restarted)
            await again.register()
            for number in range(10):
                await again.finds(f"step {number}", b"state %d" % number)
            await again.saves("step 10", b"new")


@rule("Nothing pending: the answer carries no signal")
async def no_signal_is_carried_when_none_is_pending(server: Server) -> None:
    async with server.instance() as one:
        for _ in range(2):
            answer = await one.checkpoint("a", b"1")
            carried = (answer.pending_signal, answer.custom_signal)
            same("pending_signal, custom_signal", carried, (None, None))


@rule("Acknowledge before it is durable: never (another connection reads it at once)")
async def what_is_acknowledged_is_read_at_once(server: Server) -> None:
    async with server.instance() as one, server.connect() as other:
        for number in range(20):
            await one.saves(f"step {number}", b"%d" % number)
            kept = await one.on(other).get(f"step {number}")
            same("found, state", (kept.found, kept.state), (True, b"%d" % number))


@extension("`checkpoint_after` saves `preceding` first, unless its id is taken")
async def what_precedes_is_saved_first(server: Server) -> None:
    async with server.instance() as one:
        for name, brought, found in (("a", b"1", False), ("b", b"2", False), ("a", b"3", True)):
            before = PrecedingCheckpoint("first", brought)
            reply = await one.ask(CheckpointRequest(one.id, name, brought, before))
            same("found", answered(reply, CheckpointResponse).found, found)
        await one.finds("first", b"1")
        await one.finds("a", b"1")
        await one.finds("b", b"2")
        same("the pointer", (await one.status()).checkpoint_id, "b")


@extension("`save_together` saves all of `more_preceding` first, in their order")
async def what_is_saved_together_is_in_order(server: Server) -> None:
    async with server.instance() as one:
        await one.saves("b", b"earlier")
        before = tuple(PrecedingCheckpoint(name, name.encode()) for name in "abc")
        for found in (False, True):
            asked = CheckpointRequest(one.id, "last", b"1", more_preceding=before)
            same("found", answered(await one.ask(asked), CheckpointResponse).found, found)
        names = [entry.checkpoint_id for entry in (await page(one)).checkpoints]
        same("the checkpoints", names, ["b", "a", "c", "last"])
        await one.finds("b", b"earlier")
        same("the pointer", (await one.status()).checkpoint_id, "last")


@extension("`save_together` with a bad checkpoint saves none")
async def of_what_is_refused_together_nothing_is_saved(server: Server) -> None:
    async with server.instance() as one:
        for before in ([("a", b""), ("", b"")], [("a", b""), ("a", b"")], [("a", b""), ("z", b"")]):
            asked = CheckpointRequest(
                one.id, "z", more_preceding=tuple(PrecedingCheckpoint(*each) for each in before)
            )
            refused(await one.ask(asked), "VALIDATION_ERROR")
        same("found", (await one.get("a")).found, False)
