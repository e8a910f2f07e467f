"""Instances over the management port."""

import asyncio
from datetime import timedelta

import pytest
from tests.contract.every_database import KINDS
from tests.environment.management.conftest import Port

from runtara_domain.model import Ending
from runtara_domain.model.launch_ends import Cause
from runtara_domain.ports.placements import LaunchFailed, StopSignal
from runtara_domain.status import State
from runtara_management_sdk import ImageNotFound, InstanceFilter, Runner, Status
from runtara_management_sdk.transport import Transport
from runtara_protocol.pb import environment_pb2 as pb
from runtara_sdk.errors import (
    InstanceAlreadyExists,
    InstanceNotFound,
    InvalidInstanceState,
    ValidationFailed,
)

pytestmark = pytest.mark.parametrize("database", KINDS, indirect=True)

DONE = Ending(State.COMPLETED, b'"done"')
BROKEN = Ending(State.FAILED, error="no stock")


async def image(port: Port, name: str = "orders") -> str:
    registered = await port.client.images.register("acme", name, name.encode(), Runner.OCI)
    return registered.image_id


async def start(port: Port, instance_id: str, **more: object) -> str:
    """Start an instance and wait until it is launched."""
    more.setdefault("image_id", await image(port))
    started = await port.client.instances.start(
        "acme",
        instance_id=instance_id,
        **more,  # type: ignore[arg-type]  # Arguments by name.
    )
    return started.instance_id


async def launched(port: Port, instance_id: str) -> None:
    async with asyncio.timeout(20):
        while instance_id not in port.placement.living():  # noqa: ASYNC110  # The placement tells nothing.
            await asyncio.sleep(0.01)


async def test_a_started_instance_runs_and_is_waited_for(port: Port) -> None:
    """The start claims it at once; the end comes with output, launches and figures."""
    await start(port, "i", input=b'{"n": 1}', env={"MODE": "fast", "API_KEY": "abc"}, priority=3)
    await launched(port, "i")
    waiting = asyncio.create_task(port.client.instances.wait("i"))
    await port.end("i", DONE)

    found = await waiting

    assert (found.status, found.output, found.input) == (Status.COMPLETED, b'"done"', b'{"n": 1}')
    assert (found.image_name, found.image_version, found.tenant_id) == ("orders", 1, "acme")
    assert (found.launches, found.crashes, found.priority, found.run) == (1, 0, 3, 1)
    assert found.env == {"MODE": "fast", "API_KEY": "***"}


async def test_what_has_ended_is_deleted_with_its_files(port: Port) -> None:
    """What is open stays; the message says what to do."""
    await start(port, "i")
    await launched(port, "i")
    with pytest.raises(InvalidInstanceState, match="pending: cancel or stop it first"):
        await port.client.instances.delete("i")
    await port.end("i", DONE)
    found = await port.client.instances.wait("i")
    async with asyncio.timeout(20):
        [one] = [one async for one in port.client.launches.list(instance_id="i")]
        while one.ended_at is None:
            await asyncio.sleep(0.01)
            [one] = [one async for one in port.client.launches.list(instance_id="i")]

    ended_at = found.finished_at
    assert ended_at is not None
    before = ended_at - timedelta(milliseconds=1)
    kept = await port.client.instances.delete("i", ended_at=before)
    deleted = await port.client.instances.delete("i", ended_at=ended_at)

    assert (kept, deleted, port.forgotten) == (0, 1, [("acme", ("i",))])
    assert await port.client.instances.get("i") is None
    with pytest.raises(InstanceNotFound):
        await port.client.instances.delete("i")


async def test_the_same_start_again_is_the_same_instance(port: Port) -> None:
    """Another image or input under the id is refused and changes nothing."""
    image_id = await image(port)
    instances = port.client.instances
    first = await instances.start("acme", image_id=image_id, instance_id="i", input=b"1")
    again = await instances.start("acme", image_id=image_id, instance_id="i", input=b"1")
    made = await instances.start("acme", image_id=image_id, instance_id="")

    assert (first.created, again.created) == (True, False)
    assert made.instance_id not in ("", "i")
    with pytest.raises(InstanceAlreadyExists, match="already exists"):
        await instances.start("acme", image_id=image_id, instance_id="i", input=b"2")


async def test_a_start_with_a_key_that_an_open_instance_has_answers_that_one(port: Port) -> None:
    """Nothing is created, and the id is that instance's."""
    image_id = await image(port)
    instances = port.client.instances
    first = await instances.start("acme", image_id=image_id, queue="mail", dedupe_key="17")
    second = await instances.start("acme", image_id=image_id, queue="mail", dedupe_key="17")

    assert (second.created, second.instance_id) == (False, first.instance_id)
    assert await instances.count() == 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"image_id": None}, "image_id is required"),
        ({"input": b"{'"}, "input: takes JSON, got .* at line 1, column 2"),
        ({"env": {"RUNTARA_X": "1"}}, "env: RUNTARA_X is set by the environment"),
        ({"instance_id": "x" * 1025}, "instance_id"),
    ],
)
async def test_a_start_that_makes_no_sense_stores_nothing(
    port: Port, more: dict[str, object], said: str
) -> None:
    """The refusal names the field."""
    image_id = await image(port)
    with pytest.raises(ValidationFailed, match=said):
        await port.client.instances.start("acme", **{"image_id": image_id, **more})  # type: ignore[arg-type]  # Arguments by name.
    with pytest.raises(ImageNotFound, match="not found"):
        await port.client.instances.start("other", image_id=image_id)
    assert await port.client.instances.count() == 0


async def test_an_unknown_instance_is_found_nowhere(port: Port) -> None:
    """Its status is an answer, not an error; everything else is refused with "not found"."""
    instances = port.client.instances
    transport = Transport(port.settings())
    request = pb.GetInstanceStatusRequest(instance_id="i")
    answer = await transport.ask(pb.RpcRequest(get_instance_status=request))
    await transport.aclose()

    assert (answer.found, answer.status) == (False, pb.STATUS_UNKNOWN)
    assert answer.error == "Instance 'i' not found"
    assert await instances.get("i") is None
    for call in (
        instances.wait("i", timedelta(0)),
        instances.stop("i"),
        instances.resume("i"),
        instances.cancel("i"),
        instances.send("i", "name", b"1"),
        instances.retry("i"),
        instances.fork("i"),
        instances.move("i", "image"),
    ):
        with pytest.raises(InstanceNotFound, match="not found"):
            await call


async def test_lists_go_on_behind_a_cursor(port: Port) -> None:
    """Each instance comes once in every order. Filters apply, and counts are exact."""
    image_id = await image(port)
    other = await image(port, "other")
    for number in range(7):
        await start(port, f"i{number}", image_id=other if number == 3 else image_id)
        await asyncio.sleep(0.002)
    await launched(port, "i0")
    await port.end("i0", BROKEN)
    await port.client.instances.wait("i0")
    transport = Transport(port.settings())

    async def ids(order: str) -> list[str]:
        found: list[str] = []
        after = None
        while True:
            request = pb.ListInstancesRequest(limit=3, order_by=order, after=after)
            answer = await transport.ask(pb.RpcRequest(list_instances=request))
            found += [one.instance_id for one in answer.instances]
            if not answer.HasField("next"):
                return found
            after = answer.next

    newest_first = [f"i{number}" for number in reversed(range(7))]
    assert await ids("created_at_desc") == newest_first
    assert await ids("created_at_asc") == newest_first[::-1]
    await transport.aclose()
    instances = port.client.instances
    failed = InstanceFilter(status=Status.FAILED, error_contains="stock")
    assert [one.instance_id async for one in instances.list(failed)] == ["i0"]
    assert await instances.count(InstanceFilter(image_name_prefix="oth")) == 1
    assert await instances.count(InstanceFilter(tenant_id="nobody")) == 0
    with pytest.raises(ValidationFailed, match="order_by: takes one of created_at_desc"):
        [one async for one in instances.list(order_by="x")]


async def test_a_stop_ends_the_process_and_waits_for_it(port: Port) -> None:
    """Grace 0 ends it at once, as CANCELLED with the reason; a finished instance is refused."""
    await start(port, "i")
    await launched(port, "i")
    process = port.placement.of("i")
    process.heeds = False
    await port.run("i")

    await port.client.instances.stop("i", grace=timedelta(0), reason="not needed")

    found = await port.client.instances.get("i")
    assert found is not None
    assert (found.status, found.error) == (Status.CANCELLED, "not needed")
    assert process.sent == [StopSignal.TERMINATE, StopSignal.KILL]
    for call in (port.client.instances.stop("i"), port.client.instances.resume("i")):
        with pytest.raises(InvalidInstanceState, match="cancelled"):
            await call


async def test_signals_reach_an_instance(port: Port) -> None:
    """The first value for a name stands; a pause and its resume are pending and taken back."""
    await start(port, "i")
    await launched(port, "i")
    await port.run("i")
    instances = port.client.instances

    first = await instances.send("i", "approval", b"1")
    second = await instances.send("i", "approval", b"2")
    await instances.pause("i")

    assert (first.is_first, second.is_first) == (True, False)
    await instances.resume("i")
    await instances.cancel("i")
    with pytest.raises(ValidationFailed, match="checkpoint_id is required"):
        await instances.send("i", "", b"1")


async def test_a_failed_instance_is_retried_and_forked(port: Port) -> None:
    """A retry launches it again; a fork copies its input under a new id."""
    await start(port, "i", input=b"7")
    await launched(port, "i")
    await port.end("i", BROKEN)
    await port.client.instances.wait("i")

    await port.client.instances.retry("i")
    forked = await port.client.instances.fork("i", new_instance_id="copy")
    await launched(port, "i")
    await launched(port, "copy")
    await port.end("i", DONE)

    assert (await port.client.instances.wait("i")).status is Status.COMPLETED
    copy = await port.client.instances.get("copy")
    assert copy is not None
    assert (forked.instance_id, forked.copied, copy.input) == ("copy", 0, b"7")
    with pytest.raises(InvalidInstanceState, match="completed: there is nothing to retry"):
        await port.client.instances.retry("i")
    with pytest.raises(InstanceAlreadyExists):
        await port.client.instances.fork("i", new_instance_id="copy")
    with pytest.raises(ValidationFailed, match="no checkpoint 'x'"):
        await port.client.instances.fork("i", before="x")


async def test_only_an_instance_without_a_launch_is_moved(port: Port) -> None:
    """One that waits gets the other image; one that runs is refused."""
    other = await image(port, "other")
    await start(port, "waits", delay=timedelta(hours=1))
    await start(port, "runs")
    await launched(port, "runs")

    await port.client.instances.move("waits", other)

    moved = await port.client.instances.get("waits")
    assert moved is not None
    assert (moved.image_name, moved.next_launch_at is not None) == ("other", True)
    with pytest.raises(InvalidInstanceState, match="has the open launch"):
        await port.client.instances.move("runs", other)
    with pytest.raises(ImageNotFound):
        await port.client.instances.move("waits", "missing")


async def test_an_instance_says_why_it_can_not_be_launched_here(port: Port) -> None:
    """Another environment may run its image, so it waits, and nothing is counted."""
    registered = await port.client.images.register(
        "acme", "orders", b"x", Runner.OCI, metadata={"placement": "far"}
    )
    await port.client.instances.start("acme", instance_id="i", image_id=registered.image_id)

    found = await port.client.instances.get("i")

    assert found is not None
    assert (found.status, found.launches) == (Status.PENDING, 0)
    assert found.not_launched == "this environment can't run its image: it is far"
    assert found.not_launched_kind == "environment"


async def test_an_instance_says_what_its_placement_has_no_room_for(port: Port) -> None:
    """It is tried again, which counts for nothing, and goes on once there is room."""
    reason = "no node has enough free for its image, which asks for 64 CPUs"
    port.placement.failure = LaunchFailed(Cause.WAITING, reason)
    await port.client.instances.start("acme", instance_id="i", image_id=await image(port))

    found = None
    async with asyncio.timeout(20):
        while found is None or not found.not_launched:
            found = await port.client.instances.get("i")

    assert found is not None
    assert (found.status, found.not_launched) == (Status.PENDING, reason)
    assert (found.not_launched_kind, found.crashes) == ("room", 0)
    port.placement.failure = None
    await port.client.instances.resume("i")
    await launched(port, "i")
    found = await port.client.instances.get("i")
    assert found is not None
    assert found.not_launched is None
