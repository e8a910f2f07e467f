"""A lost connection: the next call opens another, for the same run."""

import asyncio
import gc
import socket
from collections.abc import Callable

import pytest
from tests.sdk.fake_server import (
    Act,
    FakeServer,
    be_silent,
    hang_up,
    refuse,
    reply,
    reset,
)
from tests.sdk.log_watch import LogWatch

from runtara_protocol.pb.instance_pb2 import (
    RegisterInstanceRequest,
    RegisterInstanceResponse,
    RpcResponse,
)
from runtara_protocol.quic.stream import Stream
from runtara_sdk import (
    Client,
    InstanceSuperseded,
    InvalidInstanceState,
    Settings,
    TooManyInstances,
)


def granted(run: int | None) -> Act:
    return reply(RpcResponse(register_instance=RegisterInstanceResponse(success=True, run=run)))


def denied(code: str) -> Act:
    answer = RegisterInstanceResponse(success=False, error="no", code=code)
    return reply(RpcResponse(register_instance=answer))


async def test_a_new_connection_continues_the_run(server: FakeServer, client: Client) -> None:
    """That is the first request on it."""
    server.script("register_instance", granted(7))
    await client.register("step-0")
    server.script("checkpoint", hang_up)

    await client.checkpoint("step-1", b"")

    assert server.kinds() == ["register_instance", "checkpoint"] * 2
    assert server.requests[2].register_instance == RegisterInstanceRequest(
        instance_id="i-1", tenant_id="t-1", continue_run=7
    )


async def test_a_launch_is_named_whenever_its_process_registers(
    server: FakeServer, settings: Callable[..., Settings]
) -> None:
    """A new run also names its workflow; a new connection that continues the run does not."""
    server.script("checkpoint", hang_up)

    async with Client(settings(launch_id="l-1")) as client:
        await client.register(workflow="orders", code_version="2")
        await client.checkpoint("step-1", b"")

    begun, continued = (
        request.register_instance
        for request in server.requests
        if request.HasField("register_instance")
    )
    assert (begun.launch_id, begun.workflow, begun.code_version) == ("l-1", "orders", "2")
    assert (continued.launch_id, continued.continue_run) == ("l-1", 1)
    assert not continued.HasField("workflow")


async def test_a_connection_lost_between_calls_is_opened_by_the_next(
    server: FakeServer, client: Client
) -> None:
    """Any call may be the next; what it asks is asked once the run is continued."""
    await client.register()
    server.hang_up()

    await client.get_status()

    assert server.kinds() == ["register_instance", "register_instance", "get_instance_status"]


async def test_a_connection_known_to_be_lost_is_not_used(
    server: FakeServer, settings: Callable[..., Settings], client: Client
) -> None:
    """Nothing was sent on it: even a custom event goes out on the next."""
    await client.get_status()
    server.hang_up()
    # Another's whole handshake: by then the first has seen its connection closed.
    async with Client(settings()) as other:
        await other.get_status()

    await client.custom_event("progress")

    assert server.kinds()[-1] == "instance_event"


async def test_without_a_run_a_new_connection_registers_nothing(
    server: FakeServer, client: Client
) -> None:
    """An old server would begin a run anew."""
    server.script("register_instance", granted(None))
    await client.register()
    server.script("checkpoint", hang_up)

    await client.checkpoint("step-1", b"")

    assert server.kinds() == ["register_instance", "checkpoint", "checkpoint"]


async def test_calls_at_the_same_time_share_a_reconnect(server: FakeServer, client: Client) -> None:
    """The first to be carried out takes the connection away from all."""
    await client.register()
    server.script("checkpoint", hang_up)

    await asyncio.gather(*(client.checkpoint(f"step-{n}", b"") for n in range(20)))

    assert server.kinds().count("register_instance") == 2
    assert len(server.connections) == 2


async def test_a_registration_whose_answer_is_lost_begins_another_run(
    server: FakeServer, client: Client
) -> None:
    """No process knows the number of the lost run, so it cannot be continued."""
    await client.register()
    server.script("register_instance", hang_up, granted(3))

    registration = await client.register()

    assert registration.run == 3
    assert not any(
        request.register_instance.HasField("continue_run") for request in server.requests
    )


async def test_a_superseded_run_gets_an_error_from_then_on(
    server: FakeServer, client: Client
) -> None:
    """The new connection's registration raises it, and later calls raise it without a request."""
    await client.register()
    server.script("checkpoint", hang_up)
    server.always("register_instance", denied("INSTANCE_SUPERSEDED"))

    with pytest.raises(InstanceSuperseded):
        await client.checkpoint("step-1", b"")
    asked = len(server.requests)
    with pytest.raises(InstanceSuperseded):
        await client.completed()
    assert len(server.requests) == asked


async def test_an_ending_whose_answer_is_lost_is_repeated_to_the_ended_instance(
    server: FakeServer, client: Client
) -> None:
    """The run cannot be continued any more; the same ending once more is a success."""
    await client.register()
    server.script("instance_event", hang_up)
    server.always("register_instance", denied("INVALID_INSTANCE_STATE"))

    await client.completed(b"out")

    assert server.kinds()[-1] == "instance_event"


async def test_an_ended_instance_can_still_be_read(server: FakeServer, client: Client) -> None:
    """What it may not do any more, the server says to each call."""
    await client.register()
    server.script("get_checkpoint", hang_up)
    server.script("checkpoint", refuse("INVALID_INSTANCE_STATE"))
    server.always("register_instance", denied("INVALID_INSTANCE_STATE"))

    assert await client.get_checkpoint("step-1") is None
    with pytest.raises(InvalidInstanceState):
        await client.checkpoint("step-2", b"")


async def test_a_run_that_is_not_taken_back_fails_the_call(
    server: FakeServer, client: Client
) -> None:
    """Its connection is closed; the next call asks again."""
    await client.register()
    server.script("checkpoint", hang_up)
    server.script("register_instance", denied("TOO_MANY_INSTANCES"))

    with pytest.raises(TooManyInstances):
        await client.checkpoint("step-1", b"")
    async with asyncio.timeout(60):
        # The connection that was hung up, and the one that was of no use.
        await server.gone.get()
        await server.gone.get()
    await client.checkpoint("step-1", b"")

    assert len(server.connections) == 3


@pytest.mark.parametrize(
    "act",
    [denied("SHUTTING_DOWN"), hang_up, reset, be_silent],
    ids=["refused", "lost", "given up", "silent"],
)
async def test_a_run_is_asked_back_until_the_server_can_say(
    server: FakeServer, settings: Callable[..., Settings], act: Act
) -> None:
    """Each time on a new connection; a custom event waits for it, being sent but once."""
    async with Client(settings(connect_timeout_ms=200)) as client:
        await client.register()
        server.script("checkpoint", hang_up)
        server.script("register_instance", act)

        await client.checkpoint("step-1", b"")
        await client.custom_event("progress")

    assert server.kinds().count("register_instance") == 3
    assert server.kinds().count("instance_event") == 1


async def test_a_cancelled_call_leaves_the_client_usable(
    server: FakeServer, client: Client
) -> None:
    """It ends at once, and the connection stays."""
    server.script("checkpoint", be_silent)
    call = asyncio.create_task(client.checkpoint("step-1", b""))
    await server.received.get()

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await client.get_checkpoint("step-1")

    assert len(server.connections) == 1


async def test_a_cancelled_call_leaves_the_others_their_reconnect(
    server: FakeServer, client: Client
) -> None:
    """Any of the calls may have begun the reconnect."""
    gate = asyncio.Event()

    async def wait_for_gate(stream: Stream) -> None:
        await gate.wait()
        await granted(1)(stream)

    await client.register()
    server.hang_up()
    server.script("register_instance", wait_for_gate)
    first = asyncio.create_task(client.checkpoint("step-1", b""))
    while server.kinds().count("register_instance") < 2:
        await server.received.get()
    second = asyncio.create_task(client.checkpoint("step-2", b""))
    await asyncio.sleep(0)

    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    gate.set()
    await second

    assert len(server.connections) == 2


async def give_up_at_once(client: Client) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await client.get_status()


async def test_an_unawaited_attempt_fails_in_silence(
    settings: Callable[..., Settings], log: LogWatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Asyncio would report it as an exception that was never retrieved."""
    with socket.socket(type=socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        async with Client(settings(server_addr=address, connect_timeout_ms=50)) as client:
            await give_up_at_once(client)
            await log.seen("no answer within 0.05 s")
            # Another attempt takes the place of the one that failed.
            await give_up_at_once(client)
            gc.collect()

    assert not [record for record in caplog.records if record.name == "asyncio"]
