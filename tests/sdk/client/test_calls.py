"""Each call: the message it sends, the record it makes of the answer."""

from datetime import UTC, datetime

import pytest
from tests.sdk.fake_server import FakeServer, reply

from runtara_protocol.pb.instance_pb2 import (
    CheckpointRequest,
    CheckpointResponse,
    CustomSignal,
    GetCheckpointRequest,
    GetCheckpointResponse,
    GetInstanceStatusRequest,
    GetInstanceStatusResponse,
    InstanceEvent,
    InstanceEventType,
    RegisterInstanceRequest,
    RegisterInstanceResponse,
    RpcResponse,
)
from runtara_protocol.pb.instance_pb2 import InstanceStatus as WireStatus
from runtara_protocol.pb.instance_pb2 import Signal as WireSignal
from runtara_protocol.pb.instance_pb2 import SignalType as WireSignalType
from runtara_sdk import (
    Checkpoint,
    Client,
    InstanceStatus,
    ProtocolError,
    Registration,
    Signal,
    SignalType,
    Status,
)


def script_registration(server: FakeServer, answer: RegisterInstanceResponse) -> None:
    server.script("register_instance", reply(RpcResponse(register_instance=answer)))


def script_checkpoint(server: FakeServer, answer: CheckpointResponse) -> None:
    server.script("checkpoint", reply(RpcResponse(checkpoint=answer)))


def script_status(server: FakeServer, answer: GetInstanceStatusResponse) -> None:
    server.script("get_instance_status", reply(RpcResponse(get_instance_status=answer)))


async def test_register_begins_a_run_and_brings_the_input(
    server: FakeServer, client: Client
) -> None:
    """The instance and its tenant are named; no run is continued."""
    script_registration(server, RegisterInstanceResponse(success=True, run=3, input=b"in"))

    assert await client.register() == Registration(run=3, input=b"in")
    assert server.requests[0].register_instance == RegisterInstanceRequest(
        instance_id="i-1", tenant_id="t-1"
    )


async def test_register_names_the_checkpoint_it_starts_from(
    server: FakeServer, client: Client
) -> None:
    """It is the server's to verify."""
    await client.register("step-4")

    assert server.requests[0].register_instance.checkpoint_id == "step-4"


async def test_an_old_server_gives_neither_run_nor_input(
    server: FakeServer, client: Client
) -> None:
    """What a server leaves out is None, not zero or empty."""
    script_registration(server, RegisterInstanceResponse(success=True))

    assert await client.register() == Registration(run=None, input=None)


async def test_a_fresh_checkpoint_stands_as_it_was_brought(
    server: FakeServer, client: Client
) -> None:
    """The answer to a fresh one carries no state."""
    assert await client.checkpoint("step-1", b"s") == Checkpoint(found=False, state=b"s")
    assert server.requests[0].checkpoint == CheckpointRequest(
        instance_id="i-1", checkpoint_id="step-1", state=b"s"
    )


async def test_a_found_checkpoint_brings_the_first_state(
    server: FakeServer, client: Client
) -> None:
    """This holds for an empty state, too. The state of the later call is dropped."""
    script_checkpoint(server, CheckpointResponse(found=True, state=b""))

    assert await client.checkpoint("step-1", b"second") == Checkpoint(found=True, state=b"")


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (WireSignalType.SIGNAL_CANCEL, SignalType.CANCEL),
        (WireSignalType.SIGNAL_PAUSE, SignalType.PAUSE),
        (WireSignalType.SIGNAL_RESUME, SignalType.RESUME),
    ],
)
async def test_a_checkpoint_brings_the_pending_signal(
    server: FakeServer, client: Client, number: WireSignalType, word: SignalType
) -> None:
    """The pending signal, and the payload sent to this very checkpoint."""
    script_checkpoint(
        server,
        CheckpointResponse(
            pending_signal=WireSignal(signal_type=number, payload=b"why"),
            custom_signal=CustomSignal(checkpoint_id="step-1", payload=b""),
        ),
    )

    checkpoint = await client.checkpoint("step-1", b"")

    assert checkpoint.signal == Signal(word, b"why")
    assert checkpoint.custom_signal == b""


async def test_a_signal_of_an_unknown_number_is_not_taken_for_another(
    server: FakeServer, client: Client
) -> None:
    """Zero would be a cancel."""
    script_checkpoint(
        server,
        CheckpointResponse(
            # The enum is open on the wire, though its type is not.
            pending_signal=WireSignal(signal_type=9)  # type: ignore[arg-type]
        ),
    )

    with pytest.raises(ProtocolError, match="number 9"):
        await client.checkpoint("step-1", b"")


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (GetCheckpointResponse(found=True, state=b"s"), b"s"),
        (GetCheckpointResponse(found=True, state=b""), b""),
        (GetCheckpointResponse(found=False), None),
    ],
)
async def test_get_checkpoint_distinguishes_an_empty_state_from_none(
    server: FakeServer, client: Client, answer: GetCheckpointResponse, state: bytes | None
) -> None:
    """An empty state is a state."""
    server.script("get_checkpoint", reply(RpcResponse(get_checkpoint=answer)))

    assert await client.get_checkpoint("step-1") == state
    assert server.requests[0].get_checkpoint == GetCheckpointRequest(
        instance_id="i-1", checkpoint_id="step-1"
    )


async def test_events_say_what_happened(server: FakeServer, client: Client) -> None:
    """Each kind with its payload, and the subtype of a custom one."""
    await client.heartbeat()
    await client.custom_event("progress", b"half")
    await client.suspended()
    await client.completed(b"out")
    await client.completed()
    await client.failed("not enough ☂")

    events = [request.instance_event for request in server.requests]
    assert [(event.event_type, event.payload) for event in events] == [
        (InstanceEventType.EVENT_HEARTBEAT, b""),
        (InstanceEventType.EVENT_CUSTOM, b"half"),
        (InstanceEventType.EVENT_SUSPENDED, b""),
        (InstanceEventType.EVENT_COMPLETED, b"out"),
        (InstanceEventType.EVENT_COMPLETED, b""),
        (InstanceEventType.EVENT_FAILED, "not enough ☂".encode()),
    ]
    assert {event.instance_id for event in events} == {"i-1"}
    assert [event.subtype for event in events if event.HasField("subtype")] == ["progress"]


async def test_a_blocked_instance_says_why(server: FakeServer, client: Client) -> None:
    """The server keeps the text. The middle of a long one is left out."""
    await client.suspended(blocked_reason="NondeterminismError: \0other \udcff code")
    await client.suspended(blocked_reason=f"begin {'☂' * 60_000} end")

    short, long = [request.instance_event for request in server.requests]
    assert short.event_type == long.event_type == InstanceEventType.EVENT_SUSPENDED
    assert short.blocked_reason == "NondeterminismError: other \\udcff code"
    assert long.blocked_reason.startswith("begin ☂")
    assert long.blocked_reason.endswith("☂ end")
    assert 60_000 < len(long.blocked_reason.encode()) <= 64 * 1024


async def test_a_failure_is_raised_whatever_its_text(server: FakeServer, client: Client) -> None:
    """What no UTF-8 can say is spelled out: an instance must not stay open for that."""
    await client.failed("no file \udcff")

    assert server.requests[0].instance_event.payload == rb"no file \udcff"


async def test_an_event_bears_the_time_it_happened(server: FakeServer, client: Client) -> None:
    """The time is in milliseconds since 1970."""
    before = datetime.now(UTC)
    await client.heartbeat()
    after = datetime.now(UTC)

    event: InstanceEvent = server.requests[0].instance_event
    happened = datetime.fromtimestamp(event.timestamp_ms / 1000, UTC)
    assert before.replace(microsecond=0) <= happened <= after


@pytest.mark.parametrize(("number", "word"), list(enumerate(InstanceStatus)))
async def test_every_status_has_its_word(
    server: FakeServer, client: Client, number: WireStatus, word: InstanceStatus
) -> None:
    """The numbers are those of the protocol, in order."""
    script_status(server, GetInstanceStatusResponse(instance_id="i-1", status=number))

    assert await client.get_status() == Status(instance_id="i-1", status=word)


async def test_a_status_brings_what_is_known(server: FakeServer, client: Client) -> None:
    """Times are aware and exact to the millisecond."""
    script_status(
        server,
        GetInstanceStatusResponse(
            instance_id="other",
            status=WireStatus.STATUS_FAILED,
            checkpoint_id="step-1",
            started_at_ms=1_700_000_000_123,
            finished_at_ms=1_700_000_001_000,
            output=b"",
            error="broken",
        ),
    )

    assert await client.get_status("other") == Status(
        instance_id="other",
        status=InstanceStatus.FAILED,
        checkpoint_id="step-1",
        started_at=datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=UTC),
        finished_at=datetime(2023, 11, 14, 22, 13, 21, tzinfo=UTC),
        output=b"",
        error="broken",
    )
    assert server.requests[0].get_instance_status == GetInstanceStatusRequest(instance_id="other")


async def test_a_status_of_an_unknown_number_is_not_taken_for_another(
    server: FakeServer, client: Client
) -> None:
    """Zero would be an instance that does not exist."""
    # The enum is open on the wire, though its type is not.
    script_status(server, GetInstanceStatusResponse(status=7))  # type: ignore[arg-type]

    with pytest.raises(ProtocolError, match="number 7"):
        await client.get_status()
