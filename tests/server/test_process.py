"""The installed command: how it starts, how it ends, and what it says."""

import asyncio
import contextlib
import os
import signal
import socket
from pathlib import Path

import pytest
from tests.server.wire import connected
from tests.support.server_process import HOST, ServerProcess, running

from runtara_protocol.pb import instance_pb2 as pb

PASSWORD = "s3cr3t-Pa55"


async def failed(folder: Path, **variables: str) -> tuple[int, list[str], bytes]:
    """Start a server that can't; give its exit code, its log and its output."""
    process = ServerProcess(folder, variables)
    await process.launch()
    return await process.ended(), process.lines, process.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_with_0_at_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    async with running(tmp_path) as server:
        server.process.send_signal(number)

        assert await server.ended() == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_changes_nothing(tmp_path: Path, second: signal.Signals) -> None:
    async with running(tmp_path) as server:
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(second)

        assert await server.ended() == 0


async def test_signals_until_it_is_gone_change_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        ended = asyncio.create_task(server.ended())
        while not ended.done():
            # Not by `send_signal`: it looks after the process first, and takes its exit code away.
            with contextlib.suppress(ProcessLookupError):  # It has gone between the two lines.
                os.kill(server.process.pid, signal.SIGTERM)
            await asyncio.wait([ended], timeout=0.001)

        assert await ended == 0


async def test_a_port_in_use_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((HOST, 0))
        port = str(taken.getsockname()[1])
        code, lines, _ = await failed(
            tmp_path, RUNTARA_DATABASE_URL="sqlite:x.db", RUNTARA_QUIC_PORT=port
        )

    assert code == 1
    assert f"port {port}" in lines[-1]
    assert "RUNTARA_QUIC_PORT" in lines[-1]
    assert not [line for line in lines if "Traceback" in line]


async def test_a_database_out_of_reach_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    code, lines, _ = await failed(tmp_path, RUNTARA_DATABASE_URL="sqlite:file/x.db")

    assert code == 1
    assert "file/x.db" in lines[-1]
    assert not [line for line in lines if "Traceback" in line]


async def test_bad_settings_are_a_line_each_and_exit_code_2(tmp_path: Path) -> None:
    code, lines, output = await failed(
        tmp_path,
        RUNTARA_DATABASE_URL="sqlite:x.db",
        RUNTARA_QUIC_PORT="many",
        RUNTARA_SHUTDOWN_GRACE_MS="-1",
    )

    assert code == 2
    assert len(lines) == 2
    port, grace = sorted(lines)
    assert "RUNTARA_QUIC_PORT is 'many'" in port
    assert "RUNTARA_SHUTDOWN_GRACE_MS is '-1'" in grace
    assert output == b""
    assert os.listdir(tmp_path) == []


async def test_files_that_hold_no_certificate_are_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("no certificate")

    code, lines, _ = await failed(
        tmp_path,
        RUNTARA_DATABASE_URL="sqlite:x.db",
        RUNTARA_TLS_CERT="cert.pem",
        RUNTARA_TLS_KEY="cert.pem",
    )

    assert code == 2
    assert "cert.pem" in lines[-1]
    assert not (tmp_path / "x.db").exists()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"postgresql://user:{PASSWORD}@127.0.0.1:1/db", 1),
        (f"postgresql://user:{PASSWORD}@127.0.0.1:no-port/db", 2),
        (f"mysql://user:{PASSWORD}@127.0.0.1/db", 2),
        (f"sqlite:x.db?password={PASSWORD}", 2),
    ],
)
async def test_a_password_in_the_url_is_never_shown(
    tmp_path: Path, url: str, expected: int
) -> None:
    """This holds if the URL can't be used, and if no server answers there."""
    code, lines, output = await failed(tmp_path, RUNTARA_DATABASE_URL=url)

    assert code == expected
    assert "database" in lines[-1].lower()
    assert PASSWORD not in "".join(lines) + output.decode()


async def test_the_log_is_json_lines_without_a_terminal(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        await server.terminate()

        assert len(server.log) == len(server.lines)
        assert server.log[-1]["event"] == "stopped"
        for entry in server.log:
            assert {"event", "level", "logger", "timestamp"} <= entry.keys()
        assert server.output == b""


async def test_what_is_under_way_is_delivered_before_it_ends(tmp_path: Path) -> None:
    state = bytes(5_000_000)
    async with running(tmp_path) as server, connected(server.port) as wire:
        await wire.register("i-1")
        await wire.checkpoint("i-1", "c-1", state)
        reading = asyncio.create_task(wire.read("i-1", "c-1"))
        # Asked on the same connection afterwards: once it is answered, the server knows of both.
        await asyncio.create_task(wire.status("i-1"))
        server.process.send_signal(signal.SIGTERM)
        read = await reading
        code = await server.ended()

    assert (read.found, read.state == state) == (True, True)
    assert code == 0


async def test_an_ending_that_was_acknowledged_is_there_after_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        async with connected(server.port) as wire:
            await wire.register("i-1")
            await wire.event("i-1", pb.EVENT_COMPLETED, b"done")
        await server.terminate()
        await server.start()
        async with connected(server.port) as wire:
            status = await wire.status("i-1")

    assert (status.status, status.output) == (pb.STATUS_COMPLETED, b"done")
