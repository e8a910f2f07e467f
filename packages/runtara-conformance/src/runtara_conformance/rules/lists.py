"""ListCheckpoints: a page of an instance's checkpoints, in order of saving."""

from runtara_conformance.client import EmptyEnd
from runtara_conformance.expect import answered, expect, refused, same
from runtara_conformance.messages import (
    ListCheckpointsRequest,
    ListCheckpointsResponse,
    RegisterInstanceRequest,
    RegisterInstanceResponse,
    RetryAttemptEvent,
    Status,
)
from runtara_conformance.rule import Noun, Tier
from runtara_conformance.subject import Instance, Server

rule = Noun("lists", Tier.CORE)

INLINE = 64 * 1024


async def page(one: Instance, after_id: int = 0, limit: int = 0) -> ListCheckpointsResponse:
    """Ask for one page."""
    request = ListCheckpointsRequest(one.id, after_id, limit)
    return answered(await one.ask(request), ListCheckpointsResponse)


@rule("a page of an instance's checkpoints in order of saving, with their states")
async def checkpoints_are_listed_in_order(server: Server) -> None:
    async with server.instance() as one, server.instance() as other:
        for name in ("b", "a", "c"):
            await one.saves(name, name.encode())
            await other.saves(name, b"other's")
        listed = await page(one)
        kept = [(each.checkpoint_id, each.state) for each in listed.checkpoints]
        same("ids, states", kept, [("b", b"b"), ("a", b"a"), ("c", b"c")])
        expect("times", all(each.created_at_ms > 0 for each in listed.checkpoints), listed)
        same("next_id", listed.next_id, None)


@rule("an instance without checkpoints has an empty page")
async def an_empty_list(server: Server) -> None:
    async with server.instance() as one:
        same("the page", await page(one), ListCheckpointsResponse())


@rule("2 next_id: the next page's after_id, absent on the last page")
async def pages_follow_each_other(server: Server) -> None:
    async with server.instance() as one:
        saved = [f"step {number}" for number in range(7)]
        for name in saved:
            await one.saves(name, b"1")
        listed: list[str] = []
        after: int | None = 0
        while after is not None:
            part = await page(one, after, 3)
            expect("at most 3", 1 <= len(part.checkpoints) <= 3, len(part.checkpoints))
            listed += [each.checkpoint_id for each in part.checkpoints]
            after = part.next_id
        same("all pages together", listed, saved)


@rule("limit 0 = 100")
async def the_default_limit_is_a_hundred(server: Server) -> None:
    async with server.instance() as one:
        for number in range(103):
            await one.saves(f"step {number}", b"1")
        first = await page(one)
        same("on the first page", len(first.checkpoints), 100)
        second = await page(one, first.next_id or 0)
        same("on the second page", len(second.checkpoints), 3)


@rule("state opt bytes (absent above 64 KiB)")
async def large_states_are_left_out(server: Server) -> None:
    async with server.instance() as one:
        await one.saves("empty", b"")
        await one.saves("just", INLINE * b"x")
        await one.saves("above", (INLINE + 1) * b"x")
        states = {each.checkpoint_id: each.state for each in (await page(one)).checkpoints}
        same("an empty one", states["empty"], b"")
        same("one of 64 KiB is whole", states["just"] == INLINE * b"x", True)
        same("one above is absent", states["above"] is None, True)


@rule("and the attempts recorded for them; an attempt is no checkpoint here")
async def attempts_are_counted(server: Server) -> None:
    async with server.instance() as one:
        await one.saves("a", b"1")
        await one.saves("b", b"2")
        for number in (1, 2, 2):
            attempt = RetryAttemptEvent(one.id, "a", number, 0, "it broke")
            same("the answer", await one.ask(attempt), EmptyEnd())
        listed = (await page(one)).checkpoints
        same("ids", [each.checkpoint_id for each in listed], ["a", "b"])
        same("failed_attempts", [each.failed_attempts for each in listed], [2, 0])
        present = [each.last_attempt_ms is not None for each in listed]
        same("last_attempt_ms present", present, [True, False])


@rule("6 wake_at_ms: the deadline of a sleep, absent without one")
async def deadlines_are_listed(server: Server) -> None:
    async with server.instance() as one:
        await one.saves("a", b"1")
        await one.sleep("nap", 50)
        plain, nap = (await page(one)).checkpoints
        same("without a deadline", plain.wake_at_ms, None)
        wake = nap.wake_at_ms or 0
        expect("a deadline after it was saved", wake >= nap.created_at_ms > 0, nap)


@rule("ListCheckpoints reads in any state, as GetCheckpoint does")
async def a_finished_instance_is_listed(server: Server) -> None:
    async with server.instance() as one:
        await one.saves("a", b"1")
        await one.complete()
        same("ids", [each.checkpoint_id for each in (await page(one)).checkpoints], ["a"])
        await one.is_in(Status.COMPLETED)


@rule("instance_id: 1 to 1024 bytes without NUL, else `VALIDATION_ERROR`")
async def a_lists_id_is_checked(server: Server) -> None:
    async with server.connect() as connection:
        for bad in ("", "x" * 1025, "a\0b"):
            reply = await connection.request(ListCheckpointsRequest(bad))
            refused(reply, "VALIDATION_ERROR", naming=["instance_id"])


@rule("look: a registration answers what was saved, too, unless that is large")
async def a_registration_looks(server: Server) -> None:
    async with server.instance() as one:
        asked = RegisterInstanceRequest(one.id, one.tenant, look=True)
        first = answered(await one.ask(asked), RegisterInstanceResponse)
        same("of none", first.checkpoints, ListCheckpointsResponse())
        await one.saves("a", b"1")
        again = answered(await one.ask(asked), RegisterInstanceResponse)
        same("of one", again.checkpoints, await page(one))
        await one.saves("large", INLINE * b"x")
        large = answered(await one.ask(asked), RegisterInstanceResponse)
        same("where one is large", large.checkpoints, None)
        same("unless it is asked for", (await one.register()).checkpoints, None)
