"""What tests of waits need: a scripted watch, and ways to wait."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from tests.domain.desk import settled

from runtara_domain.error import DatabaseError
from runtara_domain.sessions import InstanceSlots, Session
from runtara_domain.waits import Wait, WakeReason


class ScriptedWatch:
    """A database's watch: it notes its blocks, tells what it is given, and fails when told to."""

    def __init__(self) -> None:
        self.entered = 0
        self.left = 0
        self.is_out = False
        self.told: Callable[[Collection[str] | None], None] = lambda _: None

    @asynccontextmanager
    async def __call__(
        self, changed: Callable[[Collection[str] | None], None]
    ) -> AsyncIterator[None]:
        await asyncio.sleep(0)
        if self.is_out:
            raise DatabaseError("the disk is gone")
        self.entered += 1
        self.told = changed
        try:
            yield
        finally:
            self.left += 1


def session() -> Session:
    """Open a session of its own."""
    return InstanceSlots(1).open_session()


async def woken(wait: Wait) -> WakeReason:
    """Wait for its news."""
    async with asyncio.timeout(60):
        return await wait.next()


async def sleeping(wait: Wait) -> "asyncio.Task[WakeReason]":
    """Wait for news, and see that none comes."""
    task = asyncio.create_task(wait.next())
    await settled()
    assert not task.done()
    return task
