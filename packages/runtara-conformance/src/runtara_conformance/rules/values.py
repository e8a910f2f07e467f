"""Values: the form and the length of ids."""

from collections.abc import Callable

from runtara_conformance.expect import answered, expect, refused, same, unregistered
from runtara_conformance.message import Message
from runtara_conformance.messages import (
    CheckpointRequest,
    EventType,
    GetCheckpointRequest,
    GetInstanceStatusRequest,
    InstanceEvent,
    RegisterInstanceRequest,
    RegisterInstanceResponse,
    RpcError,
    Status,
)
from runtara_conformance.rule import Noun, Pace, Tier
from runtara_conformance.subject import Instance, Server, fresh

rule = Noun("values", Tier.SLICE)

LONGEST = 1024
TOO_LONG = (LONGEST + 1) * "x"
TOO_LONG_IN_BYTES = (LONGEST // 2 + 1) * "é"
BAD = {"empty": "", "1025 bytes": TOO_LONG, "1026 bytes": TOO_LONG_IN_BYTES, "NUL": "a\0b"}
LARGEST_STATE = 63 * 1024 * 1024

BY_INSTANCE: list[Callable[[str], Message]] = [
    lambda instance: CheckpointRequest(instance, "a"),
    lambda instance: GetCheckpointRequest(instance, "a"),
    lambda instance: InstanceEvent(instance, EventType.HEARTBEAT),
    lambda instance: InstanceEvent(instance, EventType.CUSTOM, subtype="s"),
    lambda instance: GetInstanceStatusRequest(instance),
]


@rule("instance_id: 1 to 1024 bytes without NUL, else `VALIDATION_ERROR`, naming the field")
async def a_bad_instance_id_is_refused_everywhere(server: Server) -> None:
    async with server.connect() as connection:
        for build in BY_INSTANCE:
            for bad in BAD.values():
                reply = await connection.request(build(bad))
                refused(reply, "VALIDATION_ERROR", naming=["instance_id"])


@rule("checkpoint_id: 1 to 1024 bytes without NUL, else `VALIDATION_ERROR`, naming the field")
async def a_bad_checkpoint_id_is_refused_everywhere(server: Server) -> None:
    async with server.instance() as one:
        for bad in BAD.values():
            for request in (
                CheckpointRequest(one.id, bad, b"1"),
                GetCheckpointRequest(one.id, bad),
                InstanceEvent(one.id, EventType.CUSTOM, checkpoint_id=bad),
            ):
                reply = await one.ask(request)
                refused(reply, "VALIDATION_ERROR", naming=["checkpoint_id"])


@rule("a registration's ids: 1 to 1024 bytes without NUL; refused in its own response")
async def a_bad_id_is_refused_in_a_registration(server: Server) -> None:
    async with server.connect() as connection:
        for bad in BAD.values():
            for field, request in (
                ("instance_id", RegisterInstanceRequest(bad, "t")),
                ("tenant_id", RegisterInstanceRequest(fresh(), bad)),
                ("checkpoint_id", RegisterInstanceRequest(fresh(), "t", bad)),
            ):
                reply = await connection.request(request)
                unregistered(reply, "VALIDATION_ERROR", naming=[field])


@rule("naming the field, what it got and what it takes (the limit)")
async def a_refusal_names_the_limit(server: Server) -> None:
    async with server.instance() as one:
        reply = await one.ask(CheckpointRequest(one.id, TOO_LONG))
        refused(reply, "VALIDATION_ERROR", naming=["checkpoint_id", "1024", "1025"])


@rule("1 to 1024 bytes: 1024 are allowed, in every id")
async def the_longest_ids_are_allowed(server: Server) -> None:
    async with server.connect() as connection:
        for letter in ("x", "é"):
            start = fresh()
            rest = LONGEST - len(start)
            instance = start + letter * (rest // len(letter.encode()))
            instance = instance.ljust(LONGEST - len(instance.encode()) + len(instance), "x")
            one = Instance(connection, instance, instance.replace("instance", "theowner"))
            await one.register()
            await one.saves(letter * (LONGEST // len(letter.encode())), b"1")
            await one.is_in(Status.RUNNING)


@rule("1 to 1024 bytes: one is allowed")
async def the_shortest_ids_are_allowed(server: Server) -> None:
    async with server.connect() as connection:
        registered = RegisterInstanceRequest(fresh(), "t")
        answer = answered(await connection.request(registered), RegisterInstanceResponse)
        expect("a registration that succeeds", answer.success, answer)
        one = Instance(connection, registered.instance_id, "t")
        await one.saves("c", b"1")


@rule("opaque otherwise: nothing in an id means anything, nothing is trimmed or folded")
async def ids_are_opaque(server: Server) -> None:
    async with server.instance() as one:
        twins = ["a", "A", " a", "a ", "é", "e\u0301", "a%", "a_", "a'; --", "\n", "::", "a/b", "*"]
        for number, twin in enumerate(twins):
            await one.saves(twin, b"state %d" % number)
        for number, twin in enumerate(twins):
            await one.finds(twin, b"state %d" % number)


@rule("a checkpoint_id ending in `::retry::` and digits is refused where one is saved")
async def the_ids_of_retries_cannot_be_saved(server: Server) -> None:
    async with server.instance() as one:
        for taken in ("a::retry::7", "::retry::0", "a::retry::1::retry::22"):
            reply = await one.ask(CheckpointRequest(one.id, taken, b"1"))
            refused(reply, "VALIDATION_ERROR", naming=["checkpoint_id"])
            same("found afterwards", (await one.get(taken)).found, False)


@rule("ending in `::retry::` and digits: any other end is allowed")
async def ids_that_only_look_like_retries_are_allowed(server: Server) -> None:
    async with server.instance() as one:
        for free in ("a::retry::", "a::retry::7b", "a::retry::7 ", "a:retry:7", "retry::7"):
            await one.saves(free, b"1")


@rule("States are any bytes")
async def states_are_any_bytes(server: Server) -> None:
    async with server.instance() as one:
        for number, state in enumerate((bytes(range(256)), b"\0", b"\xff\xfe", b"x" * 1_000_000)):
            await one.saves(f"step {number}", state)
            same("read", (await one.get(f"step {number}")).state == state, True)
            await one.finds(f"step {number}", state)


@rule("States: at most 63 MiB, so that every answer fits a frame", pace=Pace.HEAVY)
async def the_largest_state_is_kept(server: Server) -> None:
    async with server.instance() as one:
        state = LARGEST_STATE * b"s"
        await one.saves("large", state)
        answer = await one.get("large")
        came = (answer.found, len(answer.state), answer.state == state)
        same("found, length, the same bytes", came, (True, LARGEST_STATE, True))


@rule("States: at most 63 MiB, else `VALIDATION_ERROR`, naming the field", pace=Pace.HEAVY)
async def a_larger_state_is_refused(server: Server) -> None:
    async with server.instance() as one:
        state = (LARGEST_STATE + 1) * b"s"
        reply = await one.ask(CheckpointRequest(one.id, "large", state))
        refused(reply, "VALIDATION_ERROR", naming=["state"])
        same("found afterwards", (await one.get("large")).found, False)


@rule("Outputs: at most 63 MiB, else `VALIDATION_ERROR`, naming the field", pace=Pace.HEAVY)
async def a_larger_output_is_refused(server: Server) -> None:
    async with server.instance() as one:
        output = (LARGEST_STATE + 1) * b"o"
        reply = await one.ask(InstanceEvent(one.id, EventType.COMPLETED, payload=output))
        refused(reply, "VALIDATION_ERROR")
        await one.is_in(Status.RUNNING)


@rule("A refused value leaves nothing behind")
async def a_refused_value_moves_nothing(server: Server) -> None:
    async with server.instance() as one:
        await one.saves("a", b"1")
        for request in (
            CheckpointRequest(one.id, "", b"2"),
            InstanceEvent(one.id, EventType.COMPLETED, checkpoint_id="\0"),
        ):
            answered(await one.ask(request), RpcError)
        status = await one.is_in(Status.RUNNING)
        same("the pointer", status.checkpoint_id, "a")
