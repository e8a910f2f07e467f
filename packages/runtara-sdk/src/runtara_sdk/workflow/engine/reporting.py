"""Reporting: sends a running instance's waits and progress, at most once a second."""

import asyncio
from collections.abc import Callable, Iterable
from contextvars import Context

from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.engine.calls import entered
from runtara_sdk.workflow.engine.outcome import Awaited, waits
from runtara_sdk.workflow.engine.run_end import RunEnd
from runtara_sdk.workflow.engine.store import DurableStore
from runtara_sdk.workflow.errors import CoreUnavailable

logger = get_logger(__name__)

_INTERVAL = 1.0
"""Seconds between two writes at least, and how long a wait lasts before it is reported."""

_LONGEST = 8 * 1024
"""The most characters of the waits that a running process reports."""

NOTHING = waits(())


class Reporting:
    """
    Sends the core a run's waits and progress when they have changed.

    No step waits for it, and a wait of less than a second costs no request. A core that is out of
    reach gets the report later. `awaits` returns the run's present waits.
    """

    def __init__(
        self, store: DurableStore, end: RunEnd, awaits: Callable[[], Iterable[Awaited]]
    ) -> None:
        self._store = store
        self._end = end
        self._awaits = awaits
        self._reported_waits = NOTHING
        self._progress: bytes | None = None
        self._reported_progress: bytes | None = None
        self._written_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    def report(self, progress: bytes) -> None:
        """Set the run's progress; it is written at once, or a second after the last report."""
        self._progress = progress
        self._write_at(self._written_at + _INTERVAL)

    def reconsider(self) -> None:
        """Report the run's waits in a second, if they differ from the last report then."""
        if self._timer is None:
            self._write_at(asyncio.get_running_loop().time() + _INTERVAL)

    async def flush(self) -> None:
        """Report the run's progress, if it is not reported yet: the process is about to leave."""
        self.close()
        if self._writing is not None:
            await asyncio.wait([self._writing])
        if self._progress != self._reported_progress:
            await self._write(None, self._progress)

    def close(self) -> None:
        """Report nothing more by itself."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _write_at(self, when: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        # In no workflow's context: a timer of user code would keep the process from leaving.
        self._timer = loop.call_at(max(when, loop.time()), self._write_news, context=Context())

    def _write_news(self) -> None:
        self._timer = None
        if self._end.is_decided:
            return
        if self._writing is not None and not self._writing.done():
            self.reconsider()
            return
        awaited = waits(self._awaits(), _LONGEST)
        news = None if awaited == self._reported_waits else awaited
        progress = None if self._progress == self._reported_progress else self._progress
        if news is not None or progress is not None:
            self._writing = self._end.in_background(self._write(news, progress))
        if awaited != NOTHING:
            # The end of a wait calls nothing here, so the report is looked at again.
            self.reconsider()

    async def _write(self, awaited: str | None, progress: bytes | None) -> None:
        self._written_at = asyncio.get_running_loop().time()
        try:
            with entered(None):
                await self._store.report(awaited, progress)
        except CoreUnavailable as error:
            logger.warning("the instance's waits and progress can't be stored: %s", error)
            return
        self._reported_waits = self._reported_waits if awaited is None else awaited
        self._reported_progress = self._reported_progress if progress is None else progress
