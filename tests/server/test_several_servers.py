"""Two servers on one PostgreSQL: whatever one of them knows, the other acts on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from tests.server.wire import Wire, all_connected, connected
from tests.support.postgres import migrated_database
from tests.support.server_process import PATIENCE, ServerProcess, running

from runtara_persistence import Claim, SendSignal, Signal, SignalType, SystemClock, connect
from runtara_protocol.frame import MessageType, encode
from runtara_protocol.pb import instance_pb2 as pb
from runtara_protocol.quic.error import ConnectionLost

pytestmark = pytest.mark.usefixtures("unmeasured")

HOUR_MS = 3_600_000
RACERS = 16
STEPS = 60
ENVIRONMENT = "an environment"


@dataclass(frozen=True, slots=True)
class House:
    """Two servers, the database they share, and plain SQL on it."""

    first: ServerProcess
    second: ServerProcess
    url: str
    sql: "asyncpg.Connection[asyncpg.Record]"

    @property
    def ports(self) -> list[int]:
        return [self.first.port, self.second.port]

    @asynccontextmanager
    async def wires(self) -> AsyncIterator[tuple[Wire, Wire]]:
        """Connect to both."""
        async with all_connected(self.ports) as (first, second):
            yield first, second

    async def until(self, condition: str) -> None:
        """Wait for something to be true in the database."""
        async with asyncio.timeout(PATIENCE):
            while not await self.sql.fetchval(f"SELECT {condition}"):
                pass

    async def until_listening(self) -> None:
        """Wait for a server to listen for signals."""
        await self.until(
            "EXISTS (SELECT FROM pg_stat_activity"
            " WHERE query LIKE 'LISTEN%' AND state = 'idle' AND datname = current_database())"
        )

    async def until_claimed(self) -> str:
        """Wait for a sleep to be held; return the claim's owner."""
        await self.until("EXISTS (SELECT FROM instances WHERE wake_claim_by IS NOT NULL)")
        return str(await self.sql.fetchval("SELECT wake_claim_by FROM instances"))

    async def due(self) -> list[str]:
        """Claim what is due, as an environment does before it launches."""
        async with connect(self.url) as persistence:
            now = datetime.now(UTC)
            claim = Claim(ENVIRONMENT, now + timedelta(minutes=1))
            claimed = await persistence.claims.claim_due(claim, limit=10, at=now)
        return [each.instance_id for each in claimed]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    with migrated_database() as url:
        async with AsyncExitStack() as stack:
            first, second = await asyncio.gather(
                *(
                    stack.enter_async_context(running(tmp_path, RUNTARA_DATABASE_URL=url))
                    for _ in range(2)
                )
            )
            sql = await asyncpg.connect(url)
            stack.push_async_callback(sql.close)
            yield House(first, second, url, sql)


async def sleep(wire: Wire, checkpoint_id: str, duration_ms: int = HOUR_MS) -> pb.RpcResponse:
    message = pb.SleepRequest(
        instance_id="i-1", checkpoint_id=checkpoint_id, duration_ms=duration_ms, state=b"asleep"
    )
    return await wire.ask(pb.RpcRequest(sleep=message))


async def poll(wire: Wire) -> pb.RpcResponse:
    message = pb.PollSignalsRequest(instance_id="i-1", wait_ms=60_000)
    return await wire.ask(pb.RpcRequest(poll_signals=message))


async def acknowledge(wire: Wire, kind: pb.SignalType) -> None:
    message = pb.SignalAck(instance_id="i-1", signal_type=kind, acknowledged=True)
    request = pb.RpcRequest(signal_ack=message).SerializeToString()
    assert await wire.connection.exchange(encode(MessageType.REQUEST, request)) == b""


async def test_clients_spread_over_both_and_moved_between_them_lose_nothing(house: House) -> None:
    """A client that goes to the other server continues its run there."""

    async def work(client: int) -> list[bytes]:
        instance_id, states = f"i-{client}", []
        for step in range(6):
            async with connected(house.ports[(client + step) % 2]) as wire:
                fields = {"continue_run": 1} if step else {}
                assert (await wire.register(instance_id, **fields)).run == 1
                for earlier in range(step + 1):
                    answer = await wire.checkpoint(instance_id, f"c-{earlier}", b"%d" % step)
                    assert answer.checkpoint.found == (earlier < step)
                    states.append(answer.checkpoint.state)
        return states

    found = await asyncio.gather(*(work(client) for client in range(8)))

    expected = [b"%d" % e if e < step else b"" for step in range(6) for e in range(step + 1)]
    assert found == [expected] * 8
    started = "SELECT count(*) FROM instance_events WHERE event_type = 'started'"
    assert await house.sql.fetchval(started) == 8


async def test_of_checkpoints_raced_from_both_sides_exactly_one_is_saved(house: House) -> None:
    async with all_connected(house.ports * (RACERS // 2)) as wires:
        await wires[0].register("i-1")
        for step in range(20):
            answers = await asyncio.gather(
                *(wire.checkpoint("i-1", f"c-{step}", b"%d" % n) for n, wire in enumerate(wires))
            )

            [saved] = [n for n, answer in enumerate(answers) if not answer.checkpoint.found]
            kept = [answer.checkpoint.state for answer in answers if answer.checkpoint.found]
            assert kept == [b"%d" % saved] * (RACERS - 1)


async def test_a_superseded_run_is_refused_at_a_server_that_did_not_see_its_successor(
    house: House,
) -> None:
    """It may only read."""
    async with house.wires() as (first, second):
        await first.register("i-1")
        await first.checkpoint("i-1", "c-1", b"1")
        successor = await second.register("i-1")
        refused = [
            await first.checkpoint("i-1", "c-2"),
            await first.checkpoint("i-1", "c-1"),
            await first.event("i-1", pb.EVENT_CUSTOM),
            await first.event("i-1", pb.EVENT_COMPLETED),
            await sleep(first, "s-1"),
            await poll(first),
        ]
        continued = await first.register("i-1", continue_run=1)
        read = await first.read("i-1", "c-1")
        going_on = await second.checkpoint("i-1", "c-2", b"2")

    assert successor.run == 2
    assert [answer.error.code for answer in refused] == ["INSTANCE_SUPERSEDED"] * 6
    assert continued.code == "INSTANCE_SUPERSEDED"
    assert read.state == b"1"
    assert not going_on.checkpoint.found


async def test_a_signal_reaches_a_poll_that_waits_at_a_server(house: House) -> None:
    """Sent by another program through the library, or by plain SQL."""
    async with house.wires() as (first, second), connect(house.url) as persistence:
        await first.register("i-1")
        polling = asyncio.create_task(poll(second))
        await house.until_listening()
        send = SendSignal(persistence.signals, SystemClock())
        await send(instance_id="i-1", signal=Signal(SignalType.PAUSE, b"library"))
        paused = (await polling).poll_signals.signal
        await acknowledge(first, pb.SIGNAL_PAUSE)
        polling = asyncio.create_task(poll(second))
        await house.until_listening()
        await house.sql.execute(
            "INSERT INTO pending_signals (instance_id, signal_type, payload)"
            " VALUES ('i-1', 'cancel', 'sql') ON CONFLICT (instance_id) DO UPDATE"
            " SET signal_type = 'cancel', payload = 'sql', acknowledged_at = NULL"
        )
        cancelled = (await polling).poll_signals.signal

    assert (paused.signal_type, paused.payload) == (pb.SIGNAL_PAUSE, b"library")
    assert (cancelled.signal_type, cancelled.payload) == (pb.SIGNAL_CANCEL, b"sql")


async def test_what_is_acknowledged_at_one_holds_at_the_other(house: House) -> None:
    """A sleep held by the one learns that its instance was cancelled through the other."""
    async with house.wires() as (first, second):
        await first.register("i-1")
        sleeping = asyncio.create_task(sleep(first, "s-1"))
        await house.until_claimed()
        await house.until_listening()
        await house.sql.execute(
            "INSERT INTO pending_signals (instance_id, signal_type) VALUES ('i-1', 'cancel')"
        )
        woken = await sleeping
        await acknowledge(second, pb.SIGNAL_CANCEL)
        after = await first.status("i-1")
        refused = await first.checkpoint("i-1", "c-1")

    assert woken.HasField("sleep")
    assert after.status == pb.STATUS_CANCELLED
    assert refused.error.code == "INVALID_INSTANCE_STATE"


async def test_a_killed_servers_sleep_is_claimed_once_its_claim_has_run_out(house: House) -> None:
    """Relaunched, the instance sleeps no more at the other server: its deadline has passed."""
    async with house.wires() as (first, second):
        await first.register("i-1")
        sleeping = asyncio.create_task(sleep(first, "s-1"))
        await house.until_claimed()
        await house.first.kill()
        await first.connection.aclose()
        with pytest.raises(ConnectionLost):
            await sleeping
        await house.sql.execute("UPDATE checkpoints SET wake_at = now()")
        await house.sql.execute("UPDATE instances SET sleep_until = now()")
        while_claimed = await house.due()
        await house.sql.execute("UPDATE instances SET wake_claim_until = now()")
        afterwards = await house.due()
        again = await house.due()
        relaunched = await second.register("i-1")
        slept = await sleep(second, "s-1")
        status = await second.status("i-1")

    assert (while_claimed, afterwards, again) == ([], ["i-1"], [])
    assert relaunched.run == 2
    assert slept.HasField("sleep")
    assert status.status == pb.STATUS_RUNNING


async def test_a_sleep_goes_on_at_the_other_server_after_a_kill(house: House) -> None:
    """The same run sleeps what is left, under a claim of the server that holds it now."""
    async with house.wires() as (first, second):
        await first.register("i-1")
        sleeping = asyncio.create_task(sleep(first, "s-1"))
        before = await house.until_claimed()
        deadline = await house.sql.fetchval("SELECT sleep_until FROM instances")
        await house.first.kill()
        await first.connection.aclose()
        with pytest.raises(ConnectionLost):
            await sleeping
        await second.register("i-1", continue_run=1)
        sleeping = asyncio.create_task(sleep(second, "s-1"))
        await house.until(f"wake_claim_by <> '{before}' FROM instances")
        row = await house.sql.fetchrow("SELECT sleep_until, run_epoch, status FROM instances")
        sleeping.cancel()

    assert row is not None
    assert tuple(row) == (deadline, 1, "suspended")


@pytest.mark.parametrize("durations", [(1500, 3000), (3000, 1500)])
async def test_sleeps_held_by_both_are_answered_each_at_its_own_time(
    house: House, durations: tuple[int, int]
) -> None:
    """Both are sleeps of one instance, under either claim; meanwhile no environment gets it."""
    async with house.wires() as (first, second):
        await first.register("i-1")
        await second.register("i-1", continue_run=1)
        sleeps = [asyncio.create_task(sleep(first, "s-1", durations[0]))]
        await house.until_claimed()
        sleeps.append(asyncio.create_task(sleep(second, "s-2", durations[1])))
        shorter, longer = sleeps if durations[0] < durations[1] else reversed(sleeps)
        while not shorter.done():
            assert await house.due() == []
        was_early = longer.done()
        answers = [await shorter, await longer]
        status = await first.status("i-1")

    assert not was_early
    assert [answer.HasField("sleep") for answer in answers] == [True, True]
    assert status.status == pb.STATUS_RUNNING


async def test_a_sleep_is_answered_in_time_though_a_killed_server_has_the_claim(
    house: House,
) -> None:
    """The killed server held another sleep of the instance. Its claim lasts half a minute more."""
    async with house.wires() as (first, second):
        await first.register("i-1")
        await second.register("i-1", continue_run=1)
        sleeping = asyncio.create_task(sleep(first, "s-1", 2000))
        mine = await house.until_claimed()
        lost = asyncio.create_task(sleep(second, "s-2"))
        await house.until(f"wake_claim_by <> '{mine}' FROM instances")
        claimed_until = await house.sql.fetchval("SELECT wake_claim_until FROM instances")
        await house.second.kill()
        await second.connection.aclose()
        with pytest.raises(ConnectionLost):
            await lost
        while not sleeping.done():
            assert await house.due() == []
        answer = await sleeping
        was_in_time = await house.sql.fetchval("SELECT now() < $1", claimed_until)
        status = await first.status("i-1")

    assert was_in_time
    assert answer.HasField("sleep")
    assert status.status == pb.STATUS_RUNNING


async def test_an_ended_instance_is_refused_everywhere(house: House) -> None:
    """The same ending again is a success."""
    async with house.wires() as (first, second):
        await first.register("i-1")
        await second.register("i-1", continue_run=1)
        await first.event("i-1", pb.EVENT_COMPLETED, b"output")
        refused = [
            await second.checkpoint("i-1", "c-1"),
            await second.event("i-1", pb.EVENT_FAILED, b"no"),
            await second.event("i-1", pb.EVENT_HEARTBEAT),
            await sleep(second, "s-1"),
        ]
        registered = await second.register("i-1")
        again = await second.event("i-1", pb.EVENT_COMPLETED, b"output")
        statuses = [await wire.status("i-1") for wire in (first, second)]

    assert [answer.error.code for answer in refused] == ["INVALID_INSTANCE_STATE"] * 4
    assert registered.code == "INVALID_INSTANCE_STATE"
    assert again.instance_event.success
    assert statuses[0] == statuses[1]
    assert statuses[0].output == b"output"


async def test_one_is_killed_and_the_other_carries_on(house: House) -> None:
    """Its clients go over to the other, and find all that was acknowledged."""
    acknowledged: dict[int, set[int]] = {client: set() for client in range(8)}
    under_way = asyncio.Event()

    async def save_all(client: int, wire: Wire) -> None:
        for step in range(STEPS):
            answer = await wire.checkpoint(f"i-{client}", f"c-{step}", b"%d" % step)
            assert answer.checkpoint.state == (b"%d" % step if answer.checkpoint.found else b"")
            assert answer.checkpoint.found or step not in acknowledged[client]
            acknowledged[client].add(step)
            if client == 0 and step == STEPS // 3:
                under_way.set()

    async with all_connected(house.ports * 4) as wires:
        await asyncio.gather(*(wire.register(f"i-{n}") for n, wire in enumerate(wires)))
        work = [asyncio.create_task(save_all(n, wire)) for n, wire in enumerate(wires)]
        await under_way.wait()
        await house.first.kill()
        await asyncio.gather(*(wire.connection.aclose() for wire in wires[::2]))
        ends = await asyncio.gather(*work, return_exceptions=True)
    async with all_connected([house.second.port] * 4) as moved:
        for client, wire in zip(range(0, 8, 2), moved, strict=True):
            assert (await wire.register(f"i-{client}", continue_run=1)).run == 1
            await save_all(client, wire)

    assert {type(end) for end in ends[::2]} <= {type(None), ConnectionLost}
    assert isinstance(ends[0], ConnectionLost)
    assert ends[1::2] == [None] * 4
    assert await house.sql.fetchval("SELECT count(*) FROM checkpoints") == 8 * STEPS
