"""What the server refuses or garbles, and the error each becomes."""

from collections.abc import Callable

import pytest
from tests.sdk.fake_server import Act, FakeServer, refuse, reply, send

from runtara_protocol.frame import MAX_PAYLOAD, MessageType, encode
from runtara_protocol.pb.instance_pb2 import (
    GetInstanceStatusResponse,
    InstanceEventResponse,
    RegisterInstanceResponse,
    RpcResponse,
)
from runtara_sdk import (
    CheckpointNotFound,
    CheckpointSaveFailed,
    Client,
    DatabaseFailed,
    InstanceAlreadyExists,
    InstanceNotFound,
    InstanceSuperseded,
    InternalServerError,
    InvalidInstanceState,
    Overloaded,
    ProtocolError,
    RequestNotKnown,
    ServerError,
    Settings,
    ShuttingDown,
    SignalDeliveryFailed,
    TooManyInstances,
    ValidationFailed,
)

CODES: dict[str, type[ServerError]] = {
    "EMPTY_REQUEST": RequestNotKnown,
    "VALIDATION_ERROR": ValidationFailed,
    "INSTANCE_NOT_FOUND": InstanceNotFound,
    "INSTANCE_ALREADY_EXISTS": InstanceAlreadyExists,
    "INVALID_INSTANCE_STATE": InvalidInstanceState,
    "CHECKPOINT_NOT_FOUND": CheckpointNotFound,
    "CHECKPOINT_SAVE_FAILED": CheckpointSaveFailed,
    "SIGNAL_DELIVERY_FAILED": SignalDeliveryFailed,
    "DATABASE_ERROR": DatabaseFailed,
    "INSTANCE_SUPERSEDED": InstanceSuperseded,
    "TOO_MANY_INSTANCES": TooManyInstances,
    "SHUTTING_DOWN": ShuttingDown,
    "OVERLOADED": Overloaded,
    "INTERNAL_ERROR": InternalServerError,
}


@pytest.mark.parametrize(("code", "error"), CODES.items())
async def test_every_code_has_its_class(
    server: FakeServer, settings: Callable[..., Settings], code: str, error: type[ServerError]
) -> None:
    """It has the server's message. A repeated refusal is raised when the time is up."""
    server.always("checkpoint", refuse(code, "the reason"))

    # Long enough to be up while the client waits to ask again, and not while it asks.
    async with Client(settings(request_timeout_ms=500)) as client:
        with pytest.raises(error, match=r"^the reason$") as raised:
            await client.checkpoint("step-1", b"")

    assert type(raised.value) is error
    assert raised.value.code == code


async def test_a_code_not_known_keeps_its_name(server: FakeServer, client: Client) -> None:
    """Servers newer than this client may have more of them."""
    server.script("get_checkpoint", refuse("OUT_OF_CHEESE", "no more"))

    with pytest.raises(ServerError, match="no more") as raised:
        await client.get_checkpoint("step-1")

    assert type(raised.value) is ServerError
    assert raised.value.code == "OUT_OF_CHEESE"


@pytest.mark.parametrize(
    ("code", "error"), [("TOO_MANY_INSTANCES", TooManyInstances), (None, ServerError)]
)
async def test_a_refused_registration_says_why(
    server: FakeServer, client: Client, code: str | None, error: type[ServerError]
) -> None:
    """It is refused inside its own answer; old servers give the reason alone."""
    answer = RegisterInstanceResponse(success=False, error="32 are served", code=code)
    server.script("register_instance", reply(RpcResponse(register_instance=answer)))

    with pytest.raises(error, match="32 are served") as raised:
        await client.register()

    assert raised.value.code == (code or "SERVER_ERROR")


async def test_an_event_refused_in_its_own_answer_is_no_success(
    server: FakeServer, client: Client
) -> None:
    """Old servers may answer so."""
    answer = InstanceEventResponse(success=False, error="full")
    server.script("instance_event", reply(RpcResponse(instance_event=answer)))

    with pytest.raises(ServerError, match="full"):
        await client.heartbeat()


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        pytest.param(send(b""), "ended inside a frame", id="empty"),
        pytest.param(send(b"\0\0\0\4\0\2ab"), "ended inside a frame", id="cut"),
        pytest.param(send(encode(MessageType.REQUEST, b"")), "got 1", id="a request"),
        pytest.param(send(encode(MessageType.RESPONSE, b"\xff")), "can't be read", id="junk"),
        pytest.param(
            reply(RpcResponse(get_instance_status=GetInstanceStatusResponse())),
            "answered checkpoint with get_instance_status",
            id="another kind",
        ),
        pytest.param(reply(RpcResponse()), "with an unknown message", id="nothing"),
    ],
)
async def test_a_broken_answer_is_a_protocol_error(
    server: FakeServer, client: Client, act: Act, reason: str
) -> None:
    """It is not asked for again, and the client stays usable."""
    server.script("checkpoint", act)

    with pytest.raises(ProtocolError, match=reason):
        await client.checkpoint("step-1", b"")
    assert server.kinds() == ["checkpoint"]

    await client.checkpoint("step-1", b"")


async def test_what_no_frame_can_carry_is_not_sent(server: FakeServer, client: Client) -> None:
    """The error names the limit before any byte is sent."""
    with pytest.raises(ValidationFailed, match="too large"):
        await client.checkpoint("step-1", bytes(MAX_PAYLOAD + 1))

    assert server.requests == []
