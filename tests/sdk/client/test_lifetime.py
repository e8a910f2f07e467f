"""The client as a context: open, closed, and closed under calls."""

import asyncio
import subprocess
import sys
from collections.abc import Callable

import pytest
from tests.sdk.fake_server import FakeServer, be_silent

from runtara_sdk import Client, ClientNotOpen, Settings


async def test_importing_the_sdk_loads_no_transport() -> None:
    """A workflow's start does not pay for QUIC, TLS and protobuf before it connects."""
    script = (
        "import sys, runtara_sdk\n"
        "runtara_sdk.Client(runtara_sdk.Settings(instance_id='i', tenant_id='t'))\n"
        "heavy = ('aioquic', 'cryptography', 'google.protobuf')\n"
        "ours = ('runtara_protocol.pb', 'runtara_protocol.quic', 'runtara_protocol.frame')\n"
        "sys.exit(str({name for name in sys.modules if name.startswith(heavy + ours)} or set()))\n"
    )

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stderr=subprocess.PIPE
    )
    _, stderr = await process.communicate()

    assert stderr.decode().strip() == "set()"


CALLS = (
    "register()",
    "checkpoint('c', b'')",
    "get_checkpoint('c')",
    "list_checkpoints().__anext__()",
    "start_child('c', 'w')",
    "start_children([])",
    "cancel_child('c')",
    "sleep(1, 'c')",
    "record_retry_attempt('c', 1)",
    "poll_signals()",
    "acknowledge('cancel')",
    "heartbeat()",
    "completed()",
    "failed('')",
    "suspended()",
    "custom_event('s')",
    "events([])",
    "get_status()",
)


async def test_every_call_says_that_the_client_is_not_open() -> None:
    """The process has not imported the modules that a call needs."""
    named = {call.partition("(")[0] for call in CALLS}
    assert named == {name for name in vars(Client) if not name.startswith("_")}
    script = (
        "import asyncio, runtara_sdk\n"
        "client = runtara_sdk.Client(runtara_sdk.Settings(instance_id='i', tenant_id='t'))\n"
        f"for call in {CALLS}:\n"
        "    try:\n"
        "        asyncio.run(asyncio.wait_for(eval('client.' + call), 60))\n"
        "    except runtara_sdk.ClientNotOpen:\n"
        "        print(call)\n"
    )

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=subprocess.PIPE
    )
    stdout, _ = await process.communicate()

    assert tuple(stdout.decode().splitlines()) == CALLS


async def test_a_client_is_used_while_it_is_open(settings: Callable[..., Settings]) -> None:
    """Neither before nor after; then it may be opened again."""
    client = Client(settings())
    with pytest.raises(ClientNotOpen):
        await client.get_status()
    async with client:
        await client.get_status()
    with pytest.raises(ClientNotOpen):
        await client.get_status()
    async with client:
        await client.get_status()


async def test_a_client_is_opened_once_at_a_time(client: Client) -> None:
    """The open one goes on."""
    with pytest.raises(ClientNotOpen, match="open already"):
        await client.__aenter__()

    await client.get_status()


async def test_opening_connects_nothing(
    server: FakeServer, settings: Callable[..., Settings]
) -> None:
    """The first call does; a client without one just closes."""
    async with Client(settings(server_addr="127.0.0.1:1")):
        assert server.connections == []


async def test_closing_ends_the_calls_under_way(
    server: FakeServer, settings: Callable[..., Settings]
) -> None:
    """They raise, and nothing connects again."""
    server.script("checkpoint", be_silent)
    async with Client(settings()) as client:
        call = asyncio.create_task(client.checkpoint("step-1", b""))
        await server.received.get()

    with pytest.raises(ClientNotOpen, match="closed"):
        await call
    assert len(server.connections) == 1


async def test_closing_ends_a_connection_being_opened(
    server: FakeServer, settings: Callable[..., Settings]
) -> None:
    """A caller that waits for it gets an error."""
    async with Client(settings()) as client:
        await client.register()
        server.hang_up()
        server.script("register_instance", be_silent)
        call = asyncio.create_task(client.checkpoint("step-1", b""))
        while server.kinds().count("register_instance") < 2:
            await server.received.get()

    with pytest.raises(ClientNotOpen, match="closed"):
        await call
