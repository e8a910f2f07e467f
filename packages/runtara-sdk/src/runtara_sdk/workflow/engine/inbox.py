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
"""
Seconds until a run without promises polls, unless it then waits for the core's answer to a call.

The answers to saves bring signals, so a short run never polls, even on a busy machine.
"""

_BREATH = 0.1
"""
Seconds without a poll after a promise's value has come and while no other is awaited.

Saving the value returns pending signals too, and the workflow often awaits another promise next.
"""

_TURN = 0.25
"""Seconds between two polls for promises while every answer repeats a cancel or a pause."""

_HELD = timedelta(seconds=60)


class SignalInbox:
    """Polls for one run, once a poll can bring something."""

    def __init__(self, store: DurableStore, signals: Signals, end: RunEnd) -> None:
        self._store = store
        self._signals = signals
        self._end = end
        self._waits: dict[Wait, str] = {}
        self._values: dict[str, bytes] = {}
        self._changed = asyncio.Event()

    @contextmanager
    def expecting(self, name: str, wait: Wait) -> Iterator[None]:
        """Within the block, a value sent to this name ends the wait."""
        self._waits[wait] = name
        if name in self._values:
            # It was looked up before, or came just after the cancel of an earlier wait.
            wait.end()
        else:
            self._changed.set()
        try:
            yield
        finally:
            del self._waits[wait]

    def name_of(self, wait: Wait) -> str | None:
        """Return the name whose value ends a wait; None: no value does."""
        return self._waits.get(wait)

    def has(self, name: str) -> bool:
        """Return whether a value of this name has been received."""
        return name in self._values

    def value(self, name: str) -> bytes:
        """Return the value that was sent to a name whose wait is over."""
        return self._values[name]

    async def look(self, name: str) -> bool:
        """Return whether a value was sent to a name so far; reads it if it is not known yet."""
        if name not in self._values:
            polled = await self._poll([name], timedelta(0))
            await self.answer(polled)
            self._deliver(polled, [name])
        return name in self._values

    async def run(self) -> None:
        """Poll until cancelled."""
        while not await self._until_changed(_QUIET) and self._end.asking:
            pass
        while True:
            self._changed.clear()
            if self._signals.is_cancelled or self._signals.is_pausing:
                # Every poll returns a pending signal at once until it is acknowledged.
                await self.refresh()
                await self._until_changed(_TURN)
            else:
                await self._wait_for_news()

    async def refresh(self) -> None:
        """Read the values that have been sent to promises so far."""
        while names := self._names():
            if not self._deliver(await self._poll(names, timedelta(0)), names):
                return

    async def answer(self, polled: Polled) -> None:
        """Pass on a pending signal; a resume needs nothing else."""
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
                if self._deliver(poll.result(), self._names()) and not self._names():
                    await self._until_changed(_BREATH)
        finally:
            poll.cancel()
            changing.cancel()

    def _names(self) -> list[str]:
        names = dict.fromkeys(self._waits.values())
        return [name for name in names if name not in self._values]

    def _deliver(self, polled: Polled, names: list[str]) -> bool:
        """Keep the values that came to these names, and end their waits; False: none came."""
        news = [name for name in names if name in polled.values]
        for name in news:
            self._values[name] = polled.values[name]
        for wait, name in self._waits.items():
            if name in news:
                wait.end()
        return bool(news)

    async def _poll(self, names: list[str], wait: timedelta) -> Polled:
        return await self._end.call_core(lambda: self._store.poll(names, wait))

    async def _until_changed(self, seconds: float) -> bool:
        """Return whether the awaited names have changed within these seconds."""
        # Not wait_for: in Python 3.11 it swallows a cancel that comes together with the change.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self._changed.wait()
        return False
