"""Heartbeats: from registration to the end, whatever becomes of one of them."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from tests.sdk.fake_server import FakeServer, be_silent, refuse
from tests.sdk.log_watch import LogWatch

from runtara_protocol.pb.instance_pb2 import InstanceEventType
from runtara_sdk import Client, InstanceSuperseded, Settings


@pytest.fixture
async def beating(settings: Callable[..., Settings]) -> AsyncIterator[Client]:
    async with Client(settings(heartbeat_interval_ms=1)) as client:
        yield client


async def heartbeat_received(server: FakeServer) -> None:
    while True:
        request = await server.received.get()
        if request.WhichOneof("request") == "instance_event":
            assert request.instance_event.event_type == InstanceEventType.EVENT_HEARTBEAT
            return


async def test_heartbeats_are_sent_once_registered(server: FakeServer, beating: Client) -> None:
    """Again and again, and not before."""
    for _ in range(5):
        await beating.get_status()
    assert "instance_event" not in server.kinds()

    await beating.register()
    await beating.register()

    await heartbeat_received(server)
    await heartbeat_received(server)


async def test_an_interval_of_zero_sends_none(server: FakeServer, client: Client) -> None:
    """It does not mean as often as possible."""
    await client.register()
    for _ in range(5):
        await client.get_status()

    assert "instance_event" not in server.kinds()


@pytest.mark.parametrize(
    "end",
    [Client.completed, lambda client: client.failed("broken"), Client.suspended],
    ids=["completed", "failed", "suspended"],
)
async def test_heartbeats_stop_when_the_instance_has_ended(
    server: FakeServer, beating: Client, end: Callable[[Client], Awaitable[None]]
) -> None:
    """The ending is its last request, however often it registered."""
    await beating.register()
    await beating.register()
    await heartbeat_received(server)

    await end(beating)
    ended = len(server.requests)
    for _ in range(20):
        await beating.get_status()

    assert set(server.kinds()[ended:]) == {"get_instance_status"}


async def test_a_failed_heartbeat_is_followed_by_the_next(
    server: FakeServer, beating: Client, log: LogWatch
) -> None:
    """The workflow does not notice; the log does."""
    server.script("instance_event", refuse("INTERNAL_ERROR", "sorry"))
    await beating.register()

    await log.seen("heartbeat failed: sorry")
    server.requests.clear()
    await heartbeat_received(server)
    await beating.checkpoint("step-1", b"")


async def test_a_superseded_heartbeat_stops_the_next_call(
    server: FakeServer, beating: Client, log: LogWatch
) -> None:
    """A superseded process must not go on: its next request raises."""
    server.script("instance_event", refuse("INSTANCE_SUPERSEDED", "run 2 has registered"))
    await beating.register()
    await log.seen("heartbeats end: run 2 has registered")

    with pytest.raises(InstanceSuperseded, match="run 2 has registered"):
        await beating.checkpoint("step-1", b"")

    assert "checkpoint" not in server.kinds()


@pytest.mark.parametrize("code", ["INVALID_INSTANCE_STATE", "INSTANCE_NOT_FOUND"])
async def test_heartbeats_of_no_use_end(
    server: FakeServer, beating: Client, log: LogWatch, code: str
) -> None:
    """An instance that was ended from outside, or deleted, needs no sign of life; calls go on."""
    server.script("instance_event", refuse(code, "gone"))
    await beating.register()
    await log.seen("heartbeats end: gone")

    for _ in range(20):
        await beating.get_status()

    assert server.kinds().count("instance_event") == 1


async def test_heartbeats_begin_again_with_the_next_registration(
    server: FakeServer, beating: Client, log: LogWatch
) -> None:
    """The reason why the earlier heartbeats ended doesn't matter."""
    server.script("instance_event", refuse("INSTANCE_NOT_FOUND", "gone"))
    await beating.register()
    await log.seen("heartbeats end: gone")

    await beating.register()

    await heartbeat_received(server)
    await heartbeat_received(server)


async def test_closing_does_not_wait_for_a_heartbeat(
    server: FakeServer, settings: Callable[..., Settings]
) -> None:
    """One that is under way is given up."""
    server.always("instance_event", be_silent)

    async with Client(settings(heartbeat_interval_ms=1)) as client:
        await client.register()
        await heartbeat_received(server)
