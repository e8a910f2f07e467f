"""Clients that go in the middle of any operation: no slot, claim, task or wait outlives them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest
from tests.server.hostile import TENANT, register
from tests.support.server_process import PATIENCE

from runtara_conformance import envelope, frame
from runtara_conformance.client import Connection, connect
from runtara_conformance.message import Message
from runtara_conformance.messages import (
    CheckpointRequest,
    EventType,
    GetCheckpointRequest,
    GetInstanceStatusRequest,
    GetInstanceStatusResponse,
    InstanceEvent,
    InstanceEventBatch,
    ListCheckpointsRequest,
    PollSignalsRequest,
    RegisterInstanceRequest,
    RetryAttemptEvent,
    SignalAck,
    SleepRequest,
)
from runtara_domain.model import Caller
from runtara_domain.status import State
from runtara_domain.system_clock import SystemClock
from runtara_domain.use_cases.core import Core
from runtara_server.config import Settings
from runtara_server.runtime import CoreRuntime

Made = Callable[..., Settings]

ID = "i-1"
OPERATIONS: list[Message] = [
    RegisterInstanceRequest(ID, TENANT),
    CheckpointRequest(ID, "c-2", b"state"),
    GetCheckpointRequest(ID, "c-1"),
    ListCheckpointsRequest(ID),
    SleepRequest(ID, 3_600_000, "nap", b""),
    SleepRequest(ID, 3_600_000, "nap", b"", keep_running=True),
    InstanceEvent(ID, EventType.CUSTOM, None, b"x", 0, "word"),
    InstanceEvent(ID, EventType.HEARTBEAT),
    InstanceEvent(ID, EventType.SUSPENDED),
    InstanceEvent(ID, EventType.COMPLETED, None, b"done"),
    InstanceEventBatch((InstanceEvent(ID, EventType.CUSTOM),)),
    GetInstanceStatusRequest(ID),
    PollSignalsRequest(ID, None, 60_000),
    RetryAttemptEvent(ID, "c-1", 1),
    SignalAck(ID, 0, True),
]


class Watched:
    """A runtime, and what it must not keep."""

    def __init__(self, runtime: CoreRuntime) -> None:
        self.runtime = runtime
        self.port = runtime.address[1]
        self._core = cast(Core, runtime.operations)
        self._tasks = len(asyncio.all_tasks())

    def kept(self) -> tuple[int, int, int]:
        """Count the slots, waits and held sleeps."""
        sleep = self._core.sleep
        return self._core.slots.taken, sleep.waits.held, sleep.held.held

    async def is_clean(self) -> None:
        """Wait until nothing is kept for any client."""
        await self.keeps(0, 0, 0)
        async with asyncio.timeout(PATIENCE):
            # A task's end is no event to others.
            while len(asyncio.all_tasks()) > self._tasks:  # noqa: ASYNC110  As said.
                await asyncio.sleep(0.005)

    async def keeps(self, *counts: int) -> None:
        """Wait until it keeps so many."""
        async with asyncio.timeout(PATIENCE):
            # There is no event for its last byte.
            while self.kept() != counts:  # noqa: ASYNC110  As said.
                await asyncio.sleep(0.005)

    async def claimed(self) -> bool:
        """Whether the environment can't have the instance."""
        found = await self.runtime.persistence.claims.wake(
            Caller(ID), token="environment", when=frozenset(), at=SystemClock().now()
        )
        return found.claimed_until is not None


@pytest.fixture
async def watched(settings: Made) -> AsyncIterator[Watched]:
    async with CoreRuntime(settings(quic_idle_timeout_ms=500, quic_keep_alive_ms=0)) as runtime:
        yield Watched(runtime)


def name_of(operation: Message) -> str:
    return type(operation).__name__


class Nowhere(asyncio.DatagramTransport):
    """Where the words of the dead go."""

    def sendto(self, data: object, addr: object = None) -> None:
        """Lose it."""


@asynccontextmanager
async def gone(port: int) -> AsyncIterator[Connection]:
    """Connect, and go without a word at the end of the block."""
    async with connect("127.0.0.1", port) as connection:
        yield connection
        connection._transport = Nowhere()


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
async def test_a_client_that_closes_amid_an_operation_leaves_nothing(
    watched: Watched, operation: Message
) -> None:
    """It closes before the request has arrived, while it is executed, or afterwards."""
    for iterations in (0, 1, 3, 10, 30):
        async with connect("127.0.0.1", watched.port) as connection:
            await connection.request(RegisterInstanceRequest(ID, TENANT))
            connection.start(operation)
            for _ in range(iterations):
                await asyncio.sleep(0)

    await watched.is_clean()
    assert not await watched.claimed()


@pytest.mark.parametrize(
    "operation",
    [operation for operation in OPERATIONS if isinstance(operation, SleepRequest)]
    + [PollSignalsRequest(ID, None, 60_000), CheckpointRequest(ID, "c-2", b"state")],
    ids=name_of,
)
async def test_a_client_that_vanishes_amid_an_operation_leaves_nothing(
    watched: Watched, operation: Message
) -> None:
    """It sends nothing more: the silence of its connection is its end."""
    async with gone(watched.port) as connection:
        await register(connection, ID)
        connection.start(operation)
        await connection.request(GetInstanceStatusRequest(ID))

    await watched.is_clean()
    assert not await watched.claimed()


@pytest.mark.parametrize("is_early", [False, True], ids=["held", "not yet asked"])
async def test_a_poll_whose_answer_is_not_wanted_is_held_no_longer(
    watched: Watched, is_early: bool
) -> None:
    """Whether the client says so at first or later; a sleep is slept all the same."""
    async with connect("127.0.0.1", watched.port) as connection:
        await register(connection, ID)
        nap = connection.start(SleepRequest(ID, 3_600_000, "nap", b""))
        await watched.keeps(1, 1, 1)
        poll = connection.raw_stream()
        if is_early:
            poll.stop_sending()
        poll.write(frame.encode(envelope.wrap(PollSignalsRequest(ID, None, 60_000))), end=True)
        if not is_early:
            await watched.keeps(1, 2, 1)

        poll.stop_sending()
        nap.stop_sending()
        await connection.request(GetInstanceStatusRequest(ID))

        await watched.keeps(1, 1, 1)


async def test_polls_dropped_one_after_another_leave_room_for_more(watched: Watched) -> None:
    """However many there were, the connection is not taken for busy."""
    async with connect("127.0.0.1", watched.port) as connection:
        await register(connection, ID)
        for _ in range(1200):
            connection.start(PollSignalsRequest(ID, None, 60_000)).stop_sending()
            await asyncio.sleep(0)
        await watched.keeps(1, 0, 0)

        reply = await connection.request(GetInstanceStatusRequest(ID))

        assert isinstance(reply, GetInstanceStatusResponse)


async def test_a_refused_registration_takes_no_place(watched: Watched) -> None:
    async with connect("127.0.0.1", watched.port) as connection:
        await register(connection, ID)
        await connection.request(InstanceEvent(ID, EventType.COMPLETED))
        for refused in (
            RegisterInstanceRequest(ID, TENANT),
            RegisterInstanceRequest(ID, "another"),
            RegisterInstanceRequest("i-2", TENANT, "no such checkpoint"),
            RegisterInstanceRequest("i-2", TENANT, None, 4),
            RegisterInstanceRequest("", TENANT),
            RegisterInstanceRequest("i-2", ""),
        ):
            await connection.request(refused)

        assert watched.kept() == (0, 0, 0)


async def test_a_sleeper_that_vanishes_is_anybodys_to_wake(watched: Watched) -> None:
    async with gone(watched.port) as connection:
        await register(connection, ID)
        connection.start(SleepRequest(ID, 3_600_000, "nap", b""))
        await watched.keeps(1, 1, 1)
        assert await watched.claimed()

    await watched.is_clean()
    assert not await watched.claimed()
    run_state = await watched.runtime.persistence.instances.run_state(ID)
    assert run_state is not None
    assert run_state.state is State.ASLEEP
