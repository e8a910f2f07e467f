"""Lists of checkpoints, batches of events, retry attempts."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.sdk.fake_server import FakeServer, refuse, reply

from runtara_protocol.pb.instance_pb2 import (
    SIGNAL_PAUSE,
    CheckpointResponse,
    InstanceEvent,
    InstanceEventBatch,
    InstanceEventType,
    ListCheckpointsRequest,
    ListCheckpointsResponse,
    RegisterInstanceResponse,
    RpcResponse,
)
from runtara_protocol.pb.instance_pb2 import CheckpointEntry as WireEntry
from runtara_protocol.pb.instance_pb2 import Signal as WireSignal
from runtara_sdk import (
    CheckpointEntry,
    Client,
    CustomEvent,
    InstanceNotFound,
    InstanceSuperseded,
    ProtocolError,
    RequestNotKnown,
    Signal,
    SignalType,
    ValidationFailed,
)

MOMENT = datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=UTC)
MOMENT_MS = 1_700_000_000_123

ANSWERED_BY_THE_END: dict[str, Callable[[Client], Awaitable[None]]] = {
    "signal_ack": lambda client: client.acknowledge(SignalType.CANCEL),
    "retry_attempt": lambda client: client.record_retry_attempt("step-1", 1),
    "instance_event_batch": lambda client: client.events([]),
}

each_answered_by_the_end = pytest.mark.parametrize(
    ("kind", "call"), ANSWERED_BY_THE_END.items(), ids=ANSWERED_BY_THE_END.keys()
)


def page(*entries: WireEntry, next_id: int | None = None) -> RpcResponse:
    return RpcResponse(
        list_checkpoints=ListCheckpointsResponse(checkpoints=entries, next_id=next_id)
    )


async def test_a_list_goes_over_all_pages(server: FakeServer, client: Client) -> None:
    """Each asked for when the one before it is read, one that is empty too."""
    first = [WireEntry(checkpoint_id=f"step-{n}", state=b"") for n in (1, 2)]
    server.script(
        "list_checkpoints",
        reply(page(*first, next_id=7)),
        reply(page(next_id=9)),
        reply(page(WireEntry(checkpoint_id="step-3"))),
    )

    entries = [(entry.checkpoint_id, entry.state) async for entry in client.list_checkpoints()]

    assert entries == [("step-1", b""), ("step-2", b""), ("step-3", None)]
    assert [request.list_checkpoints for request in server.requests] == [
        ListCheckpointsRequest(instance_id="i-1", after_id=after_id) for after_id in (0, 7, 9)
    ]


async def test_a_list_goes_on_from_what_a_registration_told(
    server: FakeServer, client: Client
) -> None:
    """A server too old for that tells nothing, and all is asked for."""
    told = ListCheckpointsResponse(checkpoints=[WireEntry(checkpoint_id="step-1")], next_id=7)
    signal = WireSignal(signal_type=SIGNAL_PAUSE, payload=b"p")
    answer = RegisterInstanceResponse(success=True, checkpoints=told, pending_signal=signal)
    server.script("register_instance", reply(RpcResponse(register_instance=answer)))
    server.script("list_checkpoints", reply(page(WireEntry(checkpoint_id="step-2"))))

    first = (await client.register(look=True)).saved

    assert first is not None
    assert first.signal == Signal(SignalType.PAUSE, b"p")
    assert [one.checkpoint_id async for one in client.list_checkpoints(first=first)] == [
        "step-1",
        "step-2",
    ]
    assert server.requests[0].register_instance.look
    assert server.requests[1].list_checkpoints.after_id == 7
    assert (await client.register(look=True)).saved is None


async def test_an_entry_brings_what_is_known(server: FakeServer, client: Client) -> None:
    """Times are aware and exact to the millisecond."""
    message = WireEntry(
        checkpoint_id="step-1",
        state=b"s",
        created_at_ms=MOMENT_MS,
        failed_attempts=2,
        last_attempt_ms=MOMENT_MS,
        wake_at_ms=MOMENT_MS,
    )
    server.script("list_checkpoints", reply(page(message)))

    assert [entry async for entry in client.list_checkpoints()] == [
        CheckpointEntry("step-1", b"s", MOMENT, 2, MOMENT, MOMENT)
    ]


async def test_a_server_without_lists_raises_an_error_of_its_own(
    server: FakeServer, client: Client
) -> None:
    """The caller can then read one checkpoint at a time instead."""
    server.script("list_checkpoints", refuse("EMPTY_REQUEST"))

    with pytest.raises(RequestNotKnown):
        await anext(client.list_checkpoints())
    assert await client.get_checkpoint("step-1") is None


async def test_a_batch_is_one_request(server: FakeServer, client: Client) -> None:
    """Its events in their order, each with the time it happened."""
    before = datetime.now(UTC)
    now = CustomEvent("progress", b"half")
    await client.events([CustomEvent("begun", happened_at=MOMENT), now])
    after = datetime.now(UTC)

    assert before <= now.happened_at <= after
    assert [request.instance_event_batch for request in server.requests] == [
        InstanceEventBatch(
            events=[
                InstanceEvent(
                    instance_id="i-1",
                    event_type=InstanceEventType.EVENT_CUSTOM,
                    subtype="begun",
                    timestamp_ms=MOMENT_MS,
                ),
                InstanceEvent(
                    instance_id="i-1",
                    event_type=InstanceEventType.EVENT_CUSTOM,
                    subtype="progress",
                    payload=b"half",
                    timestamp_ms=int(now.happened_at.timestamp() * 1000),
                ),
            ]
        )
    ]


async def test_a_retry_attempt_is_recorded(server: FakeServer, client: Client) -> None:
    """The record has the time of the failure, and its reason if that is known."""
    before = datetime.now(UTC)
    await client.record_retry_attempt("step-1", 1)
    await client.record_retry_attempt("step-1", 2**31 - 1, "")
    after = datetime.now(UTC)

    first, last = (request.retry_attempt for request in server.requests)
    failed = datetime.fromtimestamp(first.timestamp_ms / 1000, UTC)
    assert before.replace(microsecond=0) <= failed <= after
    assert (first.instance_id, first.checkpoint_id, first.attempt_number) == ("i-1", "step-1", 1)
    assert not first.HasField("error_message")
    assert (last.attempt_number, last.HasField("error_message")) == (2**31 - 1, True)


@pytest.mark.parametrize("number", [-1, 0, 2**31])
async def test_an_attempt_that_cannot_be_counted_is_refused(
    server: FakeServer, client: Client, number: int
) -> None:
    """The error comes before anything is sent."""
    with pytest.raises(ValidationFailed, match=f"^attempt_number: takes 1 to .* got {number}$"):
        await client.record_retry_attempt("step-1", number)

    assert server.requests == []


@each_answered_by_the_end
async def test_an_end_after_an_error_is_no_success(
    server: FakeServer,
    client: Client,
    kind: str,
    call: Callable[[Client], Awaitable[None]],
) -> None:
    """This holds also for calls whose only answer is the end."""
    server.script(kind, refuse("INSTANCE_NOT_FOUND", "not found"))

    with pytest.raises(InstanceNotFound, match="not found"):
        await call(client)


@each_answered_by_the_end
async def test_another_answer_than_the_end_is_a_protocol_error(
    server: FakeServer,
    client: Client,
    kind: str,
    call: Callable[[Client], Awaitable[None]],
) -> None:
    """The client did not ask for such an answer."""
    server.script(kind, reply(RpcResponse(checkpoint=CheckpointResponse())))

    with pytest.raises(ProtocolError, match=f"answered {kind} with checkpoint"):
        await call(client)


@each_answered_by_the_end
async def test_a_superseded_run_gets_an_error_before_the_end(
    server: FakeServer,
    client: Client,
    kind: str,
    call: Callable[[Client], Awaitable[None]],
) -> None:
    """Every later call raises it without a request."""
    server.script(kind, refuse("INSTANCE_SUPERSEDED", "run 2"))

    with pytest.raises(InstanceSuperseded):
        await call(client)
    with pytest.raises(InstanceSuperseded, match="run 2"):
        await anext(client.list_checkpoints())
    assert server.kinds() == [kind]


async def test_one_pair_before_a_checkpoint_is_refused(server: FakeServer, client: Client) -> None:
    """A former version took one pair; now it belongs into a list."""
    pair: Any = ("step-0", b"1")
    with pytest.raises(ValidationFailed, match=r"^preceding: takes a list of pairs"):
        await client.checkpoint("step-1", b"2", preceding=pair)

    assert server.requests == []
