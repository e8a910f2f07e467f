"""Ears: one waiting poll hears what the instance is told, and what is sent to its promises."""

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

_HELD = timedelta(seconds=60)
_TURN = timedelta(milliseconds=250)
"""How long one of several names is listened for: a poll can name but one."""


class Ears:
    """Listens for one run, from when that may be of use."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._waits: dict[str, Wait] = {}
        self._values: dict[str, bytes] = {}
        self._changed = asyncio.Event()

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
        while True:
            self._changed.clear()
            names = self._names()
            await self._look(names[1:])
            await self._once(names[0] if names else None, is_shared=len(names) > 1)

    async def look(self) -> None:
        """Read what has been sent to promises by now."""
        await self._look(self._names())

    async def _look(self, names: list[str]) -> None:
        for name in names:
            self._take(name, await self._hear(name, timedelta(0)))

    def _names(self) -> list[str]:
        return [name for name in self._waits if name not in self._values]

    def value(self, name: str) -> bytes:
        """What was sent to a name whose wait is over."""
        return self._values[name]

    async def _once(self, name: str | None, *, is_shared: bool) -> None:
        # A pending cancel or pause is told at once, again and again, until it is acknowledged.
        is_told = self._run.is_cancelled or self._run.is_pausing
        if is_told:
            await self.look()
            await self._until_changed(_TURN.total_seconds())
            return
        hearing = asyncio.create_task(self._hear(name, _TURN if is_shared else _HELD))
        changing = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait({hearing, changing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changing.cancel()
            hearing.cancel()
        if hearing.done() and not hearing.cancelled():
            heard = hearing.result()
            await self.answer(heard)
            if name is not None:
                self._take(name, heard)

    async def answer(self, heard: Heard) -> None:
        """Pass on what the instance is told; a resume is done with that."""
        if heard.told is not None:
            if heard.told is Told.RESUME:
                await self._run.reach(lambda: self._run.journal.acknowledge(Told.RESUME))
            self._run.told(heard.told)

    def _take(self, name: str, heard: Heard) -> None:
        if heard.value is not None and name in self._waits:
            self._values.setdefault(name, heard.value)
            self._waits[name].end()

    async def _hear(self, name: str | None, wait: timedelta) -> Heard:
        return await self._run.reach(lambda: self._run.journal.hear(name, wait))

    async def _until_changed(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return
