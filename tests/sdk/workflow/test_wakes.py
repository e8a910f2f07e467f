"""A value that is sent while its workflow leaves: it arrives, or the instance is due at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support.postgres import migrated_database
from tests.support.server_process import running

from runtara_persistence import (
    Claim,
    CustomSignal,
    Persistence,
    SendCustomSignal,
    SystemClock,
    connect,
)
from runtara_sdk import Ended, Outcome, Workflow, promise, sleep, workflow
from runtara_sdk.client.settings import Settings
from runtara_sdk.workflow import execute
from runtara_sdk.workflow.engine.store import DurableStore
from runtara_sdk.workflow.process.core_store import connected

pytestmark = pytest.mark.slow

PATIENCE = 25
"""Seconds: less than the 30 that a claim lasts if it is not given back."""


@workflow(suspend_after="0s")
async def asking() -> int:
    return await promise("answer", int)


@workflow(suspend_after="0s")
async def napping() -> None:
    await sleep("1d")


class Moment(StrEnum):
    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


class Meeting:
    """A journal at whose n-th call something happens."""

    def __init__(
        self, journal: DurableStore, act: Callable[[], Awaitable[None]], call: int, moment: Moment
    ) -> None:
        self.calls = 0
        self._journal = journal
        self._act = act
        self._call = call
        self._moment = moment

    def __getattr__(self, name: str) -> object:
        found = getattr(self._journal, name)
        return self._met(found) if callable(found) else found

    def _met(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def met(*arguments: object) -> object:
            self.calls += 1
            if self.calls != self._call:
                return await call(*arguments)
            if self._moment is Moment.BEFORE:
                await self._act()
            acting = asyncio.create_task(self._when(Moment.DURING))
            answer = await call(*arguments)
            await acting
            if self._moment is Moment.AFTER:
                await self._act()
            return answer

        return met

    async def _when(self, moment: Moment) -> None:
        if self._moment is moment:
            await self._act()


class Life:
    """Runs an instance on a server, and sends to it at a given moment of its first run."""

    def __init__(self, core: Persistence, port: int, instance_id: str) -> None:
        self.workflow: Workflow[[], Any] = asking
        self._core = core
        self._id = instance_id
        self._settings = Settings(
            instance_id=instance_id,
            tenant_id="t-1",
            server_addr=f"127.0.0.1:{port}",
            skip_cert_verification=True,
            heartbeat_interval_ms=0,
        )

    async def run(self, call: int = 0, moment: Moment = Moment.BEFORE) -> tuple[Ended, int]:
        """Run once, sending at a call of its journal: how it ended, and how many calls it made."""
        async with connected(self._settings) as journal:
            meeting = Meeting(journal, self.send, call, moment)
            return await execute(self.workflow, cast("DurableStore", meeting)), meeting.calls

    async def send(self) -> None:
        send = SendCustomSignal(self._core.signals, SystemClock())
        await send(instance_id=self._id, signal=CustomSignal("answer", b"4"))

    async def until_due(self) -> None:
        async with asyncio.timeout(PATIENCE):
            # A row has no event.
            while not await self.is_due():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def deadline(self) -> datetime | None:
        found = await self._core.instances.get(self._id)
        assert found is not None
        return found.sleep_until

    async def is_due(self) -> bool:
        now = SystemClock().now()
        due = await self._core.claims.claim_due(Claim("test", now), limit=10, at=now)
        return self._id in [one.instance_id for one in due]


@pytest.fixture(params=["sqlite", "postgres"])
async def life(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Callable[[str], Life]]:
    with ExitStack() as stack:
        url = f"sqlite:{tmp_path / 'core.db'}"
        if request.param == "postgres":
            url = stack.enter_context(migrated_database())
        async with running(tmp_path, RUNTARA_DATABASE_URL=url) as server, connect(url) as core:
            yield lambda instance_id: Life(core, server.port, instance_id)


async def test_a_value_sent_at_any_moment_is_heard_or_makes_the_instance_due(
    life: Callable[[str], Life],
) -> None:
    """This holds at every call of the core that the leaving process makes, and after it."""
    left, calls = await life("left").run()
    assert (left, await life("left").is_due()) == (Ended(Outcome.SUSPENDED), False)

    # The first call begins the run: before it the instance does not exist.
    meetings = [(call, moment) for moment in Moment for call in range(2, calls + 1)]
    for call, moment in [(1, Moment.AFTER), *meetings]:
        one = life(f"{moment}-{call}")
        ended, _ = await one.run(call, moment)
        if ended.outcome is Outcome.SUSPENDED:
            # A poll that waits may never be answered; if it was sent, this one changes nothing.
            await one.send()
            await one.until_due()
            ended, _ = await one.run()
        assert ended == Ended(Outcome.DONE, b"4"), f"{moment} call {call} of {calls}"


async def test_an_instance_that_awaits_something_else_sleeps_what_is_left(
    life: Callable[[str], Life],
) -> None:
    """A run that is launched early polls, and suspends again with the deadline that it had."""
    one = life("napping")
    one.workflow = napping
    await one.run()
    deadline = await one.deadline()
    await one.send()
    await one.until_due()

    again, _ = await one.run()

    assert again == Ended(Outcome.SUSPENDED)
    assert await one.deadline() == deadline
    assert not await one.is_due()
