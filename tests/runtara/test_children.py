"""Instances in child processes: their deaths, their growth, and what can't be run there."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from tests.runtara.conftest import Shop, Ways, until
from tests.runtara.shop import WORKFLOWS, deadly, greet, large, pid, steps

from runtara import ConfigurationError, Worker, WorkflowFailed, workflow

pytestmark = pytest.mark.slow


@workflow
async def here() -> int:
    """Tell the process."""
    return os.getpid()


@pytest.mark.long
async def test_they_share_a_child_or_have_one_each(shop: Shop) -> None:
    async with shop.client() as client:
        async with Worker(pid, where=shop.where, isolate="shared"):
            shared = {await (await client.start(pid)).result("60s") for _ in range(3)}
        async with Worker(pid, where=shop.where, isolate="process"):
            alone = {await (await client.start(pid)).result("60s") for _ in range(2)}

    assert len(shared) == 1
    assert len(alone) == 2
    assert os.getpid() not in shared | alone


async def test_a_death_harms_no_other_instance(shop: Shop) -> None:
    """The one that kills its process fails when it has died alone so often; the others end."""
    async with shop.client() as client, Worker(*WORKFLOWS, where=shop.where, max_crashes=2):
        other = await client.start(steps, 1, 1.0)
        await until(lambda: "charging 0" in shop.noted())
        killer = await client.start(deadly)

        assert await other.result("60s") == 1
        with pytest.raises(WorkflowFailed, match="crashed 2 times in a row"):
            await killer.result("60s")

    assert [one for one in shop.noted() if one == "deadly"] == ["deadly"] * 3


@pytest.mark.long
async def test_a_child_that_has_grown_is_replaced(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What suspended runs leave is gone with the process that they were in."""
    monkeypatch.setattr("runtara.children.GROWTH", 32 << 20)
    async with shop.client() as client, Worker(large, pid, where=shop.where):
        before = await (await client.start(pid)).result("60s")
        for number in range(3):
            handle = await client.start(large, 16 << 20, id=f"large-{number}")
            await Ways.until_waiting(handle)
        after = await (await client.start(pid)).result("60s")

    assert before != after
    assert not os.path.exists(f"/proc/{before}")  # noqa: ASYNC240


async def test_what_no_module_holds_is_refused_by_name(shop: Shop) -> None:
    @workflow
    async def inner() -> None:
        """Nothing finds it."""

    with pytest.raises(ConfigurationError, match="define it at the top of a module"):
        Worker(inner, where=shop.where)
    with pytest.raises(ConfigurationError, match="no other process sees"):
        Worker(greet, where="sqlite::memory:", isolate="process")


async def test_none_is_this_process(shop: Shop) -> None:
    async with shop.client() as client, Worker(here, where=shop.where, isolate="none"):
        assert await (await client.start(here)).result("60s") == os.getpid()


async def test_a_program_that_is_imported_begins_no_worker(tmp_path: Path) -> None:
    """Without its guard a program would have children that have children."""
    program = tmp_path / "unguarded.py"
    program.write_text(
        "import asyncio\nfrom runtara import serve, workflow\n\n"
        "@workflow\nasync def nothing() -> None: ...\n\n"
        "asyncio.run(serve(nothing, where='sqlite:shop.db'))\n"
    )
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, str(program)), cwd=tmp_path, stderr=asyncio.subprocess.PIPE
    )
    _, said = await worker.communicate()

    assert worker.returncode == 1
    assert b'put that under `if __name__ == "__main__":`' in said
