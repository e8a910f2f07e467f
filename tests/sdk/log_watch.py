"""Log lines, as events to wait for."""

import asyncio
import logging


class LogWatch(logging.Handler):
    """Keeps each line; `seen` waits for one that holds a text."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._new = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self._new.set()

    async def seen(self, text: str) -> None:
        async with asyncio.timeout(60):
            while not any(text in line for line in self.lines):
                self._new.clear()
                await self._new.wait()
