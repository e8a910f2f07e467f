"""Thousands that sleep and poll: no task, timer or query a wait, and each is reached."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from tests.persistence.statements import Statements

from runtara_domain.error import NoAnswer
from runtara_domain.model import (
    CustomSignal,
    Pending,
    Registration,
    Signal,
    Sleep,
)
from runtara_domain.sessions import Session
from runtara_domain.status import OPEN, SignalType, State
from runtara_domain.system_clock import SystemClock
from runtara_domain.use_cases.core import Core
from runtara_persistence.sqlite.persistence import SqlitePersistence
from runtara_server.config import Settings
from runtara_server.runtime import CoreRuntime

Made = Callable[..., Settings]

SLEEPS = POLLS = 2000
PER_SESSION = 10
TENANT = "t-1"
REST = 1.5  # seconds
RENEWAL = "UPDATE instances\nSET wake_claim_until ="
RENEWALS = 16  # statements of the one renewal in ten seconds, and of the looks it causes


class Crowd:
    """Instances that sleep or poll, and what each of them is answered."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.sessions: list[Session] = []
        self.sleeps: dict[str, asyncio.Task[None]] = {}
        self.polls: dict[str, asyncio.Task[Pending]] = {}

    async def settle_down(self) -> None:
        """Register all of them, and return when each sleeps or polls."""
        for start in range(0, SLEEPS, PER_SESSION):
            self.sessions.append(self.core.open_session())
            numbers = range(start, start + PER_SESSION)
            await asyncio.gather(*(self._begin(self.sessions[-1], each) for each in numbers))
        async with asyncio.timeout(60):
            # No event tells: a sleep that is held is answered when it is over.
            while not self.is_settled:  # noqa: ASYNC110  As said.
                await asyncio.sleep(0)

    @property
    def is_settled(self) -> bool:
        """Whether all of them are held."""
        sleep = self.core.sleep
        return sleep.held.held == SLEEPS and sleep.waits.held == SLEEPS + POLLS

    async def _begin(self, session: Session, number: int) -> None:
        for name in (f"s-{number}", f"p-{number}"):
            await self.core.register_instance(
                session=session, registration=Registration(name, TENANT, None, None)
            )
        sleep = self.core.sleep(
            session=session,
            caller=session.caller(f"s-{number}"),
            sleep=Sleep("nap", b"", timedelta(hours=1)),
        )
        self.sleeps[f"s-{number}"] = asyncio.create_task(sleep)
        poll = self.core.poll_signals(
            session=session,
            caller=session.caller(f"p-{number}"),
            checkpoint_ids=["c-1"],
            wait=timedelta(minutes=1),
        )
        self.polls[f"p-{number}"] = asyncio.create_task(poll)

    async def scatter(self) -> None:
        """Let every connection go; see each sleep end without an answer, and each poll empty."""
        for session in self.sessions:
            session.close()
        slept = await asyncio.gather(*self.sleeps.values(), return_exceptions=True)
        assert {type(one) for one in slept} <= {NoAnswer, type(None)}
        await asyncio.gather(*self.polls.values())


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Statements:
    statements = Statements()
    statements.watch(monkeypatch)
    return statements


@pytest.fixture
async def crowd(statements: Statements, settings: Made, tmp_path: Path) -> AsyncIterator[Crowd]:
    made = settings(max_concurrent_instances=SLEEPS + POLLS)
    async with CoreRuntime(made) as runtime:
        crowd = Crowd(cast(Core, runtime.operations))
        await crowd.settle_down()
        yield crowd
        await crowd.scatter()
        sleep = crowd.core.sleep
        assert (crowd.core.slots.taken, sleep.waits.held, sleep.held.held) == (0, 0, 0)
        with closing(sqlite3.connect(tmp_path / "core.db")) as database:
            held = "SELECT count(*) FROM instances WHERE wake_claim_by IS NOT NULL"
            assert database.execute(held).fetchone() == (0,)


async def asked_at_rest(statements: Statements) -> list[str]:
    """Give the statements of a while in which, and just before which, no claims were renewed."""
    while True:
        statements.seen.clear()
        await asyncio.sleep(REST)  # For what the registrations still have to write.
        settling = len(statements.seen)
        await asyncio.sleep(REST)
        if not statements.of(RENEWAL):
            return statements.seen[settling:]


async def test_thousands_at_rest_cost_nothing_and_each_is_still_reached(
    crowd: Crowd, statements: Statements, tmp_path: Path
) -> None:
    """A signal of another process arrives within a tick of the watch, at most two seconds."""
    tasks = len(asyncio.all_tasks()) - len(crowd.sleeps) - len(crowd.polls)
    assert tasks < 12  # The timer, the watch, the keepers, the listener's and the test's own.

    # Everything that returns does so each tick of the watch, but for the claims' renewal.
    asked = await asked_at_rest(statements)
    assert len(asked) * 10 / REST + RENEWALS < 50

    clock = SystemClock()
    async with SqlitePersistence(str(tmp_path / "core.db")) as other:
        for name in ("s-7", "s-1999"):
            async with asyncio.timeout(20):
                await other.signals.send(name, Signal(SignalType.CANCEL), when=OPEN, at=clock.now())
                await crowd.sleeps[name]
        await other.signals.send("p-3", Signal(SignalType.PAUSE), when=OPEN, at=clock.now())
        await other.signals.send_custom(
            "p-4", CustomSignal("c-1", b"go"), when=OPEN, at=clock.now()
        )
        async with asyncio.timeout(20):
            told = [await crowd.polls["p-3"], await crowd.polls["p-4"]]
        woken = await other.instances.run_state("s-7")

    assert told[0].signal == Signal(SignalType.PAUSE)
    assert told[1].custom_signals == {"c-1": b"go"}
    assert woken is not None
    assert woken.state is State.RUNNING
    ended = [task for task in (*crowd.sleeps.values(), *crowd.polls.values()) if task.done()]
    assert len(ended) == 4
