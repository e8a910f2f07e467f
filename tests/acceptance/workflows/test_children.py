"""A parent and its child, both killed at random points."""

import asyncio
from pathlib import Path

import pytest
from examples.workflows.children import parent
from tests.acceptance.workflows.launcher import KILLED, PATIENCE, Launcher, beside, launching
from tests.sdk.workflow.memory_store import Core, life

from runtara_persistence import (
    OPEN,
    Caller,
    Ending,
    Instance,
    InstanceStatus,
    NewInstance,
    State,
    SystemClock,
    connect,
)
from runtara_sdk import Ended, Outcome, SignalType
from runtara_sdk.workflow.engine.outcome import restarted

GIVEN = b'{"order": {"item": "desk", "delivery": "1h"}}'


async def family(launcher: Launcher, delivery: str) -> tuple[Instance, Instance]:
    """Run the parent, and the child as soon as there is one."""
    given = {"order": {"item": "desk", "delivery": delivery}, "pause": "PT0.3S"}
    async with beside(child(launcher)) as younger:
        return await launcher.until_ended("children:parent", "p-1", given), await younger


async def child(launcher: Launcher) -> Instance:
    await launcher.until_known("p-1/child")
    return await launcher.until_ended("children:child", "p-1/child")


async def test_a_parent_gets_what_its_child_gives(tmp_path: Path) -> None:
    """There is one child, however often its start was made."""
    async with launching(tmp_path, seed=1, kills=2) as launcher:
        parent, _ = await family(launcher, "500ms")

    assert parent.output == b'"desk was ordered, number 1"'
    assert launcher.world.books == [("orders", {"item": "desk"})]
    assert KILLED in launcher.codes


async def test_a_cancelled_parent_takes_its_child_along(tmp_path: Path) -> None:
    """Each cleans up, and only then is cancelled."""
    async with (
        launching(tmp_path, seed=2, kills=2) as launcher,
        beside(family(launcher, "1h")) as running,
    ):
        async with asyncio.timeout(PATIENCE):
            while not launcher.world.done("orders"):  # noqa: ASYNC110 - a list has no event
                await asyncio.sleep(0.02)
        await launcher.cancel("p-1")
        parent, child = await running

    assert (parent.status, child.status) == (InstanceStatus.CANCELLED, InstanceStatus.CANCELLED)
    assert launcher.world.books == [("orders", {"item": "desk"}), ("undone", "desk")]
    assert KILLED in launcher.codes


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database that the steps of a parent find, whose own journal is in memory."""
    url = f"sqlite:{tmp_path / 'core.db'}"
    monkeypatch.setenv("RUNTARA_DATABASE_URL", url)
    monkeypatch.setenv("RUNTARA_TENANT_ID", "acme")
    return url


async def test_a_parent_gets_the_error_of_its_child(url: str) -> None:
    """One that had ended before the parent looked for the first time."""
    async with connect(url) as core:
        now = SystemClock().now()
        await core.instances.create(NewInstance("i-1/child", "acme"), at=now)
        failed = Ending(State.FAILED, error="ValueError: no more desks")
        await core.instances.finish(Caller("i-1/child"), failed, when=OPEN, at=now)

    ended = await life(parent, Core(), GIVEN)

    assert ended is not None
    assert ended.output == (
        b'"desk was not ordered: i-1/child has failed: ValueError: no more desks"'
    )


async def test_a_child_that_has_restarted_itself_is_followed(url: str) -> None:
    """What it gives in the end is what the parent gets; its successor is what is cancelled."""
    core = Core()
    async with connect(url) as persistence:
        now = SystemClock().now()
        await persistence.instances.create(NewInstance("i-1/child", "acme"), at=now)
        await persistence.instances.create(NewInstance("i-1/child~2", "acme"), at=now)
        gone_on = Ending(State.COMPLETED, output=restarted("i-1/child").output)
        await persistence.instances.finish(Caller("i-1/child"), gone_on, when=OPEN, at=now)
        asleep = await life(parent, core, GIVEN)
        await core.tell(SignalType.CANCEL)
        ended = await life(parent, core)
        successor = await persistence.instances.get("i-1/child~2")

    assert (asleep, ended) == (Ended(Outcome.SUSPENDED), Ended(Outcome.CANCELLED))
    assert successor is not None
    assert successor.status is InstanceStatus.CANCELLED


async def test_a_parent_cancelled_while_it_starts_its_child_takes_it_along(
    url: str,
) -> None:
    """Killed between the start and the checkpoint that tells of it, and cancelled then."""
    core = Core()

    killed = await life(parent, core, GIVEN, lambda call, is_done: call == "save start#1")
    await core.tell(SignalType.CANCEL)
    ended = await life(parent, core)

    async with connect(url) as persistence:
        child = await persistence.instances.get("i-1/child")
    assert (killed, ended) == (None, Ended(Outcome.CANCELLED))
    assert child is not None
    assert child.status is InstanceStatus.CANCELLED
