"""Sleeps, signals and records on the installed server, with signals sent as others send them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from tests.sdk.real_instance import instance
from tests.support.server_process import ServerProcess

from runtara_persistence import (
    CustomSignal,
    EventFilter,
    Persistence,
    SendCustomSignal,
    SendSignal,
    SystemClock,
    connect,
)
from runtara_persistence import Signal as SentSignal
from runtara_persistence import SignalType as SentType
from runtara_sdk import (
    Client,
    CustomEvent,
    InstanceStatus,
    InstanceSuperseded,
    InvalidInstanceState,
    Pending,
    Signal,
    SignalType,
    ValidationFailed,
)

pytestmark = pytest.mark.usefixtures("unmeasured")


@pytest_asyncio.fixture(loop_scope="module")
async def persistence(shared_server: ServerProcess) -> AsyncIterator[Persistence]:
    """The server's database, as the environment opens it."""
    async with connect(f"sqlite:{shared_server.folder / 'core.db'}") as persistence:
        yield persistence


@pytest.fixture
def send(persistence: Persistence) -> SendSignal:
    return SendSignal(persistence.signals, SystemClock())


@pytest_asyncio.fixture(loop_scope="module")
async def client(shared_server: ServerProcess, instance_id: str) -> AsyncIterator[Client]:
    async with instance(shared_server, instance_id) as client:
        await client.register()
        yield client


async def until_asleep(client: Client) -> None:
    async with asyncio.timeout(60):
        while (await client.get_status()).status is not InstanceStatus.SUSPENDED:
            pass


async def test_a_sleep_lasts_as_long_as_asked_and_once(client: Client) -> None:
    """Asked again it is over; the instance runs."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await client.sleep(0.3, "nap", b"s")
    slept = loop.time() - began
    await client.sleep(timedelta(hours=1), "nap")

    assert 0.3 <= slept < 60
    assert await client.get_checkpoint("nap") == b"s"
    assert (await client.get_status()).status is InstanceStatus.RUNNING


@pytest.mark.parametrize("end", [ServerProcess.terminate, ServerProcess.kill])
async def test_a_sleep_outlives_the_server_that_held_it(
    client: Client, shared_server: ServerProcess, end: Callable[[ServerProcess], Awaitable[object]]
) -> None:
    """The server ends by SIGTERM or SIGKILL, and the next one holds the rest of the sleep."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    sleep = asyncio.create_task(client.sleep(5, "nap"))
    await until_asleep(client)

    await end(shared_server)
    await shared_server.start()
    await sleep

    assert 5 <= loop.time() - began < 60


async def test_a_process_whose_other_branches_work_on_keeps_running(client: Client) -> None:
    """Its deadline is kept all the same."""
    nap = asyncio.create_task(client.sleep(600, "nap", keep_running=True))
    async with asyncio.timeout(60):
        while await client.get_checkpoint("nap") is None:
            pass

    assert (await client.get_status()).status is InstanceStatus.RUNNING
    entries = {entry.checkpoint_id: entry async for entry in client.list_checkpoints()}
    wake_at = entries["nap"].wake_at
    assert wake_at is not None
    assert timedelta(seconds=500) < wake_at - datetime.now(UTC) <= timedelta(seconds=600)
    nap.cancel()
    with pytest.raises(asyncio.CancelledError):
        await nap


async def test_a_cancel_ends_a_sleep_and_is_acknowledged(
    client: Client, send: SendSignal, instance_id: str
) -> None:
    """The sleep returns, the poll tells why, the acknowledgement ends the instance."""
    sleep = asyncio.create_task(client.sleep(3600, "nap"))
    await until_asleep(client)

    await send(instance_id=instance_id, signal=SentSignal(SentType.CANCEL, b"why"))
    async with asyncio.timeout(60):
        await sleep
    assert (await client.poll_signals()).signal == Signal(SignalType.CANCEL, b"why")
    await client.acknowledge(SignalType.CANCEL)

    assert (await client.get_status()).status is InstanceStatus.CANCELLED
    assert await client.poll_signals() == Pending()


async def test_a_poll_hears_a_signal_as_it_is_sent(
    client: Client, send: SendSignal, instance_id: str
) -> None:
    """One refused stays pending; a pause accepted suspends."""
    poll = asyncio.create_task(client.poll_signals(wait=30))
    await client.heartbeat()
    await send(instance_id=instance_id, signal=SentSignal(SentType.PAUSE))
    async with asyncio.timeout(60):
        pending = await poll

    assert pending == Pending(signal=Signal(SignalType.PAUSE))
    await client.acknowledge(SignalType.PAUSE, accepted=False)
    assert await client.poll_signals(wait=30) == pending
    await client.acknowledge(SignalType.PAUSE)
    assert (await client.get_status()).status is InstanceStatus.SUSPENDED
    with pytest.raises(InvalidInstanceState):
        await client.sleep(1, "nap")


async def test_a_custom_signal_is_for_its_checkpoint_and_for_good(
    client: Client, persistence: Persistence, instance_id: str
) -> None:
    """It ends each wait that names the checkpoint."""
    poll = asyncio.create_task(client.poll_signals("approval", wait=30))
    await client.heartbeat()
    await SendCustomSignal(persistence.signals, SystemClock())(
        instance_id=instance_id, signal=CustomSignal("approval", b"yes")
    )
    async with asyncio.timeout(60):
        assert await poll == Pending(custom_signal=b"yes")

    assert await client.poll_signals("approval", wait=30) == Pending(custom_signal=b"yes")
    assert await client.poll_signals("another") == Pending()


async def test_a_wait_for_nothing_ends_when_it_is_over(client: Client) -> None:
    """The server's answer is empty."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    assert await client.poll_signals(wait=0.2) == Pending()
    assert 0.2 <= loop.time() - began < 60


async def test_a_successor_ends_what_its_predecessor_waits_for(
    client: Client, shared_server: ServerProcess, instance_id: str
) -> None:
    """Sleep and poll alike."""
    sleep = asyncio.create_task(client.sleep(3600, "nap"))
    poll = asyncio.create_task(client.poll_signals(wait=60))
    await until_asleep(client)

    async with instance(shared_server, instance_id) as successor, asyncio.timeout(60):
        await successor.register()
        outcomes = await asyncio.gather(sleep, poll, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [InstanceSuperseded] * 2


async def test_checkpoints_are_listed_over_pages_with_their_attempts(client: Client) -> None:
    """They have the order of saving. A large state is left out."""
    large = bytes(64 * 1024 + 1)
    await client.checkpoint("large", large)
    await asyncio.gather(*(client.checkpoint(f"step-{n}", b"s") for n in range(120)))
    await client.record_retry_attempt("step-7", 1, "first")
    await client.record_retry_attempt("step-7", 1, "once more")
    await client.record_retry_attempt("step-7", 2)

    entries = [entry async for entry in client.list_checkpoints()]

    assert (entries[0].checkpoint_id, entries[0].state) == ("large", None)
    assert {entry.checkpoint_id for entry in entries[1:]} == {f"step-{n}" for n in range(120)}
    assert {entry.state for entry in entries[1:]} == {b"s"}
    tried = [
        (entry.checkpoint_id, entry.failed_attempts) for entry in entries if entry.failed_attempts
    ]
    assert tried == [("step-7", 2)]


async def test_a_batch_of_events_is_stored_whole(
    client: Client, persistence: Persistence, instance_id: str
) -> None:
    """One over the limit not at all."""
    await client.events([CustomEvent("progress", str(n).encode()) for n in range(10_000)])
    with pytest.raises(ValidationFailed, match="10000"):
        await client.events([CustomEvent("progress")] * 10_001)

    assert await persistence.events.count(EventFilter(instance_id, subtype="progress")) == 10_000
