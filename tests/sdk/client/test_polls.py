"""Polling signals: read at once, or waited for."""

import asyncio

import pytest
from tests.sdk.fake_server import Act, FakeServer, be_silent, hold_until, reply, send

from runtara_protocol.frame import MessageType, encode
from runtara_protocol.pb.instance_pb2 import (
    CustomSignal,
    ListCheckpointsResponse,
    PollSignalsRequest,
    PollSignalsResponse,
    RegisterInstanceResponse,
    RpcResponse,
    SignalAck,
)
from runtara_protocol.pb.instance_pb2 import Signal as WireSignal
from runtara_protocol.pb.instance_pb2 import SignalType as WireSignalType
from runtara_protocol.quic.stream import Stream
from runtara_sdk import Client, Pending, ProtocolError, Signal, SignalType, ValidationFailed

PAUSE = RpcResponse(
    poll_signals=PollSignalsResponse(
        signal=WireSignal(signal_type=WireSignalType.SIGNAL_PAUSE, payload=b"why")
    )
)


async def test_a_poll_that_does_not_wait_is_asked_once(server: FakeServer, client: Client) -> None:
    """Nothing of waiting is sent, as to a server that cannot."""
    assert await client.poll_signals() == Pending(signal=None, custom_signal=None)
    assert [request.poll_signals for request in server.requests] == [
        PollSignalsRequest(instance_id="i-1")
    ]


async def test_a_poll_brings_the_signals(server: FakeServer, client: Client) -> None:
    """The pending signal, and what was sent to the checkpoint it names."""
    answer = PollSignalsResponse(
        signal=PAUSE.poll_signals.signal,
        custom_signal=CustomSignal(checkpoint_id="step-1", payload=b""),
    )
    server.script("poll_signals", reply(RpcResponse(poll_signals=answer)))

    assert await client.poll_signals("step-1") == Pending(Signal(SignalType.PAUSE, b"why"), b"")
    assert server.requests[0].poll_signals == PollSignalsRequest(
        instance_id="i-1", checkpoint_id="step-1"
    )


async def test_a_poll_waits_until_there_is_something(server: FakeServer, client: Client) -> None:
    """The server holds the answer."""
    told = asyncio.Event()
    server.script("poll_signals", hold_until(told, reply(PAUSE)))
    poll = asyncio.create_task(client.poll_signals(wait=30))
    request = await server.asked("poll_signals")
    assert 29_000 < request.poll_signals.wait_ms <= 30_000

    told.set()

    assert (await poll).signal == Signal(SignalType.PAUSE, b"why")
    assert len(server.requests) == 1


async def test_a_custom_signal_alone_ends_the_wait(server: FakeServer, client: Client) -> None:
    """An empty one does, too."""
    custom = CustomSignal(checkpoint_id="step-1")
    answer = PollSignalsResponse(custom_signal=custom)
    server.script("poll_signals", reply(RpcResponse(poll_signals=answer)))

    assert await client.poll_signals("step-1", wait=30) == Pending(custom_signal=b"")


async def test_a_wait_is_over_without_anything(server: FakeServer, client: Client) -> None:
    """The server's empty answer at its end."""

    async def hold_for_the_wait(stream: Stream) -> None:
        await asyncio.sleep(server.requests[-1].poll_signals.wait_ms / 1000)
        await reply(RpcResponse(poll_signals=PollSignalsResponse()))(stream)

    server.always("poll_signals", hold_for_the_wait)

    assert await client.poll_signals(wait=0.05) == Pending()
    assert len(server.requests) == 1


async def test_a_wait_longer_than_a_minute_is_asked_for_in_parts(
    server: FakeServer, client: Client
) -> None:
    """A minute is the longest that a server holds an answer."""
    server.script("poll_signals", be_silent)
    poll = asyncio.create_task(client.poll_signals(wait=3600))

    assert (await server.asked("poll_signals")).poll_signals.wait_ms == 60_000
    poll.cancel()
    with pytest.raises(asyncio.CancelledError):
        await poll


async def test_a_server_that_cannot_wait_is_asked_once_a_second(
    server: FakeServer, client: Client
) -> None:
    """It answers at once, as does one that is about to end."""
    empty = reply(RpcResponse(poll_signals=PollSignalsResponse()))
    server.script("poll_signals", empty, reply(PAUSE))
    loop = asyncio.get_running_loop()
    began = loop.time()

    assert (await client.poll_signals(wait=30)).signal is not None
    assert 1 <= loop.time() - began < 29
    assert len(server.requests) == 2


async def test_the_last_look_is_when_the_wait_is_over(server: FakeServer, client: Client) -> None:
    """A signal that comes while no server holds the answer is not missed."""
    empty = reply(RpcResponse(poll_signals=PollSignalsResponse()))
    server.script("poll_signals", empty, reply(PAUSE))

    assert (await client.poll_signals(wait=0.1)).signal is not None


async def test_a_poll_asked_again_waits_only_for_the_rest(
    server: FakeServer, client: Client
) -> None:
    """The connection may have been lost meanwhile."""
    server.script("poll_signals", be_silent, reply(PAUSE))
    poll = asyncio.create_task(client.poll_signals(wait=30))
    await server.asked("poll_signals")

    server.hang_up()
    await poll

    first, second = (request.poll_signals.wait_ms for request in server.requests)
    assert 0 < second < first


def sent(*names: str, knows_more: bool = True) -> Act:
    """Answer with the signals for these names; an old server answers for one name."""
    custom = [CustomSignal(checkpoint_id=name, payload=name.encode()) for name in names]
    if knows_more:
        answer = PollSignalsResponse(custom_signals=custom, knows_more=True)
    else:
        answer = PollSignalsResponse(custom_signal=custom[0] if custom else None)
    return reply(RpcResponse(poll_signals=answer))


async def test_one_poll_waits_for_many_checkpoints(server: FakeServer, client: Client) -> None:
    """The first question is not held: it shows whether the server knows of more than one."""
    told = asyncio.Event()
    server.script("poll_signals", sent(), hold_until(told, sent("c")), sent("a", "c"))
    poll = asyncio.create_task(client.poll_signals("a", also=["b", "c"], wait=30))
    await server.asked("poll_signals")
    await server.asked("poll_signals")
    told.set()

    assert await poll == Pending(custom_signals={"c": b"c"})
    assert await client.poll_signals("a", also=["c"]) == Pending(None, b"a", {"c": b"c"})
    first, second, third = (request.poll_signals for request in server.requests)
    asked = PollSignalsRequest(instance_id="i-1", checkpoint_id="a", more_checkpoint_ids=["b", "c"])
    assert first == asked
    assert 29_000 < second.wait_ms <= 30_000
    assert second.more_checkpoint_ids == ["b", "c"]
    assert not third.HasField("wait_ms")


async def test_a_registration_shows_a_server_that_can_hold_a_poll_for_many(
    server: FakeServer, client: Client
) -> None:
    """So the first poll is held at once."""
    empty = ListCheckpointsResponse()
    registered = RegisterInstanceResponse(success=True, run=1, checkpoints=empty)
    registered.knows_preceding = True
    server.script("register_instance", reply(RpcResponse(register_instance=registered)))
    server.script("poll_signals", sent("c"))

    await client.register(look=True)
    polled = await client.poll_signals("a", also=["b", "c"], wait=30)

    assert polled == Pending(custom_signals={"c": b"c"})
    assert [one.poll_signals.wait_ms > 29_000 for one in server.requests[1:]] == [True]


async def test_the_newest_registration_shows_it(server: FakeServer, client: Client) -> None:
    """A client that registers at an older server asks, and does not have the answer held."""
    empty = ListCheckpointsResponse()
    for knows in (True, False):
        registered = RegisterInstanceResponse(success=True, run=1, checkpoints=empty)
        registered.knows_preceding = knows
        server.script("register_instance", reply(RpcResponse(register_instance=registered)))
    server.script("poll_signals", sent("c"))

    await client.register(look=True)
    await client.register(look=True)
    await client.poll_signals("a", also=["b", "c"], wait=30)

    assert not server.requests[-1].poll_signals.HasField("wait_ms")


async def test_what_the_first_question_brings_is_returned_at_once(
    server: FakeServer, client: Client
) -> None:
    """That question was not to be held."""
    server.script("poll_signals", sent("b"))

    assert await client.poll_signals(also=["a", "b"], wait=30) == Pending(
        custom_signals={"b": b"b"}
    )


async def test_a_server_that_knows_of_one_checkpoint_is_asked_for_each(
    server: FakeServer, client: Client
) -> None:
    """The client asks at once, and then once a second."""
    nothing = sent(knows_more=False)
    server.script("poll_signals", *[nothing] * 4, sent("b", knows_more=False))
    loop = asyncio.get_running_loop()
    began = loop.time()

    assert await client.poll_signals("a", also=["b"], wait=30) == Pending(
        custom_signals={"b": b"b"}
    )
    assert 1 <= loop.time() - began < 29
    named = [request.poll_signals.checkpoint_id for request in server.requests]
    assert named == ["a", "a", "b", "a", "b"]


async def test_a_thousand_are_asked_for_at_a_time(server: FakeServer, client: Client) -> None:
    """One answer has the signals for all of them."""
    names = [f"c-{number}" for number in range(1500)]
    server.script("poll_signals", sent("c-7"), sent("c-1400"))

    told = await client.poll_signals(also=names, wait=30)

    assert told.custom_signals == {"c-7": b"c-7", "c-1400": b"c-1400"}
    asked = [request.poll_signals for request in server.requests]
    assert [len(one.more_checkpoint_ids) + 1 for one in asked] == [1000, 500]


async def test_a_wait_of_less_than_nothing_is_refused(server: FakeServer, client: Client) -> None:
    """The error comes before anything is sent."""
    with pytest.raises(ValidationFailed, match=r"^wait: takes"):
        await client.poll_signals(wait=-1)

    assert server.requests == []


@pytest.mark.parametrize("number", WireSignalType.values())
async def test_a_signal_is_acknowledged(
    server: FakeServer, client: Client, number: WireSignalType
) -> None:
    """It may also be left pending. The answer is the end of the stream."""
    word = list(SignalType)[number]
    await client.acknowledge(word)
    await client.acknowledge(word, accepted=False)

    assert [request.signal_ack for request in server.requests] == [
        SignalAck(instance_id="i-1", signal_type=number, acknowledged=True),
        SignalAck(instance_id="i-1", signal_type=number, acknowledged=False),
    ]


async def test_what_is_no_signal_is_not_taken_for_one(server: FakeServer, client: Client) -> None:
    """An answer must be of the request's kind."""
    server.script("poll_signals", send(encode(MessageType.RESPONSE, b"")))

    with pytest.raises(ProtocolError):
        await client.poll_signals()
