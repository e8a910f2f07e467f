"""A parent and its child, both killed at random points."""

import asyncio
from pathlib import Path

import pytest
from examples.workflows.children import parent
from tests.acceptance.workflows.launcher import KILLED, PATIENCE, Launcher, beside, launching
from tests.sdk.workflow.memory_journal import Core, life

from runtara_persistence import Instance, InstanceStatus, connect
from runtara_sdk import Ended, Outcome
from runtara_sdk.workflow.journal import Told


async def family(launcher: Launcher, delivery: str) -> tuple[Instance, Instance]:
    """Run the parent, and the child as soon as there is one."""
    given = {"order": {"item": "desk", "delivery": delivery}, "every": "300ms"}
    async with beside(child(launcher)) as younger:
        return await launcher.until_ended("children:parent", "p-1", given), await younger


async def child(launcher: Launcher) -> Instance:
    await launcher.until_known("p-1/child")
    return await launcher.until_ended("children:child", "p-1/child")


async def test_a_parent_gets_what_its_child_gives(tmp_path: Path) -> None:
    """There is one child, however often its start was made."""
    async with launching(tmp_path, seed=1, kills=2) as launcher:
        parent, _ = await family(launcher, "500ms")

    assert parent.output == b'"p-1/child: completed 1"'
    assert launcher.world.books == [("orders", {"item": "desk"})]
    assert KILLED in launcher.codes


async def test_a_cancelled_parent_takes_its_child_along(tmp_path: Path) -> None:
    """Each cleans up, and only then is cancelled."""
    async with (
        launching(tmp_path, seed=2, kills=2) as launcher,
        beside(family(launcher, "1h")) as running,
    ):
        async with asyncio.timeout(PATIENCE):
            while not launcher.world.done("orders"):  # noqa: ASYNC110 - a list tells nobody that it grows
                await asyncio.sleep(0.02)
        await launcher.cancel("p-1")
        parent, child = await running

    assert (parent.status, child.status) == (InstanceStatus.CANCELLED, InstanceStatus.CANCELLED)
    assert launcher.world.books == [("orders", {"item": "desk"}), ("undone", "desk")]
    assert KILLED in launcher.codes


async def test_a_parent_cancelled_while_it_starts_its_child_takes_it_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the start and the checkpoint that tells of it, and cancelled then."""
    url = f"sqlite:{tmp_path / 'core.db'}"
    monkeypatch.setenv("RUNTARA_DATABASE_URL", url)
    monkeypatch.setenv("RUNTARA_TENANT_ID", "acme")
    core = Core()
    given = b'{"order": {"item": "desk", "delivery": "1h"}}'

    killed = await life(parent, core, given, lambda call, is_done: call == "save start#1")
    await core.tell(Told.CANCEL)
    ended = await life(parent, core)

    async with connect(url) as persistence:
        child = await persistence.instances.get("i-1/child")
    assert (killed, ended) == (None, Ended(Outcome.CANCELLED))
    assert child is not None
    assert child.status is InstanceStatus.CANCELLED
