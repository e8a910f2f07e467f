"""
Rows that other programs insert and delete by plain SQL, and the port for a client without our SDK.

Images are put in with a runner that no environment has and a file that does not exist. They are
used like any other: an instance that can't be run waits, and its view says why.
"""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.contract.database import Database, Row
from tests.contract.every_database import KINDS
from tests.environment.management.conftest import Port
from tests.environment.management.test_instances import launched
from tests.support.raw_client import RawClient, raw_client

from runtara_protocol.frame import HEADER_SIZE, MessageType, encode
from runtara_protocol.pb import environment_pb2 as pb

pytestmark = pytest.mark.parametrize("database", KINDS, indirect=True)

NOW = datetime.now(UTC).replace(microsecond=0)


class Caller:
    """Asks the port in bare frames, each on a stream of its own."""

    def __init__(self, client: RawClient) -> None:
        self._client = client

    async def send(self, payload: bytes, rest: bytes = b"") -> pb.RpcResponse:
        """Send a request's payload and what follows it; gives the answer."""
        stream_id = self._client.quic.get_next_available_stream_id()
        frame = encode(MessageType.REQUEST, payload)
        self._client.quic.send_stream_data(stream_id, frame + rest, end_stream=True)
        self._client.transmit()
        answer = await self._client.answer(stream_id)
        return pb.RpcResponse.FromString(answer[HEADER_SIZE:])

    async def ask(self, operation: str, rest: bytes = b"", **fields: Any) -> Any:
        """Ask for an operation; gives the message of its answer, or the RpcError."""
        request = pb.RpcRequest()
        getattr(request, operation).SetInParent()
        message = type(getattr(request, operation))(**fields)
        getattr(request, operation).CopyFrom(message)
        response = await self.send(request.SerializeToString(), rest)
        name = response.WhichOneof("response")
        assert name in (_ANSWERED_BY.get(operation, operation), "error")
        return getattr(response, name)

    async def refusal(self, operation: str, **fields: Any) -> tuple[str, str]:
        """Ask for what is refused; gives code and text, wherever they stand."""
        answer = await self.ask(operation, **fields)
        if isinstance(answer, pb.RpcError):
            return answer.code, answer.message
        assert not answer.success
        return answer.code, answer.error


_ANSWERED_BY = {"register_image_stream": "register_image"}


@pytest.fixture
async def caller(port: Port) -> AsyncIterator[Caller]:
    async with AsyncExitStack() as stack:
        yield Caller(await stack.enter_async_context(raw_client(port.port)))


async def put_mock(database: Database, image_id: str = "mock", tenant_id: str = "acme") -> None:
    row: Row = {
        "image_id": image_id,
        "tenant_id": tenant_id,
        "name": f"name of {image_id}",
        "binary_path": "/nowhere/binary",
        "runner_type": "mock",
        "created_at": NOW,
        "updated_at": NOW,
    }
    await database.put("images", row)


async def test_an_image_that_was_put_in_plainly_is_shown_started_and_deleted(
    port: Port, caller: Caller, database: Database
) -> None:
    """Its unknown runner shows as OCI; nothing looks for its file before it is launched."""
    port.placement.can_run = lambda image: False  # type: ignore[method-assign]  # As no placement can.
    await put_mock(database)

    shown = await caller.ask("get_image", image_id="mock", tenant_id="acme")
    listed = await caller.ask("list_images", tenant_id="acme")
    started = await caller.ask(
        "start_instance", image_id="mock", tenant_id="acme", instance_id="i", input=b'{"a": 1}'
    )
    status = await caller.ask("get_instance_status", instance_id="i")
    in_use = await caller.refusal("delete_image", image_id="mock", tenant_id="acme")
    stopped = await caller.ask("stop_instance", instance_id="i", reason="enough")
    deleted = await caller.ask("delete_image", image_id="mock", tenant_id="acme")
    after = await caller.ask("get_instance_status", instance_id="i")

    assert (shown.found, shown.image.runner_type) == (True, pb.RUNNER_OCI)
    assert shown.image.created_at_ms == int(NOW.timestamp() * 1000)
    assert [(one.image_id, one.name) for one in listed.images] == [("mock", "name of mock")]
    assert listed.total_count == 1
    assert (started.success, started.instance_id) == (True, "i")
    assert (status.found, status.status, status.input) == (True, pb.STATUS_PENDING, b'{"a": 1}')
    assert (status.image_id, status.image_name, status.tenant_id) == (
        "mock",
        "name of mock",
        "acme",
    )
    assert in_use[0] == "IMAGE_IN_USE"
    assert "1 open instance" in in_use[1]
    assert stopped.success
    assert deleted.success
    assert not (await caller.ask("get_image", image_id="mock", tenant_id="acme")).found
    assert (after.status, after.error) == (pb.STATUS_CANCELLED, "enough")
    # Its name stays readable in the history of those that were started with it.
    assert after.image_name == "name of mock"


async def test_a_deleted_image_that_nothing_was_started_with_leaves_no_row(
    caller: Caller, database: Database
) -> None:
    """Its bytes, if it has any, are deleted, too."""
    await put_mock(database)
    stored = await caller.ask("register_image", tenant_id="acme", name="n", binary=b"#!/bin/sh\n")
    for image_id in ("mock", stored.image_id):
        deleted = await caller.ask("delete_image", image_id=image_id, tenant_id="acme")
        assert deleted.success

    assert await database.rows("images") == []
    assert await database.rows("image_chunks") == []


async def test_rows_that_are_deleted_plainly_are_gone(
    port: Port, caller: Caller, database: Database
) -> None:
    """An instance without its row is unknown; its image is no longer used, and the id is free."""
    port.placement.can_run = lambda image: False  # type: ignore[method-assign]  # As no placement can.
    await put_mock(database)
    await caller.ask("start_instance", image_id="mock", tenant_id="acme", instance_id="i")
    await database.delete("instance_images", "instance_id", "i")
    await database.delete("instances", "instance_id", "i")

    gone = await caller.ask("get_instance_status", instance_id="i")
    again = await caller.ask(
        "start_instance", image_id="mock", tenant_id="acme", instance_id="i", input=b"1"
    )
    await database.delete("instance_images", "instance_id", "i")
    await database.delete("instances", "instance_id", "i")
    await database.delete("images", "image_id", "mock")
    unknown = await caller.refusal("start_instance", image_id="mock", tenant_id="acme")

    assert (gone.found, gone.status) == (False, pb.STATUS_UNKNOWN)
    assert again.created
    assert unknown == ("IMAGE_NOT_FOUND", "Image 'mock' not found")
    assert (await caller.ask("list_images")).total_count == 0
    assert (await caller.ask("list_instances")).total_count == 0


async def test_every_operation_answers_a_bare_client(port: Port, caller: Caller) -> None:
    """Each of the original's, with its own message and the fields that its clients read."""
    health = await caller.ask("health_check")
    image = await caller.ask("register_image", tenant_id="acme", name="a", binary=b"one")
    sent = await caller.ask(
        "register_image_stream", rest=b"bytes", tenant_id="acme", name="b", binary_size=5
    )
    started = await caller.ask(
        "start_instance", image_id=image.image_id, tenant_id="acme", instance_id="i"
    )
    await launched(port, "i")
    run = await port.run("i")
    listed = await caller.ask("list_instances", tenant_id="acme", status=pb.STATUS_RUNNING)
    custom = await caller.ask(
        "send_custom_signal", instance_id="i", checkpoint_id="go", payload=b"1"
    )
    resumed = await caller.ask("resume_instance", instance_id="i")
    checkpoints = await caller.ask("list_checkpoints", instance_id="i")
    checkpoint = await caller.ask("get_checkpoint", instance_id="i", checkpoint_id="none")
    events = await caller.ask("list_events", instance_id="i", limit=7, offset=0)
    metrics = await caller.ask("get_tenant_metrics", tenant_id="acme")
    agents = await caller.ask("list_agents")
    capability = await caller.ask("get_capability", agent_id="a", capability_id="c")
    cancelled = await caller.ask("send_signal", instance_id="i", signal_type=pb.SIGNAL_CANCEL)

    assert (health.healthy, health.version, health.active_instances) == (True, "1.2.3", 0)
    assert (image.success, sent.success, started.success, run) == (True, True, True, 1)
    assert [(one.instance_id, one.status) for one in listed.instances] == [("i", pb.STATUS_RUNNING)]
    assert listed.known_fields == [1, 2]
    assert (custom.success, resumed.success, cancelled.success) == (True, True, True)
    assert (checkpoints.total_count, checkpoints.limit, checkpoints.offset) == (0, 100, 0)
    assert (checkpoint.found, checkpoint.checkpoint_id) == (False, "none")
    assert (events.limit, events.offset) == (7, 0)
    assert (metrics.tenant_id, metrics.granularity) == ("acme", pb.GRANULARITY_HOURLY)
    assert len(metrics.buckets) in (24, 25)
    assert json.loads(agents.agents_json) == []
    assert not capability.found


async def test_every_refusal_has_its_letters(port: Port, caller: Caller) -> None:
    """Old clients match on these texts, and "not found" is in none but those of missing things."""
    await put_mock(port.database, "others", tenant_id="other")
    image = await caller.ask("register_image", tenant_id="acme", name="a", binary=b"one")
    used = {"image_id": image.image_id, "tenant_id": "acme", "instance_id": "i"}
    await caller.ask("start_instance", **used)
    await launched(port, "i")
    await port.run("i")
    required: dict[str, list[tuple[str, dict[str, Any]]]] = {
        "tenant_id is required": [
            ("register_image", {"name": "n", "binary": b"x"}),
            ("register_image_stream", {"name": "n", "binary_size": 1}),
            ("get_image", {"image_id": "x"}),
            ("delete_image", {"image_id": "x"}),
            ("start_instance", {"image_id": "x"}),
            ("get_tenant_metrics", {}),
        ],
        "name is required": [("register_image", {"tenant_id": "t", "binary": b"x"})],
        "binary is required": [("register_image", {"tenant_id": "t", "name": "n"})],
        "image_id is required": [
            ("get_image", {"tenant_id": "t"}),
            ("delete_image", {"tenant_id": "t"}),
            ("start_instance", {"tenant_id": "t"}),
        ],
        "checkpoint_id is required": [
            ("send_custom_signal", {"instance_id": "i"}),
            ("get_checkpoint", {"instance_id": "i"}),
        ],
    }
    for text, asked in required.items():
        for operation, fields in asked:
            assert await caller.refusal(operation, **fields) == ("VALIDATION_ERROR", text)
    for operation in ("stop_instance", "resume_instance", "send_signal"):
        found = await caller.refusal(operation, instance_id="none")
        assert found == ("INSTANCE_NOT_FOUND", "Instance 'none' not found")
    for operation in ("list_checkpoints", "list_events"):
        found = await caller.refusal(operation, instance_id="none")
        assert found == ("INSTANCE_NOT_FOUND", "Instance 'none' not found")
    unknown = await caller.ask("get_instance_status", instance_id="none")
    assert (unknown.found, unknown.status, unknown.error) == (
        False,
        pb.STATUS_UNKNOWN,
        "Instance 'none' not found",
    )
    for operation in ("delete_image", "start_instance"):
        for image_id in ("others", "missing"):
            found = await caller.refusal(operation, image_id=image_id, tenant_id="acme")
            assert found == ("IMAGE_NOT_FOUND", f"Image {image_id!r} not found")
    assert not (await caller.ask("get_image", image_id="others", tenant_id="acme")).found
    others = [
        await caller.refusal("start_instance", **used, input=b"2"),
        await caller.refusal("start_instance", image_id="x", tenant_id="t", input=b"{"),
        await caller.refusal("delete_image", image_id=image.image_id, tenant_id="acme"),
        await caller.refusal("test_capability"),
        await caller.refusal("list_images", limit=1001),
        await caller.refusal("list_instances", order_by="x"),
        await caller.refusal("register_image", tenant_id="t", name="n", binary=b"x", runner_type=7),
    ]
    assert [code for code, _ in others] == [
        "INSTANCE_ALREADY_EXISTS",
        "VALIDATION_ERROR",
        "IMAGE_IN_USE",
        "UNSUPPORTED",
        "VALIDATION_ERROR",
        "VALIDATION_ERROR",
        "VALIDATION_ERROR",
    ]
    assert "already exists" in others[0][1]
    assert not any("not found" in text for _, text in others)
    nothing = await caller.send(b"")
    assert nothing.error.code == "EMPTY_REQUEST"


async def test_what_is_finished_takes_no_signal(port: Port, caller: Caller) -> None:
    """The refusals name the state; a start of the same id says that it exists."""
    image = await caller.ask("register_image", tenant_id="acme", name="a", binary=b"one")
    await caller.ask("start_instance", image_id=image.image_id, tenant_id="acme", instance_id="i")
    await caller.ask("stop_instance", instance_id="i", reason="enough")

    for operation in ("stop_instance", "resume_instance"):
        code, text = await caller.refusal(operation, instance_id="i")
        assert (code, "cancelled" in text) == ("INVALID_INSTANCE_STATE", True)
        assert "not found" not in text
