"""Answers that the server holds back: what ends the wait for them, and what does not."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import TypeAlias

import pytest
from tests.sdk.fake_server import (
    DEFAULTS,
    Act,
    FakeServer,
    be_silent,
    hang_up,
    hold_until,
    refuse,
    reply,
    reset,
)

from runtara_protocol.pb.instance_pb2 import (
    PollSignalsResponse,
    RegisterInstanceResponse,
    RpcResponse,
    Signal,
)
from runtara_protocol.quic.stream import Stream
from runtara_sdk import (
    Client,
    ClientNotOpen,
    ConnectionFailed,
    InstanceSuperseded,
    InvalidInstanceState,
    RequestReset,
    RequestTimeout,
    RuntaraError,
    Settings,
    ShuttingDown,
)

Held: TypeAlias = Callable[[Client], Coroutine[None, None, object]]

HELD: dict[str, Held] = {
    "sleep": lambda client: client.sleep(60, "nap"),
    "poll_signals": lambda client: client.poll_signals(wait=60),
}

ANSWERS = {
    "sleep": reply(DEFAULTS["sleep"]),
    "poll_signals": reply(RpcResponse(poll_signals=PollSignalsResponse(signal=Signal()))),
}

each_held_call = pytest.mark.parametrize(("kind", "call"), HELD.items(), ids=HELD.keys())


@pytest.fixture(autouse=True)
def polls_are_answered(server: FakeServer) -> None:
    """With a signal: otherwise they would be asked again until their time is over."""
    server.always("poll_signals", ANSWERS["poll_signals"])


class Probes:
    """Counts the requests for nothing, by which a client sees whether the server lives."""

    def __init__(self, server: FakeServer) -> None:
        self._seen = asyncio.Semaphore(0)
        server.always("nothing", self._answer)

    async def seen(self, count: int) -> None:
        async with asyncio.timeout(60):
            for _ in range(count):
                await self._seen.acquire()

    async def _answer(self, stream: Stream) -> None:
        await refuse("EMPTY_REQUEST")(stream)
        self._seen.release()


@each_held_call
async def test_a_held_answer_may_take_longer_than_a_call(
    server: FakeServer,
    settings: Callable[..., Settings],
    kind: str,
    call: Held,
) -> None:
    """The server is asked again and again whether it lives, and that it does is enough."""
    over, probes = asyncio.Event(), Probes(server)
    server.script(kind, hold_until(over, ANSWERS[kind]))

    async with Client(settings(request_timeout_ms=600)) as client:
        held = asyncio.create_task(call(client))
        # The fourth is sent after more than the timeout: three times a third of it.
        await probes.seen(4)
        assert not held.done()
        over.set()
        await held

    assert len(server.connections) == 1


@each_held_call
async def test_a_held_request_lost_with_its_connection_is_asked_again(
    server: FakeServer, client: Client, kind: str, call: Held
) -> None:
    """The client asks on the next connection, after it has continued the run."""
    await client.register()
    server.script(kind, be_silent)
    held = asyncio.create_task(call(client))
    await server.asked(kind)

    server.hang_up()
    await held

    assert server.kinds()[:4] == ["register_instance", kind] * 2
    assert server.requests[2].register_instance.continue_run == 1


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (hang_up, ConnectionFailed),
        (reset, RequestReset),
        (refuse("SHUTTING_DOWN"), ShuttingDown),
    ],
    ids=["lost", "given up", "ending"],
)
async def test_an_outage_has_the_time_of_one_call_to_end(
    server: FakeServer, settings: Callable[..., Settings], act: Act, error: type[RuntaraError]
) -> None:
    """What failed last is raised, however long the sleep would have been."""
    server.always("sleep", act)

    async with Client(settings(request_timeout_ms=1000)) as client:
        with pytest.raises(error):
            await client.sleep(3600, "nap")

    assert len(server.requests) > 1


async def test_a_server_that_stays_away_ends_a_sleep(
    server: FakeServer, settings: Callable[..., Settings]
) -> None:
    """One that was held, after the time of one call."""
    server.script("sleep", be_silent)
    async with AsyncExitStack() as stack:
        async with server.listen() as going:
            address = f"127.0.0.1:{going.address[1]}"
            given = settings(server_addr=address, request_timeout_ms=1000)
            client = await stack.enter_async_context(Client(given))
            sleep = asyncio.create_task(client.sleep(3600, "nap"))
            await server.asked("sleep")

        with pytest.raises(ConnectionFailed):
            await sleep


async def test_outages_between_long_holds_do_not_add_up(
    server: FakeServer, settings: Callable[..., Settings]
) -> None:
    """A sleep of a year outlives every restart of the server."""
    probes = Probes(server)

    async def hold_long_and_give_up(stream: Stream) -> None:
        await probes.seen(4)
        await reset(stream)

    # Four waits in a row, each twice as long as the last, take more than the timeout.
    server.script("sleep", *[hold_long_and_give_up] * 4)

    async with Client(settings(request_timeout_ms=600)) as client:
        await client.sleep(3600, "nap")

    assert len(server.requests) == 5


@each_held_call
async def test_a_server_that_is_gone_without_a_word_is_left_while_it_holds(
    server: FakeServer,
    settings: Callable[..., Settings],
    kind: str,
    call: Held,
) -> None:
    """It was well when it was first asked, and is not when it is asked again."""
    server.script(kind, be_silent)
    server.script("nothing", refuse("EMPTY_REQUEST"), be_silent)

    async with Client(settings(request_timeout_ms=900)) as client:
        await call(client)

    assert len(server.connections) == 2


@each_held_call
async def test_a_run_superseded_while_it_waits_gets_an_error(
    server: FakeServer, client: Client, kind: str, call: Held
) -> None:
    """The held answer has the error, and the client sends no further request."""
    superseded = asyncio.Event()
    server.script(kind, hold_until(superseded, refuse("INSTANCE_SUPERSEDED", "run 2")))
    held = asyncio.create_task(call(client))
    await server.asked(kind)

    superseded.set()
    with pytest.raises(InstanceSuperseded, match="run 2"):
        await held
    with pytest.raises(InstanceSuperseded, match="run 2"):
        await client.completed()
    assert server.kinds() == [kind]


async def test_a_run_superseded_meanwhile_is_not_continued(
    server: FakeServer, client: Client
) -> None:
    """The new connection's registration says so, and the sleep ends with it."""
    await client.register()
    server.script("sleep", be_silent)
    answer = RegisterInstanceResponse(success=False, error="run 2", code="INSTANCE_SUPERSEDED")
    server.script("register_instance", reply(RpcResponse(register_instance=answer)))
    held = asyncio.create_task(client.sleep(3600, "nap"))
    await server.asked("sleep")

    server.hang_up()

    with pytest.raises(InstanceSuperseded, match="run 2"):
        await held


async def test_what_one_call_learns_ends_all_that_are_held(
    server: FakeServer, client: Client
) -> None:
    """The server that holds them may not know of the newer run, which another server registered."""
    server.always("sleep", be_silent)
    server.always("poll_signals", be_silent)
    server.script("checkpoint", refuse("INSTANCE_SUPERSEDED", "run 2"))
    held: list[asyncio.Task[object]] = [
        asyncio.create_task(client.sleep(60, f"nap-{n}")) for n in range(3)
    ]
    held.append(asyncio.create_task(client.poll_signals(wait=60)))
    for _ in held:
        await server.received.get()

    with pytest.raises(InstanceSuperseded):
        await client.checkpoint("step-1", b"")
    outcomes = await asyncio.gather(*held, return_exceptions=True)

    assert [(type(outcome), str(outcome)) for outcome in outcomes] == [
        (InstanceSuperseded, "run 2")
    ] * 4


async def test_what_is_held_for_the_run_before_ends_alone(
    server: FakeServer, client: Client
) -> None:
    """A client that registers anew supersedes itself: its next run goes on."""
    registered = asyncio.Event()
    server.script("sleep", hold_until(registered, refuse("INSTANCE_SUPERSEDED", "run 2")))
    await client.register()
    sleep = asyncio.create_task(client.sleep(60, "nap"))
    await server.asked("sleep")

    await client.register()
    registered.set()
    with pytest.raises(InstanceSuperseded):
        await sleep
    await client.checkpoint("step-1", b"")


async def test_a_pause_under_a_held_sleep_is_returned(server: FakeServer, client: Client) -> None:
    """The server's word for it, at once."""
    paused = asyncio.Event()
    server.script("sleep", hold_until(paused, refuse("INVALID_INSTANCE_STATE", "it is paused")))
    held = asyncio.create_task(client.sleep(60, "nap"))
    await server.asked("sleep")

    paused.set()
    with pytest.raises(InvalidInstanceState, match="it is paused"):
        await held


@each_held_call
async def test_closing_ends_what_is_held(
    server: FakeServer,
    settings: Callable[..., Settings],
    kind: str,
    call: Held,
) -> None:
    """Nothing connects again."""
    server.script(kind, be_silent)
    async with Client(settings()) as client:
        held = asyncio.create_task(call(client))
        await server.asked(kind)

    with pytest.raises(ClientNotOpen, match="closed"):
        await held
    assert len(server.connections) == 1


async def test_a_poll_never_answered_ends_though_the_server_lives(
    server: FakeServer, settings: Callable[..., Settings]
) -> None:
    """Its wait and the time of one call are all it may take."""
    server.always("poll_signals", be_silent)

    async with Client(settings(request_timeout_ms=1000)) as client:
        with pytest.raises(RequestTimeout):
            await client.poll_signals(wait=0.1)
