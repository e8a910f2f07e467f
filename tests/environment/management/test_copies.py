"""Instances as files, over the management port."""

import asyncio
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.contract.states import put_instance
from tests.environment.management.conftest import Port

from runtara_domain.model.instance_copies import CopiedCheckpoint, CopiedInstance, InstanceCopy
from runtara_domain.status import OPEN, InstanceStatus, SignalType, State
from runtara_environment import instance_file
from runtara_management_sdk import ImageNotFound, Imported, Runner
from runtara_sdk.errors import (
    InstanceAlreadyExists,
    InstanceNotFound,
    InvalidInstanceState,
    ValidationFailed,
)


async def test_an_instance_is_taken_along_and_put_in(port: Port) -> None:
    """The same file again changes nothing; another instance of the id is left alone."""
    instances = port.client.instances
    await put_instance(port.database, State.COMPLETED, input=b"1", workflow="orders")
    data = await instances.export("i")
    await instances.delete("i")

    imported = await instances.import_(data)
    again = await instances.import_(data)
    found = await instances.get("i")
    await instances.delete("i")
    await put_instance(port.database, State.COMPLETED, input=b"2")

    assert imported == Imported("i", created=True, workflow="orders")
    assert again == Imported("i", created=False, workflow="orders")
    assert found is not None
    assert found.input == b"1"
    with pytest.raises(InstanceAlreadyExists, match="not imported from this file"):
        await instances.import_(data)
    with pytest.raises(InstanceNotFound):
        await instances.export("unknown")
    with pytest.raises(ValidationFailed, match="damaged"):
        await instances.import_(data[:-1])
    with pytest.raises(ValidationFailed, match="data is required"):
        await instances.import_(b"")


@pytest.mark.parametrize("state", sorted(OPEN - {State.PAUSED}))
async def test_one_that_goes_on_here_is_only_copied(port: Port, state: State) -> None:
    """An instance that pauses as soon as it wakes can be exported."""
    ahead = datetime.now(UTC) + timedelta(days=1)
    wake: dict[str, Any] = {"sleep_until": ahead} if state is State.ASLEEP else {}
    await put_instance(port.database, state, **wake)

    with pytest.raises(InvalidInstanceState, match=f"it is {state}: pause it first"):
        await port.client.instances.export("i")
    assert await port.client.instances.export("i", as_copy=True)
    await port.client.instances.pause("i")
    if state is State.RUNNING:
        with pytest.raises(InvalidInstanceState, match="it is running"):
            await port.client.instances.export("i")
    else:
        assert await port.client.instances.export("i")


async def test_what_binds_it_to_its_database_is_listed(port: Port) -> None:
    """A signal that it has not acknowledged, its parent, its child."""
    instances = port.client.instances
    await put_instance(port.database, State.RUNNING, "p")
    for name, parent in (("told", None), ("p-i", "p"), ("i", None), ("c", "i")):
        state = State.RUNNING if name == "c" else State.PAUSED
        await put_instance(port.database, state, name, parent_id=parent)
    await port.database.put_signal("told", SignalType.CANCEL)

    for name, why in (
        ("told", "its cancel is still pending"),
        ("p-i", "parent 'p'"),
        ("i", "child 'c'"),
    ):
        with pytest.raises(InvalidInstanceState, match=why):
            await instances.export(name)


async def test_one_at_a_time_is_in_memory(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """An export waits for another, and an import for an export."""
    await put_instance(port.database, State.COMPLETED, workflow="orders")
    data = await port.client.instances.export("i")
    meeting = threading.Barrier(2, timeout=0.2)
    met = []

    def meets(step: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def meet(given: Any) -> Any:
            with suppress(threading.BrokenBarrierError):
                meeting.wait()
                met.append(step)
            return step(given)

        return meet

    for name in ("encode", "decode"):
        monkeypatch.setattr(instance_file, name, meets(getattr(instance_file, name)))
    exports = [port.client.instances.export("i") for _ in range(2)]
    importing = port.client.instances.import_(data)
    outcomes = await asyncio.gather(*exports, importing, return_exceptions=True)

    assert outcomes[:2] == [data, data]
    assert isinstance(outcomes[2], InstanceAlreadyExists)
    assert met == []


async def test_it_runs_what_there_is(port: Port) -> None:
    """The image that it had, the newest of that name, or what serves its workflow."""
    client = port.client
    first = await client.images.register("acme", "orders", b"1", Runner.OCI)
    columns: dict[str, Any] = {"tenant_id": "acme", "image_id": first.image_id, "workflow": None}
    await put_instance(port.database, State.COMPLETED, **columns)
    data = await client.instances.export("i")

    async def taken_up(image_id: str | None = None) -> Imported:
        await client.instances.delete("i")
        return await client.instances.import_(data, image_id=image_id)

    same = await taken_up()
    second = await client.images.register("acme", "orders", b"2", Runner.OCI)
    await client.instances.delete("i")
    await client.images.delete(first.image_id, "acme")
    newest = await client.instances.import_(data)
    with pytest.raises(ImageNotFound):
        await taken_up("none")
    named = await client.instances.import_(data, image_id=second.image_id)
    await client.instances.delete("i")
    await client.images.delete(second.image_id, "acme")
    served = await client.instances.import_(data)

    assert [one.image_id for one in (same, newest, named, served)] == [
        *(first.image_id, second.image_id, second.image_id),
        None,
    ]
    assert (same.workflow, served.workflow) == (None, "orders")


@pytest.mark.long
async def test_the_largest_file_goes_in_and_out(port: Port) -> None:
    """It takes one frame each way. Its content can't be compressed."""
    now, chance = datetime(2026, 1, 2, tzinfo=UTC), random.Random(1)
    copy = InstanceCopy(
        instance=CopiedInstance(
            instance_id="i",
            tenant_id="t",
            status=InstanceStatus.COMPLETED,
            created_at=now,
            finished_at=now,
            run_epoch=1,
            priority=0,
            workflow="orders",
        ),
        checkpoints=[
            CopiedCheckpoint(
                checkpoint_id=f"c{number}", state=chance.randbytes(1 << 16), created_at=now
            )
            for number in range(940)
        ],
    )
    data = instance_file.encode(copy)

    imported = await port.client.instances.import_(data)
    exported = await port.client.instances.export("i")

    assert instance_file.MOST - (1 << 20) < len(data) <= instance_file.MOST
    assert imported.created
    assert instance_file.decode(exported).copy.checkpoints == copy.checkpoints
