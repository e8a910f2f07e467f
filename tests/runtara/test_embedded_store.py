"""The store of a run on the core in this process, at its edges."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from runtara.embedded import store as module
from runtara.embedded.core import EmbeddedCore
from runtara.embedded.store import EmbeddedStore, Run
from runtara_domain import values
from runtara_domain.error import DatabaseError
from runtara_domain.model import CustomSignal
from runtara_domain.model.launches import InstanceStart
from runtara_persistence.connect import connect
from runtara_sdk.client.records import NewChild
from runtara_sdk.errors import InstanceAlreadyExists, ValidationFailed
from runtara_sdk.workflow.errors import CoreUnavailable, Superseded

BUDGET = timedelta(seconds=30)


@pytest.fixture
async def core() -> AsyncIterator[EmbeddedCore]:
    """The core on a database in memory, with an instance that nothing runs."""
    async with EmbeddedCore(connect("sqlite::memory:", migrates=True)) as core:
        await core.operations.start(
            InstanceStart(instance_id="one", tenant_id="default", workflow="any")
        )
        yield core


def store(core: EmbeddedCore, budget: timedelta = BUDGET) -> EmbeddedStore:
    return EmbeddedStore(core, Run("one", "default"), budget)


async def test_the_first_save_stands_and_a_newer_run_ends_the_older(core: EmbeddedCore) -> None:
    older, newer = store(core), store(core)
    await older.begin()
    assert (await older.save("key", b"1")).state == b"1"

    started = await newer.begin()
    assert started.states == {"key": b"1"}
    assert (await newer.save("key", b"2")).state == b"1"
    with pytest.raises(Superseded):
        await older.save("other", b"3")
    with pytest.raises(Superseded):
        await older.complete(b"4")
    assert await newer.read("other") is None


async def test_all_pages_of_what_was_saved_are_read(
    core: EmbeddedCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAGE", 2)
    run = store(core)
    await run.begin()
    saved = {f"key-{number}": b"%d" % number for number in range(5)}
    for key, state in saved.items():
        await run.save(key, state)

    assert (await store(core).begin()).states == saved


async def test_what_is_sent_to_any_of_very_many_names_is_heard(core: EmbeddedCore) -> None:
    run = store(core)
    await run.begin()
    names = [f"name-{number}" for number in range(values.MAX_POLLED + 1)]
    asking = asyncio.create_task(run.poll(names, BUDGET))
    await core.operations.send("one", CustomSignal(names[-1], b"sent"))

    assert (await asking).values == {names[-1]: b"sent"}


@pytest.mark.parametrize("budget", [BUDGET, timedelta(0)])
async def test_a_database_that_is_away_is_asked_again_within_the_budget(
    core: EmbeddedCore, budget: timedelta
) -> None:
    run = store(core, budget)
    await run.begin()
    failures = [DatabaseError("it is away"), DatabaseError("still")]

    async def save(**given: Any) -> Any:
        if failures:
            raise failures.pop()
        return await core.core.save_checkpoint(**given)

    run._core = replace(core.core, save_checkpoint=save)  # type: ignore[arg-type]
    if budget:
        assert (await run.save("key", b"1")).state == b"1"
    else:
        with pytest.raises(CoreUnavailable, match="goes on when it is back"):
            await run.save("key", b"1")


async def test_a_long_reason_for_a_block_keeps_its_ends(core: EmbeddedCore) -> None:
    run = store(core)
    await run.begin()
    await run.block("begin" + "\0é" * values.MAX_REASON_BYTES + "end")

    view = await core.operations.view("one")
    assert view is not None
    reason = view.instance.blocked_reason or ""
    assert reason.startswith("begin")
    assert reason.endswith("end")
    assert len(reason.encode()) <= values.MAX_REASON_BYTES


async def test_children_start_in_one_transaction_with_what_is_saved(core: EmbeddedCore) -> None:
    """The first states stand, a large one too; one child that is taken leaves all as it was."""
    run, large = store(core), bytes(100_000)
    started = await run.begin()
    await run.save("large", large)
    children = [NewChild("a", "any", b"1"), NewChild("b", "any")]

    with pytest.raises(InstanceAlreadyExists, match="'one' exists"):
        await run.start_children([*children, NewChild("one", "any")], [("new", b"1")])
    with pytest.raises(ValidationFailed, match="child_id"):
        await run.start_children([NewChild("", "any")], [])
    assert await run.read("new") is None
    saved = await run.start_children(children, [("large", b""), ("new", b"1")])

    assert started.starts_together
    assert list(saved.states) == [large, b"1"]
    stored = [await core.persistence.instances.get(one) for one in ("a", "b")]
    assert [one and one.parent_id for one in stored] == ["one", "one"]
