"""Instances in child processes: their deaths, their growth, and what can't be run there."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from tests.runtara.conftest import Shop, Ways, until
from tests.runtara.shop import WORKFLOWS, deadly, greet, parent, pid
from tests.runtara.waiting import wait

from runtara import ConfigurationError, Worker, WorkflowFailed, workflow

pytestmark = pytest.mark.slow

SUSPENDED = 100
"""Each leaves some kilobytes in its process."""


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
    """
    The one that kills its process fails when it has died alone so often; the others end.

    What was in its process is forked, and not by the worker, which has threads and connections.
    """
    async with shop.client() as client, Worker(*WORKFLOWS, where=shop.where, max_crashes=2):
        others = [await client.start(parent, number) for number in range(3)]
        await until(lambda: {f"charging {number}" for number in range(3)} <= {*shop.noted()})
        killer = await client.start(deadly)

        assert os.getpid() not in {await other.result("60s") for other in others}
        with pytest.raises(WorkflowFailed, match="crashed 2 times in a row"):
            await killer.result("60s")

    assert [one for one in shop.noted() if one == "deadly"] == ["deadly"] * 3


async def test_a_child_that_has_grown_is_replaced(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What suspended runs leave is gone with the process that they were in; none is unwound."""
    monkeypatch.setenv("FINALLY", str(tmp_path / "finally"))
    monkeypatch.setattr("runtara.children.GROWTH", 1 << 20)
    async with shop.client() as client, Worker(wait, pid, where=shop.where):
        before = await (await client.start(pid)).result("60s")
        handles = await asyncio.gather(*(client.start(wait, number) for number in range(SUSPENDED)))
        for handle in handles:
            await Ways.until_waiting(handle)
        after = await (await client.start(pid)).result("60s")
        await until(lambda: not os.path.exists(f"/proc/{before}"))

    assert before != after
    assert not (tmp_path / "finally").exists()


async def test_what_no_module_holds_is_refused_by_name(shop: Shop) -> None:
    @workflow
    async def inner() -> None:
        """Nothing finds it."""

    with pytest.raises(ConfigurationError, match="define it at the top level of a module"):
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
    assert b'put the start under `if __name__ == "__main__":`' in said
