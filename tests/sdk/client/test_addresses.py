"""Several servers: whichever lives is asked, and it may change while a call is under way."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing

import pytest
from tests.sdk.fake_server import FakeServer, be_silent

from runtara_sdk import Client, ConnectionFailed, Settings


@pytest.fixture
def dead() -> Iterator[str]:
    """An address where datagrams are taken and nothing is said."""
    with closing(socket.socket(type=socket.SOCK_DGRAM)) as deaf:
        deaf.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{deaf.getsockname()[1]}"


NOBODY = "127.0.0.1:1"


@asynccontextmanager
async def listening(server: FakeServer, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Let a server listen, and give its address as a setting."""
    async with server.listen(host=host) as listener:
        port = listener.address[1]
        yield f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def test_a_dead_server_is_passed_over(settings: Callable[..., Settings], dead: str) -> None:
    """Whether it says nothing or nothing listens there, within one call."""
    living = FakeServer()
    async with listening(living) as there:
        addresses = f"{NOBODY},{dead},{there}"
        async with Client(settings(server_addr=addresses, connect_timeout_ms=200)) as client:
            await client.register()

    assert living.kinds() == ["register_instance"]


async def test_all_addresses_are_named_when_none_answers(
    settings: Callable[..., Settings], dead: str
) -> None:
    """The error has the reason for each, in the order of the attempts."""
    given = settings(server_addr=f"{NOBODY},{dead}", connect_timeout_ms=50, request_timeout_ms=300)
    async with Client(given) as client:
        with pytest.raises(ConnectionFailed) as raised:
            await client.register()

    said = str(raised.value)
    assert "127.0.0.1 port 1: nothing listens there; " in said
    assert f"{dead.replace(':', ' port ')}: no answer within 0.05 s" in said
    assert f"the client was given server_addr {NOBODY}, {dead}, and" in said


async def test_a_call_under_way_moves_to_another_server(settings: Callable[..., Settings]) -> None:
    """When its server goes; the run is continued there first."""
    first, second = FakeServer(), FakeServer()
    first.script("checkpoint", be_silent)
    async with AsyncExitStack() as lasting, listening(second) as there:
        here = await lasting.enter_async_context(listening(first))
        async with Client(settings(server_addr=f"{here},{there}")) as client:
            await client.register()
            saving = asyncio.create_task(client.checkpoint("step-1", b""))
            await first.asked("checkpoint")
            await lasting.aclose()
            await saving

    assert second.kinds() == ["register_instance", "checkpoint"]
    assert second.requests[0].register_instance.continue_run == 1


async def test_the_server_that_worked_last_is_tried_first(
    settings: Callable[..., Settings], dead: str
) -> None:
    """A reconnect doesn't wait for the dead one again, whatever the order they were given in."""
    living = FakeServer()
    async with listening(living) as there:
        given = settings(server_addr=f"{dead},{there}", connect_timeout_ms=3000)
        async with Client(given) as client:
            await client.get_status()
            living.hang_up()
            began = asyncio.get_running_loop().time()
            await client.get_status()
            took = asyncio.get_running_loop().time() - began

    assert took < 3
    assert len(living.connections) == 2


@pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
async def test_a_name_with_several_addresses_stands_for_all(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """The server may listen on any of them, and their order doesn't matter."""
    loop = asyncio.get_running_loop()
    living = FakeServer()
    async with listening(living, host) as there:
        port = int(there.rpartition(":")[2])
        found = [
            (socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("127.0.0.1", port)),
            (socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("::1", port, 0, 0)),
        ]

        async def two_addresses(*_: object, **__: object) -> object:
            return found

        monkeypatch.setattr(loop, "getaddrinfo", two_addresses)
        async with Client(settings(server_addr=f"core.example.org:{port}")) as client:
            await client.get_status()

    assert len(living.connections) == 1


async def test_a_server_on_ipv6_is_reached_by_number(settings: Callable[..., Settings]) -> None:
    """Its host stands in brackets."""
    living = FakeServer()
    async with listening(living, "::1") as there, Client(settings(server_addr=there)) as client:
        await client.get_status()

    assert living.kinds() == ["get_instance_status"]
