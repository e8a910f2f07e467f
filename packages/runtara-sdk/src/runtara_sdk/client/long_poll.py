"""Waiting for signals, with servers that hold answers back and with those that can't."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

from runtara_protocol.pb.instance_pb2 import RpcRequest
from runtara_sdk.client import requests, responses
from runtara_sdk.client.calls import Calls
from runtara_sdk.client.records import Pending, Registration
from runtara_sdk.client.responses import Polled

_LONGEST_HOLD = 60.0
"""The longest time, in seconds, for which a server holds an answer back."""

_INTERVAL = 1.0
"""The shortest time, in seconds, between two polls of a server that answers at once."""

_MOST = 1000
"""The most checkpoints that one poll names."""


class LongPoll:
    """
    Polls for signals and values, for all checkpoints in one request if the server can.

    A registration's answer shows a server that can (`learn`). Otherwise the first answer to
    a poll shows it; the client allows no hold for that request. See docs/decisions/0011.
    """

    def __init__(self, calls: Calls, instance_id: str) -> None:
        self._calls = calls
        self._id = instance_id
        self._knows_more: bool | None = None

    def learn(self, registration: Registration) -> None:
        """Learn from the newest registration whether the server takes polls for several names."""
        # A server learned them before it learned `preceding`; an older one may know them or not.
        knows = registration.saved is not None and registration.saved.knows_preceding
        self._knows_more = True if knows else None

    async def poll(self, checkpoint_id: str | None, also: Sequence[str], wait: float) -> Pending:
        """Return what is pending as soon as there is anything; nothing after `wait` seconds."""
        names = [*also] if checkpoint_id is None else [checkpoint_id, *also]
        loop = asyncio.get_running_loop()
        until = loop.time() + wait

        def left() -> float:
            return max(0.0, min(_LONGEST_HOLD, until - loop.time()))

        while True:
            asked, known = loop.time(), self._knows_more
            polled = await self._ask_for_all(names, left)
            if polled != Polled() or loop.time() >= until:
                sent = dict(polled.sent)
                own = None if checkpoint_id is None else sent.pop(checkpoint_id, None)
                return Pending(polled.signal, own, sent)
            if self._knows_more is known:
                await asyncio.sleep(min(asked + _INTERVAL, until) - loop.time())

    async def _ask_for_all(self, names: Sequence[str], left: Callable[[], float]) -> Polled:
        size = 1 if self._knows_more is False else _MOST
        parts = [names[start : start + size] for start in range(0, len(names), size)] or [()]
        if len(parts) == 1 and (len(names) <= 1 or self._knows_more):
            return await self._ask(parts[0], left)
        polled = Polled()
        for part in parts:
            answer = await self._ask(part, lambda: 0.0)
            polled = Polled(answer.signal, {**polled.sent, **answer.sent})
        return polled

    async def _ask(self, names: Sequence[str], left: Callable[[], float]) -> Polled:
        def question() -> RpcRequest:
            # Sent again after a lost connection, the request waits only for the time that is left.
            return requests.poll_signals(self._id, names, timedelta(seconds=left()))

        answer = (await self._calls.ask(question, hold=left())).poll_signals
        if len(names) > 1:
            self._knows_more = answer.knows_more
        return responses.polled(answer, names)
