"""Ears: waiting polls hear what the instance is told, and what is sent to its promises."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from runtara_sdk.workflow.journal import Heard, Told
from runtara_sdk.workflow.places import Wait

if TYPE_CHECKING:
    from runtara_sdk.workflow.run import Run

_QUIET = 0.1
"""Seconds until a run without promises listens: short ones hear with the answers to their saves."""

_AT_ONCE = 16
"""
How many polls wait at the same time, as each can name but one promise.

More would cost: each packet walks all open streams of its connection.
"""

_HELD = timedelta(seconds=60)
_TURN = timedelta(milliseconds=250)
"""How long a promise is listened for where there are more of them than polls."""


class Ears:
    """Listens for one run, from when that may be of use."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._waits: dict[str, Wait] = {}
        self._values: dict[str, bytes] = {}
        self._changed = asyncio.Event()
        self._polls: dict[str | None, asyncio.Task[Heard]] = {}
        self._hold = _HELD

    @contextmanager
    def promised(self, name: str, wait: Wait) -> Iterator[None]:
        """Within the block, listen for what is sent to this name: it ends the wait."""
        self._waits[name] = wait
        self._changed.set()
        try:
            yield
        finally:
            del self._waits[name]

    async def listen(self) -> None:
        """Listen until cancelled."""
        await self._until_changed(_QUIET)
        try:
            while True:
                self._changed.clear()
                await self._listen_once()
        finally:
            self._drop_polls()

    async def _listen_once(self) -> None:
        if self._run.is_cancelled or self._run.is_pausing:
            # That is told at once, again and again, until it is acknowledged.
            self._drop_polls()
            await self.look()
            await self._until_changed(_TURN.total_seconds())
        else:
            self._poll()
            await self._answers()

    async def look(self) -> None:
        """Read what has been sent to promises by now."""
        names = self._names()
        heard = await asyncio.gather(*(self._hear(name, timedelta(0)) for name in names))
        for name, one in zip(names, heard, strict=True):
            self._take(name, one)

    def _names(self) -> list[str]:
        return [name for name in self._waits if name not in self._values]

    def value(self, name: str) -> bytes:
        """What was sent to a name whose wait is over."""
        return self._values[name]

    def _poll(self) -> None:
        """Let a poll wait for each name, or for as many as there may be, the longest unheard."""
        names = self._names()
        hold = _TURN if len(names) > _AT_ONCE else _HELD
        if hold != self._hold:
            self._drop_polls()
            self._hold = hold
        wanted: list[str | None] = [*names] or [None]
        for name in self._polls.keys() - set(wanted):
            self._polls.pop(name).cancel()
        unheard = [name for name in wanted if name not in self._polls]
        for name in unheard[: _AT_ONCE - len(self._polls)]:
            self._polls[name] = asyncio.create_task(self._hear(name, hold))

    def _drop_polls(self) -> None:
        for poll in self._polls.values():
            poll.cancel()
        self._polls.clear()

    async def _answers(self) -> None:
        """Wait for polls to be answered, or for other names to be wanted."""
        changing = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait(
                {changing, *self._polls.values()}, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            changing.cancel()
        heard = {name: poll.result() for name, poll in self._polls.items() if poll.done()}
        for name in heard:
            del self._polls[name]
        told = [one for one in heard.values() if one.told is not None]
        if told:
            # The others would say it too, when it may be so no more.
            self._drop_polls()
            await self.answer(told[0])
        for name, one in heard.items():
            if name is not None:
                self._take(name, one)

    async def answer(self, heard: Heard) -> None:
        """Pass on what the instance is told; a resume is done with that."""
        if heard.told is not None:
            if heard.told is Told.RESUME:
                await self._run.reach(lambda: self._run.journal.acknowledge(Told.RESUME))
            self._run.told(heard.told)

    def _take(self, name: str, heard: Heard) -> None:
        wait = self._waits.pop(name, None)
        if wait is None:
            return
        # Heard just now, it is the last to be heard again.
        self._waits[name] = wait
        if heard.value is not None:
            self._values.setdefault(name, heard.value)
            wait.end()

    async def _hear(self, name: str | None, wait: timedelta) -> Heard:
        return await self._run.reach(lambda: self._run.journal.hear(name, wait))

    async def _until_changed(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return
