"""Suspects in a worker whose processes are pretended: how many begin, and what else goes on."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import cast

import pytest
from tests.runtara.conftest import until
from tests.runtara.shop import greet

from runtara import children, locating, running
from runtara.core import INFRASTRUCTURE, Order, RunStore
from runtara.processes import Process
from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_sdk.workflow.api.workflows import Workflow
from runtara_sdk.workflow.engine.outcome import Ended, Outcome

PLACES = 2


class Pretended:
    """A process that does nothing, and ends when it is told to."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel.dup()
        self._code: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    def say(self, message: dict[str, object]) -> None:
        """Send the worker a message."""
        self._channel.send(json.dumps(message).encode() + b"\n")

    def end(self, code: int | None) -> None:
        """End as a process does, with a code or minus a signal; None: that is lost."""
        if not self._code.done():
            self._code.set_result(code)
            self._channel.close()

    def kill(self) -> None:
        self.end(-9)

    async def wait(self) -> int | None:
        return await self._code


class Spawned(list[Pretended]):
    """The processes that were started in one way, in their order."""

    problem: OSError | None = None

    async def __call__(self, channel: socket.socket) -> tuple[Process, bytes]:
        if self.problem is not None:
            raise self.problem
        self.append(Pretended(channel))
        return self[-1], b""

    def end_if_unused(self) -> None:
        """Nothing is forked."""

    async def close(self) -> None:
        """Nothing is forked."""


class Rig:
    """
    The runs of a worker, the ends that they reported, and the processes.

    codes: how the first shared processes end before they are ready.
    """

    codes: tuple[int, ...] = ()

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shared, self.forked, self.ends = Spawned(), Spawned(), dict[str, LaunchEnd]()
        monkeypatch.setattr(children, "Interpreters", lambda _: self.shared)
        monkeypatch.setattr(children, "Forks", lambda *_: self.forked)
        monkeypatch.setattr(children, "places", lambda: PLACES)

    @asynccontextmanager
    async def runs(self, *, isolated: bool = False) -> AsyncIterator[children.ChildRuns]:
        """Open the runs, whose first process is ready."""
        assert isinstance(greet, Workflow)
        runs = children.ChildRuns(
            locating.locate("sqlite:none.db"),
            {"greet": greet},
            self.ends.__setitem__,
            isolated=isolated,
            threads=1,
        )
        ready = asyncio.create_task(runs.ready())
        try:
            for code in self.codes:
                await until(lambda: bool(self.shared))
                self.shared.pop().end(code)
            await until(lambda: bool(self.shared))
            self.shared[0].say({"ready": True})
            await ready
            yield runs
        finally:
            await runs.close()

    async def until_forked(self, number: int) -> None:
        """Wait until so many processes were forked."""
        await until(lambda: len(self.forked) == number)


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    """Pretended processes."""
    return Rig(monkeypatch)


def order(number: int, *, is_suspect: bool = True) -> Order:
    return Order(f"l{number}", f"i{number}", "t", "greet", is_suspect=is_suspect)


async def test_a_few_begin_at_once_and_healthy_ones_are_not_held_back(rig: Rig) -> None:
    async with rig.runs() as runs:
        for number in range(4):
            runs.start(order(number))
        runs.start(order(9, is_suspect=False))
        await rig.until_forked(PLACES)
        assert [child.is_alone for child in runs.children if "l9" in child.orders] == [False]
        assert all(f"l{number}" in runs for number in (0, 1, 2, 3, 9))
        assert len(rig.forked) == PLACES

        rig.forked[1].say({"ready": True})
        await rig.until_forked(PLACES + 1)
        rig.forked[0].end(-11)
        await rig.until_forked(PLACES + 2)


async def test_one_that_waits_leaves_at_once(rig: Rig) -> None:
    """It needs no process, neither to be handed over nor to be killed."""
    async with rig.runs() as runs:
        for number in range(4):
            runs.start(order(number))
        await rig.until_forked(PLACES)
        runs.leave("l2")
        runs.kill("l3")
        assert [(end.cause, end.exit_code, end.reports) for end in rig.ends.values()] == [
            (Cause.EXITED, INFRASTRUCTURE, True),
            (Cause.KILLED, None, True),
        ]
        assert "l2" not in runs
        assert "l3" not in runs


async def test_a_start_that_hangs_keeps_others_from_their_turn_for_a_while_only(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may still succeed."""
    monkeypatch.setattr(children, "_LONGEST_START", 0.01)
    async with rig.runs() as runs:
        for number in range(PLACES + 1):
            runs.start(order(number))
        await rig.until_forked(PLACES + 1)
        assert "l0" in runs
        rig.forked[0].say({"ready": True})
        [first] = [child for child in runs.children if "l0" in child.orders]
        await first.ready
        assert "l0" in runs


async def test_no_suspect_is_forked_where_each_run_is_isolated(rig: Rig) -> None:
    async with rig.runs(isolated=True) as runs:
        runs.start(order(0))
        await until(lambda: len(rig.shared) == 2)
    assert not rig.forked


async def test_one_that_waits_never_begins_when_the_worker_has_ended(rig: Rig) -> None:
    """The ends of those before it free their places, but there is no turn any more."""
    async with rig.runs() as runs:
        for number in range(2 * PLACES):
            runs.start(order(number))
        await rig.until_forked(PLACES)
    assert len(rig.forked) == PLACES
    assert not runs.children
    with pytest.raises(ConnectionError, match="closed"):
        runs.start(order(9))


@pytest.mark.parametrize(
    ("is_ready", "code", "cause"),
    [
        (True, -11, Cause.KILLED),
        (True, 7, Cause.EXITED),
        (True, None, Cause.RUNNER_FAILED),
        (False, -11, Cause.RUNNER_FAILED),
    ],
)
async def test_a_death_counts_if_it_ran_alone(
    rig: Rig, is_ready: bool, code: int | None, cause: Cause
) -> None:
    """A process that died before it ran anything was not killed by its instance."""
    async with rig.runs() as runs:
        runs.start(order(0))
        await rig.until_forked(1)
        if is_ready:
            rig.forked[0].say({"ready": True})
            [alone] = [child for child in runs.children if child.is_alone]
            await alone.ready
        rig.forked[0].end(code)
        await until(lambda: "l0" in rig.ends)
    assert rig.ends["l0"].cause is cause


async def test_what_cant_be_started_is_reported(rig: Rig) -> None:
    """Its place is free again, and the launch is tried again later."""
    async with rig.runs() as runs:
        rig.forked.problem = OSError("no memory")
        for number in range(4):
            runs.start(order(number))
        await until(lambda: len(rig.ends) == 4)
    assert {end.cause for end in rig.ends.values()} == {Cause.RUNNER_FAILED}


async def test_a_first_process_that_is_killed_while_it_starts_is_replaced(rig: Rig) -> None:
    """The worker has not failed: something killed a process that ran nothing yet."""
    rig.codes = (-9, -9)
    async with rig.runs() as runs:
        runs.start(order(0, is_suspect=False))
        assert "l0" in runs


async def test_a_suspect_that_waits_gives_its_process_up_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What wakes it finds it harmless so far, and it shares a process again."""
    spans: list[timedelta] = []

    async def executed(workflow: Workflow[..., None], *_: object, **__: object) -> Ended:
        spans.append(workflow.options.suspend_after)
        return Ended(Outcome.DONE)

    class Stores:
        @asynccontextmanager
        async def open(self, *_: object) -> AsyncIterator[RunStore]:
            yield cast("RunStore", None)

    monkeypatch.setattr(running, "execute", executed)
    assert isinstance(greet, Workflow)
    ends: dict[str, LaunchEnd] = {}
    runs = running.Runs({"greet": greet}, Stores(), ends.__setitem__)
    runs.start(order(0, is_suspect=True))
    runs.start(order(1, is_suspect=False))
    await until(lambda: len(ends) == 2)
    assert spans == [timedelta(seconds=1), timedelta(seconds=60)]
