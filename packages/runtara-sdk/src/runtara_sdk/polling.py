"""Waiting for signals, whether the server can hold its answer or not."""

import asyncio
from datetime import timedelta

from runtara_protocol.pb.instance_pb2 import RpcRequest
from runtara_sdk import answers, requests
from runtara_sdk.calls import Calls
from runtara_sdk.records import Pending

_LONGEST_HOLD = 60.0
"""Seconds for which a server holds an answer back at most."""

_INTERVAL = 1.0
"""Seconds between two questions at least: servers that hold nothing back answer at once."""


async def poll(calls: Calls, instance_id: str, checkpoint_id: str | None, wait: float) -> Pending:
    """Return what is pending as soon as there is something, or nothing after so many seconds."""
    loop = asyncio.get_running_loop()
    until = loop.time() + wait

    def left() -> float:
        return max(0.0, min(_LONGEST_HOLD, until - loop.time()))

    def question() -> RpcRequest:
        # Asked anew after a lost connection, it waits only for the rest.
        return requests.poll_signals(instance_id, checkpoint_id, timedelta(seconds=left()))

    while True:
        asked = loop.time()
        response = await calls.hold(question, at_most=left())
        pending = answers.pending(response.poll_signals)
        if pending != Pending() or loop.time() >= until:
            return pending
        await asyncio.sleep(min(asked + _INTERVAL, until) - loop.time())
