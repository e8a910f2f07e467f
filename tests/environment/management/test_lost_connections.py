"""What a wait does when its environment is gone."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from runtara_management_sdk import ManagementSettings
from runtara_management_sdk.transport import Transport
from runtara_protocol.frame import HEADER_SIZE, MessageType, encode
from runtara_protocol.pb import environment_pb2 as pb
from runtara_protocol.quic.error import ConnectionLost
from runtara_sdk.errors import ConnectionFailed

WAIT = pb.RpcRequest(wait_instance=pb.WaitInstanceRequest(instance_id="i"))
ANSWER = pb.RpcResponse(wait_instance=pb.WaitInstanceResponse())
HOUR = 3600.0


class Scripted:
    """A connection with scripted exchanges, one after another; then there is none."""

    addresses = "there"

    def __init__(self, *exchanges: Callable[[], Awaitable[bytes]]) -> None:
        self._exchanges = list(exchanges)
        self.attempts = 0
        self.asked: list[pb.RpcRequest] = []

    async def connected(self) -> "Scripted":
        self.attempts += 1
        if not self._exchanges:
            await asyncio.sleep(0)
            raise ConnectionFailed("nothing listens there")
        return self

    async def exchange(self, request: bytes) -> bytes:
        self.asked.append(pb.RpcRequest.FromString(request[HEADER_SIZE:]))
        return await self._exchanges.pop(0)()

    async def lost(self, connection: object, error: ConnectionLost) -> ConnectionFailed:
        return ConnectionFailed("it was lost")

    def answered(self) -> None:
        """Nothing is noted."""


async def lost() -> bytes:
    raise ConnectionLost("gone")


async def soon_lost() -> bytes:
    await asyncio.sleep(0.02)
    raise ConnectionLost("gone")


async def late() -> bytes:
    """Answer after more than a request's time, within that of a wait."""
    await asyncio.sleep(0.2)
    return encode(MessageType.RESPONSE, ANSWER.SerializeToString())


def transport(connection: Scripted) -> Transport:
    made = Transport(ManagementSettings(environment_addr="127.0.0.1:1", request_timeout_ms=100))
    made._connection = connection  # type: ignore[assignment]  # Scripted.
    return made


async def test_a_wait_gives_up_when_no_environment_comes_back() -> None:
    """It gives up after the timeout of a request, not of the wait."""
    connection = Scripted(lost)

    async with asyncio.timeout(60):
        with pytest.raises(ConnectionFailed):
            await transport(connection).ask(WAIT, hold=HOUR)
    assert connection.attempts > 2


async def test_a_wait_goes_on_where_an_environment_comes_back() -> None:
    """The wait keeps all its time."""
    connection = Scripted(lost, late)

    answer = await transport(connection).ask(WAIT, hold=HOUR)

    assert isinstance(answer, pb.WaitInstanceResponse)
    assert connection.attempts == 2


async def test_a_wait_over_connections_that_are_lost_again_and_again_ends_in_time() -> None:
    """Each time it asks for no more than what is left of its wait."""
    connection = Scripted(*[soon_lost] * 10_000)
    wait = pb.RpcRequest(wait_instance=pb.WaitInstanceRequest(instance_id="i", wait_ms=300))

    async with asyncio.timeout(60):
        with pytest.raises(ConnectionFailed):
            await transport(connection).ask(wait, hold=0.3)
    first, *others = [one.wait_instance.wait_ms for one in connection.asked]
    assert first == 300
    assert others == sorted(others, reverse=True)
    assert others[-1] < first
