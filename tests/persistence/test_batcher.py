"""When a batcher that executes groups in tasks chooses a group, and when it executes it."""

import asyncio
from collections.abc import Sequence

import pytest

from runtara_persistence.batcher import TaskBatcher, Waiting


@pytest.mark.parametrize("lead", [1, 2, 3])
async def test_a_group_is_executed_in_the_iteration_in_which_it_is_chosen(lead: int) -> None:
    """Steps that come before that iteration join the group; later steps make the next one."""
    groups: list[list[str]] = []

    async def execute(steps: Sequence[str]) -> Sequence[str]:
        groups.append(list(steps))
        await asyncio.sleep(0)
        return steps

    batcher = TaskBatcher[str, str](execute, most=10, groups=1, lead=lead)
    futures = []
    for iteration in range(lead + 1):
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        futures.append(future)
        batcher.add(Waiting(f"step {iteration}", future))
        assert groups == ([] if iteration < lead else [[f"step {each}" for each in range(lead)]])
        await asyncio.sleep(0)
    await batcher.finished()

    assert groups[1:] == [[f"step {lead}"]]
    assert [future.result() for future in futures] == [f"step {each}" for each in range(lead + 1)]
