"""The watchdog: a thread that sends heartbeats, and finds out when the event loop is blocked."""

import asyncio
import math
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Self

from runtara_sdk.client.client import Client
from runtara_sdk.client.heartbeat import beat
from runtara_sdk.client.settings import Settings
from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.values.tracebacks import in_user_code, stack

logger = get_logger(__name__)

_BLOCKED = 1.0
"""Seconds after which a blocked loop is logged."""

_TICK = 0.25

_LOOKS = 3
"""How many samples of a blocked loop are taken before user code is named as the cause."""

_MOSTLY = 0.75
"""The share of samples in which user code must run for it to be blamed."""


class HeartbeatThread:
    """
    Sends heartbeats from a thread, over a connection of its own, for the block.

    A loop that user code blocks for a second is logged once, with the blocking stack. `interval` is
    in seconds; without settings, or with 0, no heartbeats are sent.
    """

    def __init__(self, settings: Settings | None = None, interval: float = 0) -> None:
        self._settings = settings
        self._interval = interval
        self._thread: threading.Thread | None = None
        self._watched = threading.get_ident()
        self._ticked_at = monotonic()
        self._tick: asyncio.TimerHandle | None = None
        self._ended = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._tick is not None:
            self._tick.cancel()
        if self._thread is not None:
            self._ended.set()
            if self._loop is not None and self._end is not None:
                # Closed: the thread has ended by itself.
                with suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()

    def begin(self) -> None:
        """Begin; call it in the loop to watch. A second call does nothing."""
        if self._thread is None:
            self._loop_ticked()
            # A daemon thread: a process that ends at once doesn't wait for it.
            self._thread = threading.Thread(target=self._run, name="runtara-life", daemon=True)
            self._thread.start()

    def _loop_ticked(self) -> None:
        self._ticked_at = monotonic()
        self._tick = asyncio.get_running_loop().call_later(_TICK, self._loop_ticked)

    def _run(self) -> None:
        # An event loop would cost a short run milliseconds: the thread makes one at the first
        # heartbeat.
        seen = _Blocked()
        sends = self._settings is not None and self._interval > 0
        due = monotonic() + self._interval if sends else math.inf
        while not self._ended.wait(min(_TICK, max(due - monotonic(), 0))):
            self._look(seen)
            if monotonic() >= due:
                asyncio.run(self._until_ended(seen))
                return

    async def _until_ended(self, seen: "_Blocked") -> None:
        self._end, self._loop = asyncio.Event(), asyncio.get_running_loop()
        if self._ended.is_set():
            return
        tasks = [asyncio.create_task(self._watch(seen)), asyncio.create_task(self._heartbeat())]
        await self._end.wait()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    async def _heartbeat(self) -> None:
        async with Client(self._settings) as client:
            await beat(client.heartbeat, self._interval, is_due=True)

    async def _watch(self, seen: "_Blocked") -> None:
        while True:
            await asyncio.sleep(_TICK)
            self._look(seen)

    def _look(self, seen: "_Blocked") -> None:
        frame = sys._current_frames().get(self._watched)
        if frame is None or monotonic() - self._ticked_at < _TICK:
            return
        # Only names are read: a reference to a frame would keep all its objects alive.
        if (
            seen.by(self._ticked_at, in_user_code(frame))
            and monotonic() - self._ticked_at >= _BLOCKED
        ):
            seen.is_named = True
            logger.warning(
                "the workflow's event loop has been blocked for a second: make what blocks it"
                " a step that is a plain function, which runs in a thread\n%s",
                stack(frame),
            )


@dataclass(slots=True)
class _Blocked:
    """
    The samples of one long iteration of the loop.

    An iteration also takes long if the SDK has much to do, if a busy machine gives the process no
    time, or if the process was stopped. So user code is named only if it ran in nearly all samples.
    """

    ticked_at: float = 0.0
    looks: int = 0
    of_users: int = 0
    is_named: bool = False

    def by(self, ticked_at: float, is_users: bool) -> bool:
        """Note a sample; return whether user code blocks the loop, at most once an iteration."""
        if ticked_at != self.ticked_at:
            self.ticked_at, self.looks, self.of_users, self.is_named = ticked_at, 0, 0, False
        self.looks += 1
        self.of_users += is_users
        often = self.looks >= _LOOKS and self.of_users >= _MOSTLY * self.looks
        return is_users and often and not self.is_named
