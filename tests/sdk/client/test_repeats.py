"""What is asked again, what is not, and what is raised when the time is up."""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable

import pytest
from tests.sdk.fake_server import (
    ANSWERED_BY_THE_END,
    DEFAULTS,
    Act,
    FakeServer,
    be_silent,
    hang_up,
    refuse,
    reply,
    reset,
)
from tests.sdk.log_watch import LogWatch

from runtara_protocol.pb.instance_pb2 import CheckpointResponse, RpcResponse
from runtara_sdk import (
    Checkpoint,
    Client,
    ConnectionFailed,
    CustomEvent,
    DatabaseFailed,
    RequestReset,
    RequestTimeout,
    RuntaraError,
    Settings,
    SignalType,
)


async def list_all(client: Client) -> None:
    assert [entry async for entry in client.list_checkpoints()] == []


SAFE: dict[str, Callable[[Client], Awaitable[object]]] = {
    "register": lambda client: client.register(),
    "checkpoint": lambda client: client.checkpoint("step-1", b""),
    "get_checkpoint": lambda client: client.get_checkpoint("step-1"),
    "heartbeat": lambda client: client.heartbeat(),
    "completed": lambda client: client.completed(),
    "failed": lambda client: client.failed("broken"),
    "suspended": lambda client: client.suspended(),
    "get_status": lambda client: client.get_status(),
    "list_checkpoints": list_all,
    "sleep": lambda client: client.sleep(60, "nap"),
    "record_retry_attempt": lambda client: client.record_retry_attempt("step-1", 1),
    "poll_signals": lambda client: client.poll_signals(),
    "acknowledge": lambda client: client.acknowledge(SignalType.PAUSE),
}

ONCE: dict[str, Callable[[Client], Awaitable[object]]] = {
    "custom_event": lambda client: client.custom_event("progress"),
    "events": lambda client: client.events([CustomEvent("progress")]),
}

KINDS = [*DEFAULTS, *ANSWERED_BY_THE_END]

each_safe_call = pytest.mark.parametrize("call", SAFE.values(), ids=SAFE.keys())
each_call_made_once = pytest.mark.parametrize("call", ONCE.values(), ids=ONCE.keys())


@each_safe_call
async def test_a_call_whose_answer_is_lost_is_repeated(
    server: FakeServer, client: Client, call: Callable[[Client], Awaitable[object]]
) -> None:
    """The server did its work and went away; the same bytes are sent again."""
    for kind in KINDS:
        server.script(kind, hang_up)

    await call(client)

    first, second = server.requests
    assert first == second
    assert len(server.connections) == 2


@each_safe_call
@pytest.mark.parametrize("code", ["SHUTTING_DOWN", "OVERLOADED", "DATABASE_ERROR"])
async def test_a_call_refused_for_the_moment_is_repeated(
    server: FakeServer, client: Client, call: Callable[[Client], Awaitable[object]], code: str
) -> None:
    """The repeat uses the same connection, after a while."""
    for kind in KINDS:
        server.script(kind, refuse(code), refuse(code))

    await call(client)

    assert len(server.requests) == 3
    assert len(server.connections) == 1


@each_safe_call
async def test_a_call_the_server_gave_up_is_repeated(
    server: FakeServer, client: Client, call: Callable[[Client], Awaitable[object]]
) -> None:
    """A server that shuts down late does so, and the next one may be there already."""
    for kind in KINDS:
        server.script(kind, reset)

    await call(client)

    assert len(server.requests) == 2


async def test_a_request_always_given_up_raises_when_the_time_is_up(
    server: FakeServer, settings: Callable[..., Settings]
) -> None:
    """The error has the code of the reset."""
    server.always("checkpoint", reset)

    async with Client(settings(request_timeout_ms=1000)) as client:
        with pytest.raises(RequestReset, match="code 1"):
            await client.checkpoint("step-1", b"")


async def test_a_checkpoint_saved_by_the_lost_call_is_found(
    server: FakeServer, client: Client
) -> None:
    """Its state is the one brought, so that the workflow goes on with it either way."""
    found = CheckpointResponse(found=True, state=b"mine")
    server.script("checkpoint", hang_up, reply(RpcResponse(checkpoint=found)))

    assert await client.checkpoint("step-1", b"mine") == Checkpoint(found=True, state=b"mine")


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (hang_up, ConnectionFailed),
        (reset, RequestReset),
        (refuse("DATABASE_ERROR"), DatabaseFailed),
    ],
    ids=["lost", "given up", "database"],
)
@each_call_made_once
async def test_a_custom_event_that_may_be_stored_is_not_repeated(
    server: FakeServer,
    client: Client,
    call: Callable[[Client], Awaitable[object]],
    act: Act,
    error: type[RuntaraError],
) -> None:
    """Sent twice it would be two events."""
    for kind in KINDS:
        server.script(kind, act)

    with pytest.raises(error):
        await call(client)

    assert len(server.requests) == 1


@pytest.mark.parametrize("code", ["SHUTTING_DOWN", "OVERLOADED"])
@each_call_made_once
async def test_a_custom_event_that_was_not_carried_out_is_repeated(
    server: FakeServer, client: Client, call: Callable[[Client], Awaitable[object]], code: str
) -> None:
    """These refusals say that the server did nothing."""
    for kind in KINDS:
        server.script(kind, refuse(code))

    await call(client)

    assert len(server.requests) == 2


async def test_a_server_that_never_answers_ends_the_call_in_time(
    server: FakeServer, settings: Callable[..., Settings]
) -> None:
    """Its work may be done; the client stays usable, on the same connection."""
    server.script("checkpoint", be_silent)

    async with Client(settings(request_timeout_ms=2000)) as client:
        with pytest.raises(RequestTimeout, match=r"127\.0\.0\.1:\d+ within 2 s"):
            await client.checkpoint("step-1", b"")
        await client.get_checkpoint("step-1")

    assert len(server.connections) == 1


async def test_repeats_take_no_more_than_the_time_of_one_call(
    server: FakeServer, settings: Callable[..., Settings]
) -> None:
    """What failed last is raised."""
    server.always("checkpoint", hang_up)

    async with Client(settings(request_timeout_ms=1000)) as client:
        with pytest.raises(ConnectionFailed):
            await client.checkpoint("step-1", b"")

    assert len(server.requests) > 1


@pytest.mark.parametrize(
    ("is_argument", "variable", "said"),
    [
        (True, None, "the client was given server_addr {}, and RUNTARA_SERVER_ADDR is not set"),
        (True, "h:8", "the client was given server_addr {}, and RUNTARA_SERVER_ADDR is h:8"),
        (False, "{}", "does UDP get through? RUNTARA_SERVER_ADDR is {}"),
    ],
)
async def test_a_server_that_is_not_there_is_reported_with_its_address(
    server: FakeServer, settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch,
    is_argument: bool, variable: str | None, said: str,
) -> None:  # fmt: skip
    """The error also names the argument or variable to look at."""
    async with server.listen() as gone:
        address = f"127.0.0.1:{gone.address[1]}"
    monkeypatch.setenv("RUNTARA_SERVER_ADDR", (variable or "").format(address))
    given = settings(server_addr=address if is_argument else None, request_timeout_ms=500)

    async with Client(given) as client:
        with pytest.raises(ConnectionFailed, match=re.escape(said.format(address)) + "$"):
            await client.get_status()


async def test_a_server_that_answers_no_handshake_is_not_there(
    settings: Callable[..., Settings],
) -> None:
    """Time may be up before the first attempt has failed."""
    with socket.socket(type=socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{deaf.getsockname()[1]}"

        async with Client(settings(server_addr=address, request_timeout_ms=50)) as client:
            with pytest.raises(ConnectionFailed, match=f"{address} within 0.05 s; nothing was"):
                await client.get_status()


async def test_a_call_waits_for_a_server_that_starts_late(
    server: FakeServer, settings: Callable[..., Settings], log: LogWatch
) -> None:
    """A custom event waits, too: without a connection, nothing was sent."""
    async with server.listen() as gone:
        port = gone.address[1]

    async with Client(settings(server_addr=f"127.0.0.1:{port}")) as client:
        event = asyncio.create_task(client.custom_event("progress"))
        await log.seen("nothing listens there")
        async with server.listen(port):
            await event

    assert server.kinds() == ["instance_event"]
