"""Retry attempts: an audit beside the checkpoints, never one of them."""

from runtara_conformance.client import EmptyEnd
from runtara_conformance.expect import refused, same
from runtara_conformance.messages import RetryAttemptEvent
from runtara_conformance.rule import Noun, Tier
from runtara_conformance.subject import Instance, Server

rule = Noun("retries", Tier.CORE)

MOST = 2**31 - 1


async def retries(one: Instance, number: int, error: str | None = "it broke") -> None:
    """Report an attempt of the step `a`, and expect the empty end."""
    event = RetryAttemptEvent(one.id, "a", number, 0, error)
    same("the answer", await one.ask(event), EmptyEnd())


@rule("RetryAttempt has no response message: an empty end means done")
async def a_retry_is_answered_by_an_empty_end(server: Server) -> None:
    async with server.instance() as one:
        for number, error in ((1, "it broke"), (2, None), (3, ""), (1, "again"), (MOST, "last")):
            await retries(one, number, error)


@rule("It is never a checkpoint to any operation: Checkpoint, GetCheckpoint, the pointer")
async def a_retry_is_no_checkpoint(server: Server) -> None:
    async with server.instance() as one:
        await retries(one, 1)
        same("found", (await one.get("a")).found, False)
        same("found as itself", (await one.get("a::retry::1")).found, False)
        same("the pointer", (await one.status()).checkpoint_id, None)
        await one.saves("a", b"1")
        await retries(one, 2)
        await one.finds("a", b"1")
        same("the pointer", (await one.status()).checkpoint_id, "a")


@rule("`attempt_number` (1 to 2³¹-1), else `VALIDATION_ERROR`, an `RpcError` before the end")
async def a_bad_attempt_number_is_refused(server: Server) -> None:
    async with server.instance() as one:
        for number in (0, 2**31, 2**32 - 1):
            reply = await one.ask(RetryAttemptEvent(one.id, "a", number))
            refused(reply, "VALIDATION_ERROR", naming=["attempt_number"])


@rule("ids: 1 to 1024 bytes without NUL, else `VALIDATION_ERROR`")
async def a_retrys_ids_are_checked(server: Server) -> None:
    async with server.instance() as one:
        for bad in ("", "x" * 1025, "a\0b"):
            reply = await one.ask(RetryAttemptEvent(one.id, bad, 1))
            refused(reply, "VALIDATION_ERROR", naming=["checkpoint_id"])
            reply = await one.ask(RetryAttemptEvent(bad, "a", 1))
            refused(reply, "VALIDATION_ERROR", naming=["instance_id"])


@rule('An unknown instance: `RpcError` before the end, with "not found"')
async def a_retry_of_an_unknown_instance(server: Server) -> None:
    async with server.unborn() as one:
        reply = await one.ask(RetryAttemptEvent(one.id, "a", 1))
        refused(reply, "INSTANCE_NOT_FOUND", naming=[one.id, "not found"])


@rule("an audit row: `is_retry_attempt`, `attempt_number`, `error_message`", database=True)
async def a_retry_is_a_row(server: Server) -> None:
    async with server.instance() as one:
        await retries(one, 7)
        (row,) = await server.database.checkpoints(one.id)
        columns = ("checkpoint_id", "is_retry_attempt", "attempt_number", "error_message")
        kept = tuple(row[column] for column in columns)
        same(", ".join(columns), kept, ("a::retry::7", 1, 7, "it broke"))


@rule("the same attempt again overwrites it", database=True)
async def the_same_attempt_overwrites(server: Server) -> None:
    async with server.instance() as one:
        for number, error in ((1, "first"), (2, "second"), (1, "third")):
            await retries(one, number, error)
        rows = await server.database.checkpoints(one.id)
        kept = {row["attempt_number"]: row["error_message"] for row in rows}
        same("attempts and errors", (len(rows), kept), (2, {1: "third", 2: "second"}))
