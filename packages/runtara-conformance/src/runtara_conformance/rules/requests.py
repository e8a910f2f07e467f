"""The envelope: the operations in the oneof, and unknown ones of newer clients."""

from runtara_conformance import envelope, frame, protobuf
from runtara_conformance.client import Connection, Reply, Reset
from runtara_conformance.expect import CODES, answered, expect, refused, same
from runtara_conformance.messages import (
    CheckpointRequest,
    EventType,
    GetCheckpointRequest,
    GetInstanceStatusRequest,
    GetInstanceStatusResponse,
    InstanceEvent,
    InstanceEventResponse,
    RegisterInstanceRequest,
    RegisterInstanceResponse,
    RpcError,
    Status,
)
from runtara_conformance.protobuf import Field, Fixed
from runtara_conformance.rule import Noun, Tier
from runtara_conformance.subject import Server, fresh

rule = Noun("requests", Tier.SLICE)

FUTURE: tuple[Field, ...] = (
    (900, 7),
    (901, b"text"),
    (902, Fixed(b"\x01" * 4)),
    (903, Fixed(b"\x02" * 8)),
)


async def sent(connection: Connection, fields: list[Field]) -> Reply:
    """Send an RpcRequest with these fields, valid or not."""
    stream = connection.raw_stream()
    stream.write(frame.encode(protobuf.encode(fields)), end=True)
    return await stream.reply()


@rule("A request with nothing in its oneof: `RpcError` `EMPTY_REQUEST`")
async def an_empty_request_is_refused(server: Server) -> None:
    async with server.connect() as connection:
        refused(await sent(connection, []), "EMPTY_REQUEST")


@rule("(or a field from the future): `RpcError` `EMPTY_REQUEST`")
async def a_request_from_the_future_is_refused(server: Server) -> None:
    async with server.connect() as connection:
        for number in (2, 3, 13, 99, 500, 100_000):
            refused(await sent(connection, [(number, b"\x0a\x01x")]), "EMPTY_REQUEST")


@rule("A field of the future beside one we know is passed over")
async def unknown_fields_of_the_request_are_passed_over(server: Server) -> None:
    async with server.connect() as connection:
        question = GetInstanceStatusRequest(fresh())
        number = envelope.REQUESTS[GetInstanceStatusRequest]
        reply = await sent(connection, [*FUTURE, (number, question.encode()), (950, b"")])
        answered(reply, GetInstanceStatusResponse)


@rule("optional fields a server doesn't know are invisible: they are passed over")
async def unknown_fields_of_a_message_are_passed_over(server: Server) -> None:
    async with server.connect() as connection:
        instance, tenant = fresh(), fresh("tenant")
        registered = RegisterInstanceRequest(instance, tenant, unknown=FUTURE)
        answer = answered(await connection.request(registered), RegisterInstanceResponse)
        expect("a registration that succeeds", answer.success, answer)
        asked = GetInstanceStatusRequest(instance, unknown=FUTURE)
        status = answered(await connection.request(asked), GetInstanceStatusResponse)
        same("its status", status.status, Status.RUNNING)


@rule("An enum number we don't know is refused, never taken for the first (a heartbeat)")
async def unknown_event_types_are_refused(server: Server) -> None:
    async with server.instance() as one:
        for number in (6, 99, 2**31 - 1, -1):
            reply = await one.ask(InstanceEvent(one.id, number))
            refused(reply, "VALIDATION_ERROR", naming=[str(number)])
        await one.is_in(Status.RUNNING)


@rule("(1 is taken, unused): refused as a number that isn't listed")
async def the_unused_event_type_is_refused(server: Server) -> None:
    async with server.instance() as one:
        refused(await one.ask(InstanceEvent(one.id, 1)), "VALIDATION_ERROR")


@rule("event_type 0 is a heartbeat, and left out on the wire: it is taken as one")
async def an_event_without_a_type_is_a_heartbeat(server: Server) -> None:
    async with server.instance() as one:
        same("what is written", InstanceEvent("i").encode(), b"\x0a\x01i")
        answered(await one.ask(InstanceEvent(one.id)), InstanceEventResponse)


@rule("Codes: the error's code is one of those listed, its message is for a person")
async def errors_have_a_known_code_and_words(server: Server) -> None:
    async with server.connect() as connection:
        for request in (
            CheckpointRequest(fresh(), "a", b""),
            CheckpointRequest("", "a", b""),
            InstanceEvent(fresh(), EventType.COMPLETED),
            GetCheckpointRequest("", ""),
        ):
            error = answered(await connection.request(request), RpcError)
            expect("a listed code", error.code in CODES, error)
            expect("words", " " in error.message.strip(), error)


@rule("a string that is no UTF-8: broken off as unparseable, or `VALIDATION_ERROR`")
async def a_string_that_is_no_utf8_is_refused(server: Server) -> None:
    async with server.instance() as one:
        bad = protobuf.encode([(1, one.id.encode()), (2, b"\xff\xfe"), (3, b"state")])
        stream = one.connection.raw_stream()
        stream.write(frame.encode(protobuf.encode([(8, bad)])), end=True)
        ending = await stream.ended()
        if ending != Reset(1):
            refused(await stream.reply(), "VALIDATION_ERROR")
        await one.is_in(Status.RUNNING)
