"""The inbox: one held poll receives the instance's signals and the values of its promises."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from runtara_sdk.client.records import SignalType
from runtara_sdk.workflow.engine.calls import Wait
from runtara_sdk.workflow.engine.run_end import RunEnd
from runtara_sdk.workflow.engine.signals import Signals
from runtara_sdk.workflow.engine.store import DurableStore, Polled

_QUIET = 0.1
"""Seconds until a run without promises polls: answers to saves bring a short one its signals."""

_BREATH = 0.02
"""
Seconds without a poll when a promise has come and no other is waited for.

Saving the value returns pending signals too, and the workflow often awaits another promise next.
"""

_TURN = 0.25
"""Seconds between two polls for promises while every answer repeats a cancel or a pause."""

_HELD = timedelta(seconds=60)


class SignalInbox:
    """Polls for one run, from when that may be of use."""

    def __init__(self, store: DurableStore, signals: Signals, end: RunEnd) -> None:
        self._store = store
        self._signals = signals
        self._end = end
        self._waits: dict[Wait, str] = {}
        self._values: dict[str, bytes] = {}
        self._changed = asyncio.Event()

    @contextmanager
    def expecting(self, name: str, wait: Wait) -> Iterator[None]:
        """Within the block, listen for what is sent to this name: it ends the wait."""
        self._waits[wait] = name
        if name in self._values:
            # It came when the wait before this one had just been cancelled.
            wait.end()
        self._changed.set()
        try:
            yield
        finally:
            del self._waits[wait]

    def name_of(self, wait: Wait) -> str | None:
        """What is to be sent to end a wait; None: nothing is."""
        return self._waits.get(wait)

    def has(self, name: str) -> bool:
        """Return whether a value of this name has been received."""
        return name in self._values

    def value(self, name: str) -> bytes:
        """What was sent to a name whose wait is over."""
        return self._values[name]

    async def run(self) -> None:
        """Poll until cancelled."""
        await self._until_changed(_QUIET)
        while True:
            self._changed.clear()
            if self._signals.is_cancelled or self._signals.is_pausing:
                # Every poll returns that at once until it is acknowledged.
                await self.refresh()
                await self._until_changed(_TURN)
            else:
                await self._wait_for_news()

    async def refresh(self) -> None:
        """Read what has been sent to promises by now."""
        while names := self._names():
            if not self._deliver(await self._poll(names, timedelta(0))):
                return

    async def answer(self, polled: Polled) -> None:
        """Pass on a pending signal; a resume needs no more than that."""
        if polled.signal is not None:
            if polled.signal is SignalType.RESUME:
                await self._end.call_core(lambda: self._store.acknowledge(SignalType.RESUME))
            self._signals.receive(polled.signal)

    async def _wait_for_news(self) -> None:
        """Hold a poll for signals and awaited names, until it is answered or the names change."""
        poll = asyncio.create_task(self._poll(self._names(), _HELD))
        changing = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait({poll, changing}, return_when=asyncio.FIRST_COMPLETED)
            if poll.done():
                await self.answer(poll.result())
                if self._deliver(poll.result()) and not self._names():
                    await self._until_changed(_BREATH)
        finally:
            poll.cancel()
            changing.cancel()

    def _names(self) -> list[str]:
        names = dict.fromkeys(self._waits.values())
        return [name for name in names if name not in self._values]

    def _deliver(self, polled: Polled) -> bool:
        """End the waits whose values came; False: none did."""
        news = [name for name in self._names() if name in polled.values]
        for name in news:
            self._values[name] = polled.values[name]
        for wait, name in self._waits.items():
            if name in news:
                wait.end()
        return bool(news)

    async def _poll(self, names: list[str], wait: timedelta) -> Polled:
        return await self._end.call_core(lambda: self._store.poll(names, wait))

    async def _until_changed(self, seconds: float) -> None:
        # Not wait_for, which in Python 3.11 swallows a cancel that comes with the change.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
