"""What was acknowledged survives, whichever process dies or races."""

import asyncio
import sqlite3
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.server.wire import all_connected, connected
from tests.support.server_process import running

from runtara_protocol.pb import instance_pb2 as pb
from runtara_protocol.quic.error import ConnectionLost

pytestmark = pytest.mark.usefixtures("unmeasured")

RACERS = 16
FINAL = [pb.STATUS_COMPLETED, pb.STATUS_FAILED]


async def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        async with connected(server.port) as wire:
            await wire.register("i-1")
            for number in range(20):
                answer = await wire.checkpoint("i-1", f"c-{number}", b"%d" % number)
                assert not answer.checkpoint.found
            await server.restart()
        async with connected(server.port) as wire:
            registered = await wire.register("i-1")
            found = [(await wire.checkpoint("i-1", f"c-{number}")) for number in range(20)]

    assert registered.run == 2
    assert [answer.checkpoint.state for answer in found] == [b"%d" % n for n in range(20)]


async def test_killed_in_the_middle_it_keeps_all_it_had_acknowledged(tmp_path: Path) -> None:
    """What was under way is there or not, but whole; what was answered is there."""
    acknowledged: set[str] = set()
    async with running(tmp_path) as server:
        async with connected(server.port) as wire:
            await wire.register("i-1")

            async def save(checkpoint_id: str) -> None:
                await wire.checkpoint("i-1", checkpoint_id, checkpoint_id.encode())
                acknowledged.add(checkpoint_id)
                if len(acknowledged) == 100:
                    await server.kill()
                    await wire.connection.aclose()

            ends = await asyncio.gather(
                *(save(f"c-{number}") for number in range(300)), return_exceptions=True
            )
            assert {type(end) for end in ends} <= {type(None), ConnectionLost}
        await server.start()
        async with connected(server.port) as wire:
            for number in range(300):
                read = await wire.read("i-1", f"c-{number}")
                assert read.state == (b"c-%d" % number if read.found else b"")
                assert read.found or f"c-{number}" not in acknowledged

    assert len(acknowledged) >= 100


async def test_racing_on_many_connections_exactly_one_saves(tmp_path: Path) -> None:
    async with running(tmp_path) as server, all_connected([server.port] * RACERS) as wires:
        await wires[0].register("i-1")

        answers = await asyncio.gather(
            *(wire.checkpoint("i-1", "c-1", b"%d" % n) for n, wire in enumerate(wires))
        )

    check_one_winner(answers)


async def test_racing_on_many_servers_of_one_file_exactly_one_saves(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        servers = await asyncio.gather(
            *(stack.enter_async_context(running(tmp_path)) for _ in range(4))
        )
        ports = [server.port for server in servers] * (RACERS // len(servers))
        wires = await stack.enter_async_context(all_connected(ports))
        await wires[0].register("i-1")
        for step in range(5):
            answers = await asyncio.gather(
                *(wire.checkpoint("i-1", f"c-{step}", b"%d" % n) for n, wire in enumerate(wires))
            )

            check_one_winner(answers)


def check_one_winner(answers: list[pb.RpcResponse]) -> None:
    """Expect that one caller saved, and the others got its state."""
    outcomes = [(answer.checkpoint.found, answer.checkpoint.state) for answer in answers]
    assert outcomes.count((False, b"")) == 1
    winner = b"%d" % outcomes.index((False, b""))
    assert set(outcomes) == {(False, b""), (True, winner)}


@pytest.mark.parametrize("ending", [pb.EVENT_COMPLETED, pb.EVENT_FAILED])
async def test_a_final_state_is_final(tmp_path: Path, ending: pb.InstanceEventType) -> None:
    async with running(tmp_path) as server, connected(server.port) as wire:
        await wire.register("i-1")
        await wire.event("i-1", ending, b"words")
        before = await wire.status("i-1")
        refused = [
            await wire.event("i-1", pb.EVENT_COMPLETED, b"other words"),
            await wire.event("i-1", pb.EVENT_FAILED, b"other words"),
            await wire.event("i-1", pb.EVENT_SUSPENDED),
            await wire.event("i-1", pb.EVENT_HEARTBEAT),
            await wire.checkpoint("i-1", "c-1"),
        ]
        registration = await wire.register("i-1")
        again = await wire.event("i-1", ending, b"words")
        after = await wire.status("i-1")

    assert before.status in FINAL
    assert [answer.error.code for answer in refused] == ["INVALID_INSTANCE_STATE"] * 5
    assert registration.code == "INVALID_INSTANCE_STATE"
    assert again.instance_event.success
    assert after == before


async def test_a_connections_events_are_stored_in_the_order_they_were_sent(
    tmp_path: Path,
) -> None:
    payloads = [b"%d" % number for number in range(100)]
    async with running(tmp_path) as server, connected(server.port) as wire:
        await wire.register("i-1")
        telling = []
        for payload in payloads:
            telling.append(asyncio.create_task(wire.event("i-1", pb.EVENT_CUSTOM, payload)))
            # A datagram each: what is cut in two by a datagram's end may arrive after the next.
            await asyncio.sleep(0)
        await asyncio.gather(*telling)

    with sqlite3.connect(tmp_path / "core.db") as database:
        rows = database.execute(
            "SELECT payload FROM instance_events WHERE event_type = 'custom' ORDER BY id"
        ).fetchall()
    database.close()
    assert rows == [(payload,) for payload in payloads]
