"""The client and the installed server, each as it is."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from runtara_sdk import (
    Checkpoint,
    Client,
    InstanceStatus,
    InstanceSuperseded,
    InvalidInstanceState,
    Settings,
    ValidationFailed,
)


@asynccontextmanager
async def serving(folder: Path, port: int = 0) -> AsyncIterator[int]:
    """Run the server on the folder's database; the port it listens on. Killed, not ended."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "runtara_server",
        env=os.environ
        | {
            "RUNTARA_DATABASE_URL": f"sqlite:{folder / 'core.db'}",
            "RUNTARA_QUIC_HOST": "127.0.0.1",
            "RUNTARA_QUIC_PORT": str(port),
        },
        cwd=folder,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield await _port(process)
    finally:
        process.kill()
        await process.communicate()


async def _port(process: asyncio.subprocess.Process) -> int:
    assert process.stderr is not None
    lines = []
    async for line in process.stderr:
        lines.append(line.decode())
        if line.startswith(b"{") and json.loads(line).get("event") == "listening":
            return int(json.loads(line)["port"])
    raise AssertionError(f"the server did not start: {''.join(lines)}")


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    async with serving(tmp_path) as port:
        yield port


def instance(port: int, instance_id: str = "i-1") -> Client:
    return Client(
        Settings(
            instance_id=instance_id,
            tenant_id="t-1",
            server_addr=f"127.0.0.1:{port}",
            skip_cert_verification=True,
            # A third of it passes before a server that was killed is given up.
            request_timeout_ms=9000,
        )
    )


async def test_a_workflow_goes_from_its_first_step_to_its_end(port: int) -> None:
    """Every call, and what the core says of the instance afterwards."""
    async with instance(port) as client:
        registration = await client.register()
        fresh = await client.checkpoint("step-1", b"first")
        found = await client.checkpoint("step-1", b"second")
        await client.heartbeat()
        await client.custom_event("progress", b"half")
        empty = await client.checkpoint("step-2", b"")
        read = [await client.get_checkpoint(f"step-{n}") for n in (1, 2, 3)]
        await client.completed(b"out")
        await client.completed(b"out")
        status = await client.get_status()

    assert registration.run == 1
    assert fresh == Checkpoint(found=False, state=b"first")
    assert found == Checkpoint(found=True, state=b"first")
    assert empty == Checkpoint(found=False, state=b"")
    assert read == [b"first", b"", None]
    assert (status.status, status.output) == (InstanceStatus.COMPLETED, b"out")
    assert status.checkpoint_id == "step-2"
    assert status.started_at is not None
    assert status.finished_at is not None
    assert status.started_at <= status.finished_at


async def test_a_second_run_finds_what_the_first_has_passed(port: int) -> None:
    """And the first is told to stop."""
    async with instance(port) as first, instance(port) as second:
        await first.register()
        await first.checkpoint("step-1", b"done")

        assert (await second.register("step-1")).run == 2
        assert (await second.checkpoint("step-1", b"again")).state == b"done"
        with pytest.raises(InstanceSuperseded):
            await first.checkpoint("step-2", b"")
        await second.failed("broken")
        status = await second.get_status()

    assert (status.status, status.error) == (InstanceStatus.FAILED, "broken")


async def test_a_workflow_does_not_notice_that_the_server_was_killed(tmp_path: Path) -> None:
    """It goes on with the same run, on the server's next process."""
    async with AsyncExitStack() as stack:
        async with serving(tmp_path) as port:
            client = await stack.enter_async_context(instance(port))
            await client.register()
            await client.checkpoint("step-1", b"1")
        async with serving(tmp_path, port):
            await client.checkpoint("step-2", b"2")
            await client.completed()
            status = await client.get_status()

    assert status.status is InstanceStatus.COMPLETED
    assert status.checkpoint_id == "step-2"


async def test_refusals_arrive_as_their_classes(port: int) -> None:
    """With messages for a person."""
    async with instance(port) as client:
        await client.register()
        with pytest.raises(ValidationFailed, match="checkpoint_id"):
            await client.checkpoint("", b"")
        await client.completed()
        with pytest.raises(InvalidInstanceState, match="completed"):
            await client.checkpoint("step-1", b"")


async def test_an_unknown_instance_is_no_error(port: int) -> None:
    """Its status says so."""
    async with instance(port) as client:
        status = await client.get_status("nobody")

    assert status.status is InstanceStatus.UNKNOWN
    assert status.error is not None
    assert "not found" in status.error
