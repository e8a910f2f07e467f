"""The client and the installed server, each as it is."""

import asyncio
import json

import pytest
from tests.sdk.real_instance import instance
from tests.support.server_process import ServerProcess

from runtara_sdk import (
    Checkpoint,
    InstanceAlreadyExists,
    InstanceStatus,
    InstanceSuperseded,
    InvalidInstanceState,
    NewChild,
    ValidationFailed,
)
from runtara_sdk.client.records import ChildrenStarted


async def test_a_workflow_goes_from_its_first_step_to_its_end(
    shared_server: ServerProcess, instance_id: str
) -> None:
    """Every call, and what the core says of the instance afterwards."""
    async with instance(shared_server, instance_id) as client:
        registration = await client.register()
        fresh = await client.checkpoint("step-1", b"first")
        found = await client.checkpoint("step-1", b"second")
        await client.heartbeat()
        await client.custom_event("progress", b"half")
        empty = await client.checkpoint("step-2", b"")
        read = [await client.get_checkpoint(f"step-{n}") for n in (1, 2, 3)]
        await client.completed(b"out")
        await client.completed(b"out")
        status = await client.get_status()

    assert registration.run == 1
    assert fresh == Checkpoint(found=False, state=b"first")
    assert found == Checkpoint(found=True, state=b"first")
    assert empty == Checkpoint(found=False, state=b"")
    assert read == [b"first", b"", None]
    assert (status.status, status.output) == (InstanceStatus.COMPLETED, b"out")
    assert status.checkpoint_id == "step-2"
    assert status.started_at is not None
    assert status.finished_at is not None
    assert status.started_at <= status.finished_at


async def test_a_second_run_finds_what_the_first_has_passed(
    shared_server: ServerProcess, instance_id: str
) -> None:
    """The first run is superseded."""
    async with (
        instance(shared_server, instance_id) as first,
        instance(shared_server, instance_id) as second,
    ):
        await first.register()
        await first.checkpoint("step-1", b"done")

        assert (await second.register("step-1")).run == 2
        assert (await second.checkpoint("step-1", b"again")).state == b"done"
        with pytest.raises(InstanceSuperseded):
            await first.checkpoint("step-2", b"")
        await second.failed("broken")
        status = await second.get_status()

    assert (status.status, status.error) == (InstanceStatus.FAILED, "broken")


async def test_a_workflow_does_not_notice_that_the_server_was_killed(
    shared_server: ServerProcess,
    instance_id: str,
) -> None:
    """It goes on with the same run, on the server's next process."""
    async with instance(shared_server, instance_id) as client:
        await client.register()
        await client.checkpoint("step-1", b"1")
        await shared_server.restart()
        await client.checkpoint("step-2", b"2")
        await client.completed()
        status = await client.get_status()

    assert status.status is InstanceStatus.COMPLETED
    assert status.checkpoint_id == "step-2"


async def test_refusals_arrive_as_their_classes(
    shared_server: ServerProcess, instance_id: str
) -> None:
    """Their messages are written for people."""
    async with instance(shared_server, instance_id) as client:
        await client.register()
        with pytest.raises(ValidationFailed, match="checkpoint_id"):
            await client.checkpoint("", b"")
        await client.completed()
        with pytest.raises(InvalidInstanceState, match="completed"):
            await client.checkpoint("step-1", b"")


async def test_an_unknown_instance_is_no_error(
    shared_server: ServerProcess, instance_id: str
) -> None:
    """Its status says so."""
    async with instance(shared_server, instance_id) as client:
        status = await client.get_status("nobody")

    assert status.status is InstanceStatus.UNKNOWN
    assert status.error is not None
    assert "not found" in status.error


async def test_a_parent_hears_how_its_child_has_ended(
    shared_server: ServerProcess, instance_id: str
) -> None:
    """A parent that waits for the ending of a child that it started gets status and output."""
    child_id = f"{instance_id}-child"
    async with (
        instance(shared_server, instance_id) as parent,
        instance(shared_server, child_id) as child,
    ):
        await parent.register()
        started = [await parent.start_child(child_id, "orders", b"17") for _ in range(2)]
        with pytest.raises(InstanceAlreadyExists, match="another input"):
            await parent.start_child(child_id, "orders")
        registration = await child.register()
        hearing = asyncio.create_task(parent.poll_signals(f"~child/{child_id}", wait=60))
        await child.completed(b"out")
        heard = await hearing

    assert started == [True, False]
    assert registration.input == b"17"
    assert heard.custom_signal is not None
    assert json.loads(heard.custom_signal) == {
        "status": "completed",
        "error": None,
        "output": "b3V0",
    }


async def test_children_are_started_together_with_checkpoints(
    shared_server: ServerProcess, instance_id: str
) -> None:
    """All or nothing; the first state of a checkpoint stands, a large one is not returned."""
    ids = [f"{instance_id}-{number}" for number in range(3)]
    children = [NewChild(one, "orders", b"17") for one in ids]
    states = [("large", b"x"), ("new", b"1")]
    async with instance(shared_server, instance_id) as parent:
        registration = await parent.register(look=True)
        await parent.checkpoint("large", bytes(100_000))
        with pytest.raises(InstanceAlreadyExists, match=f"'{instance_id}' exists"):
            await parent.start_children([*children, NewChild(instance_id, "orders")], states)
        nothing = await parent.get_checkpoint("new")
        started = [await parent.start_children(some, states) for some in (children[:1], children)]

    assert registration.knows_children
    assert nothing is None
    assert started == [
        ChildrenStarted((True,), (None, b"1")),
        ChildrenStarted((False, True, True), (None, b"1")),
    ]


async def test_a_blocked_process_says_why_and_the_next_goes_on(
    shared_server: ServerProcess, instance_id: str
) -> None:
    """It is paused with the reason until another process registers."""
    async with (
        instance(shared_server, instance_id) as first,
        instance(shared_server, instance_id) as second,
    ):
        await first.register(workflow="orders", code_version="1")
        await first.suspended(blocked_reason="step 2 is gone", waits="[]")
        blocked = await first.get_status()
        await second.register(workflow="orders", code_version="2")
        going_on = await second.get_status()

    assert (blocked.status, blocked.error) == (InstanceStatus.SUSPENDED, "step 2 is gone")
    assert (going_on.status, going_on.error) == (InstanceStatus.RUNNING, None)


async def test_a_detached_sleep_leaves_the_instance_asleep(
    shared_server: ServerProcess, instance_id: str
) -> None:
    """It is answered long before its hour is over, and so is one that is over already."""
    async with instance(shared_server, instance_id) as client:
        await client.register()
        await client.sleep(3600, "nap", detach=True)
        asleep = await client.get_status()
        await client.checkpoint("step-1", b"")
        await client.sleep(0, "nap-2", detach=True)
        due = await client.get_status()

    assert asleep.status is due.status is InstanceStatus.SUSPENDED
