"""StartChild, and the signal that a parent gets when a child has ended."""

import asyncio
import json
from base64 import b64decode
from collections.abc import Sequence
from datetime import datetime

from runtara_conformance.expect import answered, eventually, expect, refused, same, within
from runtara_conformance.messages import (
    CancelChildRequest,
    CancelChildResponse,
    ChildToStart,
    InstanceEvent,
    InstanceEventBatch,
    PrecedingCheckpoint,
    SignalType,
    SleepRequest,
    StartChildrenRequest,
    StartChildrenResponse,
    StartChildRequest,
    StartChildResponse,
    Status,
    StoredCheckpoint,
)
from runtara_conformance.messages import EventType as Kind
from runtara_conformance.rule import Noun, Tier
from runtara_conformance.subject import Instance, Server, fresh

rule = Noun("children", Tier.CORE)

HEARD = 5.0
INLINE = 64 * 1024


async def started(parent: Instance, child: Instance, workflow: str = "w") -> bool:
    """Start a child, and return whether it was created."""
    request = StartChildRequest(parent.id, child.id, workflow, b"17")
    return answered(await parent.ask(request), StartChildResponse).created


async def told(parent: Instance, child: Instance) -> dict[str, str | None]:
    """Wait for the signal of a child's ending, and read it."""
    poll = parent.poll(f"~child/{child.id}", wait_ms=10_000)
    signal = (await within(HEARD, "the signal of a child's ending", poll)).custom_signal
    assert signal is not None, "a poll that waits ends with something to say or after its time"
    found: dict[str, str | None] = json.loads(signal.payload)
    return found


@rule("StartChild lets a run create a PENDING child of its own instance, with an input")
async def a_child_is_created(server: Server) -> None:
    async with server.instance() as parent, server.connect() as other:
        child = Instance(other, fresh("child"), parent.tenant)
        same("created", await started(parent, child), True)
        await child.is_in(Status.PENDING)
        same("the input", (await child.register()).input, b"17")
        await child.is_in(Status.RUNNING)


@rule("the same again is the same child")
async def a_child_is_created_once(server: Server) -> None:
    async with server.instance() as parent, server.connect() as other:
        child = Instance(other, fresh("child"), parent.tenant)
        same("created", [await started(parent, child) for _ in range(2)], [True, False])
        await child.register()
        await child.complete()
        same("created, when it has ended", await started(parent, child), False)
        await child.is_in(Status.COMPLETED)


@rule("another child under the same id: `INSTANCE_ALREADY_EXISTS`, naming what differs")
async def another_child_is_refused(server: Server) -> None:
    async with server.instance() as parent, server.instance() as stranger:
        child = Instance(parent.connection, fresh("child"), parent.tenant)
        await started(parent, child)
        asked = StartChildRequest(parent.id, child.id, "another", b"17")
        refused(await parent.ask(asked), "INSTANCE_ALREADY_EXISTS", naming=[child.id, "workflow"])
        asked = StartChildRequest(parent.id, child.id, "w", b"18")
        refused(await parent.ask(asked), "INSTANCE_ALREADY_EXISTS", naming=[child.id, "input"])
        for parents, of in ((stranger, child), (parent, stranger)):
            asked = StartChildRequest(parents.id, of.id, "w", b"17")
            refused(await parents.ask(asked), "INSTANCE_ALREADY_EXISTS", naming=[of.id])


@rule("CancelChild sends a cancel to a child of the caller's own; to one that has ended, nothing")
async def a_parent_cancels_its_child(server: Server) -> None:
    async with server.instance() as parent, server.instance() as stranger, server.connect() as on:
        child, pending = (Instance(on, fresh("child"), parent.tenant) for _ in range(2))
        for each in (child, pending):
            await started(parent, each)
        await child.register()
        for told in (child, child, pending):
            asked = CancelChildRequest(parent.id, told.id)
            same("sent", answered(await parent.ask(asked), CancelChildResponse).sent, True)
        signal = (await child.poll()).signal
        expect("a cancel", signal is not None and signal.signal_type == SignalType.CANCEL, signal)
        await pending.is_in(Status.CANCELLED)
        asked = CancelChildRequest(parent.id, pending.id)
        same("sent", answered(await parent.ask(asked), CancelChildResponse).sent, False)
        for caller, target in ((stranger, child), (parent, stranger)):
            asked = CancelChildRequest(caller.id, target.id)
            refused(await caller.ask(asked), "INSTANCE_NOT_FOUND", naming=[target.id])


@rule("StartChild needs RUNNING or asleep, and is fenced by the run")
async def a_parent_must_be_at_work(server: Server) -> None:
    async with server.unborn() as parent, server.connect() as newer:
        asked = StartChildRequest(parent.id, fresh("child"), "w")
        refused(await parent.ask(asked), "INSTANCE_NOT_FOUND", naming=[parent.id])
        await parent.register()
        await parent.on(newer).register()
        refused(await parent.ask(asked), "INSTANCE_SUPERSEDED")
        await parent.on(newer).complete()
        refused(await parent.on(newer).ask(asked), "INVALID_INSTANCE_STATE", naming=["completed"])
        child = Instance(newer, asked.child_id, parent.tenant)
        await child.is_in(Status.UNKNOWN)


def together(
    parent: Instance, children: Sequence[str], *checkpoints: tuple[str, bytes]
) -> StartChildrenRequest:
    """Ask for children of one workflow and input, and for checkpoints of their parent."""
    return StartChildrenRequest(
        parent.id,
        tuple(ChildToStart(child, "w", b"17") for child in children),
        tuple(PrecedingCheckpoint(*each) for each in checkpoints),
    )


@rule("StartChildren creates children and saves checkpoints; the first state of an id stands")
async def children_are_started_together(server: Server) -> None:
    async with server.instance() as parent, server.connect() as other:
        children = [Instance(other, fresh("child"), parent.tenant) for _ in range(3)]
        await started(parent, children[0])
        await parent.saves("first", b"mine")
        ids = [child.id for child in children]
        asked = together(parent, ids, ("first", b"f"), ("second", b"s"))
        for new, found in (((False, True, True), None), ((False,) * 3, b"s")):
            answer = answered(await parent.ask(asked), StartChildrenResponse)
            same("created", tuple(one.created for one in answer.children), new)
            second = StoredCheckpoint(found is not None, found)
            same("checkpoints", answer.checkpoints, (StoredCheckpoint(True, b"mine"), second))
        same("the pointer", (await parent.status()).checkpoint_id, "second")
        for child in children:
            same("the input", (await child.register()).input, b"17")


@rule("StartChildren is all or nothing: if one id is taken, nothing is stored; it is named")
async def one_that_is_taken_refuses_all(server: Server) -> None:
    async with server.instance() as parent, server.instance() as stranger:
        child = Instance(parent.connection, fresh("child"), parent.tenant)
        asked = together(parent, [child.id, stranger.id], ("first", b"f"))
        refused(await parent.ask(asked), "INSTANCE_ALREADY_EXISTS", naming=[stranger.id])
        await child.is_in(Status.UNKNOWN)
        same("the checkpoint", (await parent.get("first")).found, False)


@rule("StartChildren takes 1 to 100 children and at most 1,000 checkpoints, each id once")
async def children_together_are_checked(server: Server) -> None:
    async with server.instance() as parent:
        many = [fresh("child") for _ in range(101)]
        states = [(f"step {number}", b"1") for number in range(1001)]
        for bad in (
            together(parent, []),
            together(parent, many),
            together(parent, many[:1] * 2),
            together(parent, many[:1], *states),
            together(parent, many[:1], *states[:1] * 2),
        ):
            refused(await parent.ask(bad), "VALIDATION_ERROR")
        child = Instance(parent.connection, many[0], parent.tenant)
        await child.is_in(Status.UNKNOWN)


@rule("child_id and workflow: 1 to 1024 bytes without NUL, child_id less the room of `~child/`")
async def a_childs_fields_are_checked(server: Server) -> None:
    async with server.instance() as parent:
        for bad in ("", "x" * 1018, "a\0b"):
            asked = StartChildRequest(parent.id, bad, "w")
            refused(await parent.ask(asked), "VALIDATION_ERROR", naming=["child_id"])
        for bad in ("", "x" * 1025, "a\0b"):
            asked = StartChildRequest(parent.id, fresh("child"), bad)
            refused(await parent.ask(asked), "VALIDATION_ERROR", naming=["workflow"])


@rule("a child that completes or fails: its parent hears under `~child/<child id>`, as JSON")
async def a_parent_hears_of_an_ending(server: Server) -> None:
    async with server.instance() as parent, server.connect() as other:
        good, bad = (Instance(other, fresh("child"), parent.tenant) for _ in range(2))
        for child in (good, bad):
            await started(parent, child)
            await child.register()
        hearing = asyncio.create_task(told(parent, good))
        await good.complete(b"\x00out\xff")
        heard = await hearing
        same("status, error", (heard["status"], heard["error"]), ("completed", None))
        same("the output, in base64", b64decode(heard["output"] or ""), b"\x00out\xff")
        await bad.fail(b"it broke")
        heard = await told(parent, bad)
        same("status, error", (heard["status"], heard["error"]), ("failed", "it broke"))
        same("the output", heard["output"], None)


@rule("an output above 64 KiB is left out: the child's status has it")
async def a_large_output_is_left_out(server: Server) -> None:
    async with server.instance() as parent, server.connect() as other:
        for size, is_told in ((INLINE, True), (INLINE + 1, False)):
            child = Instance(other, fresh("child"), parent.tenant)
            await started(parent, child)
            await child.register()
            await child.complete(size * b"x")
            heard = await told(parent, child)
            same(f"an output of {size} bytes is told", "output" in heard, is_told)


@rule("whatever ends a child, also in a batch, its parent hears of it")
async def endings_in_a_batch_are_heard(server: Server) -> None:
    async with server.instance() as parent, server.connect() as other:
        children = [Instance(other, fresh("child"), parent.tenant) for _ in range(8)]
        for child in children:
            await started(parent, child)
            await child.register()
        events = [InstanceEvent(each.id, Kind.COMPLETED, payload=b"1") for each in children]
        await other.request(InstanceEventBatch((*events, InstanceEvent(parent.id, Kind.CUSTOM))))
        heard = await asyncio.gather(*(told(parent, child) for child in children))
        same("statuses", [each["status"] for each in heard], ["completed"] * len(children))


@rule("a cancel that a child acknowledges, by either of its two ways, is heard", database=True)
async def a_cancelled_child_is_heard(server: Server) -> None:
    async with server.instance() as parent, server.connect() as other:
        one, two = (Instance(other, fresh("child"), parent.tenant) for _ in range(2))
        for child in (one, two):
            await started(parent, child)
            await child.register()
            await server.database.put_signal(child.id, "cancel")
        await one.acknowledge(SignalType.CANCEL)
        await two.suspend()
        for child in (one, two):
            same("the status", (await told(parent, child))["status"], "cancelled")


@rule("the signal of a child's ending makes a sleeping parent due at once", database=True)
async def a_sleeping_parent_is_due(server: Server) -> None:
    async with server.instance() as parent, server.connect() as other:
        child = Instance(other, fresh("child"), parent.tenant)
        await started(parent, child)
        await child.register()
        async with server.connect() as leaving:
            leaving.start(SleepRequest(parent.id, 3_600_000, "nap"))
            before = await eventually(HEARD, "asleep", lambda: sleep_until(server, parent))
        await child.complete()
        after = await sleep_until(server, parent)
        expect("earlier than before", after is not None and after < before, (before, after))


async def sleep_until(server: Server, one: Instance) -> datetime | None:
    """Read until when an instance sleeps."""
    found = (await server.database.instance(one.id))["sleep_until"]
    return found if isinstance(found, datetime) else None


@rule("a parent that has ended hears nothing; the child's ending stands")
async def an_ending_stands_without_a_parent(server: Server) -> None:
    async with server.instance() as parent, server.connect() as other:
        child = Instance(other, fresh("child"), parent.tenant)
        await started(parent, child)
        await parent.complete()
        await child.register()
        await child.complete()
        await child.is_in(Status.COMPLETED)
        expect("nothing", not (await parent.poll(f"~child/{child.id}")).custom_signal, "a signal")
