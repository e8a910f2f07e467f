"""Workflows that are plain functions, and a client without a loop."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.runtara.conftest import Ways
from tests.runtara.plain_shop import APPROVAL, STEPS, WORKFLOWS, charge, fulfil, greet, parent
from tests.runtara.shop import Decision, Declined

from runtara import Client, Instance, Worker, WorkflowCancelled, connect
from runtara import sync as runtara_sync
from runtara.sync import sleep, step, workflow
from runtara_sdk import OutsideWorkflow

WHERE = "sqlite::memory:"


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A client, and a worker whose workflows have one thread at a time."""
    async with connect(WHERE) as client, Worker(*WORKFLOWS, where=WHERE, threads=1):
        yield client


def _awaits_word(found: Instance) -> bool:
    return any(wait.kind == "promise" for wait in found.waiting_for)


async def test_a_plain_workflow_goes_on_where_it_was(client: Client) -> None:
    """It suspends twice, and its step is made once."""
    STEPS.clear()
    handle = await client.start(fulfil.bind("17"), id="plain-17")
    await Ways.until_state(handle, _awaits_word)
    other = await client.start(greet, "Ann")
    assert await other.result("30s") == "Hello, Ann!"

    await handle.send(APPROVAL, Decision(True, "Ann"))
    assert await handle.result("30s") == "17 5 Ann runtara-fulfil"
    assert STEPS == ["charge 17", "declined"]


async def test_what_it_raises_is_reported_as_of_any_other(client: Client) -> None:
    handle = await client.start(fulfil.bind("18"), id="plain-18")
    await handle.send(APPROVAL, Decision(False, "Bob"))

    with pytest.raises(Declined, match="Bob"):
        await handle.result("30s")


async def test_it_has_children(client: Client) -> None:
    handle = await client.start(parent, ["Ann", "Bob"])

    assert await handle.result("30s") == ["Hello, Ann!", "Hello, Bob!"]


def test_outside_of_a_workflow_a_step_is_its_function() -> None:
    assert charge("x", 3) == 3
    with pytest.raises(OutsideWorkflow, match=r"sleep\(\) is called outside"):
        sleep(1)


def test_only_plain_functions_are_taken() -> None:
    async def not_plain() -> None: ...

    with pytest.raises(TypeError, match=r"a step of runtara[.]sync is a function defined by def"):
        step(not_plain)
    with pytest.raises(TypeError, match=r"a workflow of runtara[.]sync"):
        workflow(not_plain)


async def test_a_client_without_a_loop(tmp_path: object) -> None:
    """It starts, sends, waits and lists; a worker runs in a loop of its own."""
    where = f"sqlite:{tmp_path}/plain.db"

    def use() -> list[object]:
        with runtara_sync.connect(where) as client:
            handle = client.start(fulfil.bind("19"), id="plain-19")
            assert not client.start(fulfil.bind("19"), id="plain-19").created
            handle.send(APPROVAL, Decision(True, "Eve"))
            result = handle.result("30s")
            failed = client.start(fulfil.bind("20"), id="plain-20")
            failed.cancel("enough")
            with pytest.raises(WorkflowCancelled):
                failed.result("30s")
            listed = [one.instance_id for one in client.list(fulfil, status="completed")]
            return [result, listed, handle.status().status]

    async with Worker(*WORKFLOWS, where=where, isolate="none"):
        found = await asyncio.to_thread(use)

    assert found == ["19 5 Eve runtara-fulfil", ["plain-19"], "completed"]
