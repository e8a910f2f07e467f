"""Durable sleep: asked, held, and asked again for what is left."""

import asyncio
from datetime import timedelta

import pytest
from tests.sdk.fake_server import DEFAULTS, FakeServer, hold_until, reply

from runtara_protocol.pb.instance_pb2 import SleepRequest
from runtara_sdk import Client, ValidationFailed

LONGEST_MS = 36_525 * 24 * 60 * 60 * 1000


async def test_a_sleep_names_its_checkpoint_and_brings_its_state(
    server: FakeServer, client: Client
) -> None:
    """The instance is asleep meanwhile, unless it is to keep running."""
    await client.sleep(timedelta(hours=1), "nap", b"s")
    await client.sleep(1.5, "nap-2", keep_running=True)
    await client.sleep(2, "nap-3", detach=True)

    assert [request.sleep for request in server.requests] == [
        SleepRequest(instance_id="i-1", duration_ms=3_600_000, checkpoint_id="nap", state=b"s"),
        SleepRequest(instance_id="i-1", duration_ms=1500, checkpoint_id="nap-2", keep_running=True),
        SleepRequest(instance_id="i-1", duration_ms=2000, checkpoint_id="nap-3", detach=True),
    ]


@pytest.mark.parametrize(
    ("duration", "milliseconds"),
    [
        (0, 0),
        (1.1, 1100),
        (0.0001, 1),
        (timedelta(microseconds=1001), 2),
        (timedelta.max, LONGEST_MS),
        (1e300, LONGEST_MS),
        (float("inf"), LONGEST_MS),
    ],
)
async def test_a_sleep_is_never_shorter_than_asked(
    server: FakeServer, client: Client, duration: timedelta | float, milliseconds: int
) -> None:
    """The exception is a sleep over the longest possible one."""
    await client.sleep(duration, "nap")

    assert server.requests[0].sleep.duration_ms == milliseconds


@pytest.mark.parametrize("duration", [-0.001, timedelta(days=-1), float("nan")])
async def test_a_sleep_of_less_than_nothing_is_refused(
    server: FakeServer, client: Client, duration: timedelta | float
) -> None:
    """The error comes before anything is sent."""
    with pytest.raises(ValidationFailed, match=r"^duration: takes .* at least 0, got"):
        await client.sleep(duration, "nap")

    assert server.requests == []


async def test_a_held_sleep_is_cancelled_with_its_caller(
    server: FakeServer, client: Client
) -> None:
    """It ends at once, and the connection goes on to serve other calls."""
    over = asyncio.Event()
    server.script("sleep", hold_until(over, reply(DEFAULTS["sleep"])))
    sleep = asyncio.create_task(client.sleep(60, "nap"))
    await server.asked("sleep")

    sleep.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleep
    await client.sleep(60, "nap")

    assert len(server.connections) == 1


async def test_other_calls_are_answered_while_sleeps_are_held(
    server: FakeServer, client: Client
) -> None:
    """Parallel branches sleep and work at the same time."""
    over = asyncio.Event()
    server.script("sleep", *[hold_until(over, reply(DEFAULTS["sleep"]))] * 20)
    sleeps = asyncio.gather(*(client.sleep(60, f"nap-{n}") for n in range(20)))
    for _ in range(20):
        await server.asked("sleep")

    await client.checkpoint("step-1", b"")
    assert not sleeps.done()
    over.set()
    await sleeps
