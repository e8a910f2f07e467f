"""A client can't tell which database its server is on: same bytes, same order, same times."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.message import Message
from tests.server.wire import TENANT, Wire, connected
from tests.support.postgres import migrated_database
from tests.support.server_process import running

from runtara_protocol.frame import MessageType, encode
from runtara_protocol.pb import instance_pb2 as pb

EVERY_BYTE = bytes(range(256))
# A collation that is not that of bytes would sort or equate some of these otherwise.
IDS = ["b", "B", "a", "é", "e\u0301", "a b", "ab", "_", "日本", "😀", "%", "\\", "'", "a\n", " "]
TOLD_AT_MS = 1_700_000_000_123


def asked() -> Iterator[pb.RpcRequest]:
    """Ask everything a client may ask whose answer is a message, well and badly."""
    for tenant in (TENANT, "another", "", "a\0b"):
        register = pb.RegisterInstanceRequest(instance_id="i-1", tenant_id=tenant)
        yield pb.RpcRequest(register_instance=register)
    yield pb.RpcRequest(
        register_instance=pb.RegisterInstanceRequest(
            instance_id="i-1", tenant_id=TENANT, checkpoint_id="none"
        )
    )
    # One that is still listed with its state, one that no longer is, and small ones.
    states = [EVERY_BYTE * 256, EVERY_BYTE * 257, *[b"", EVERY_BYTE] * len(IDS)]
    for checkpoint_id, state in zip([*IDS, *IDS], states, strict=False):
        checkpoint = pb.CheckpointRequest(
            instance_id="i-1", checkpoint_id=checkpoint_id, state=state
        )
        yield pb.RpcRequest(checkpoint=checkpoint)
    for checkpoint_id in [*IDS, "none", "c::retry::1", "", "x" * 1025]:
        yield pb.RpcRequest(
            checkpoint=pb.CheckpointRequest(instance_id="i-1", checkpoint_id=checkpoint_id)
        )
        get = pb.GetCheckpointRequest(instance_id="i-1", checkpoint_id=checkpoint_id)
        yield pb.RpcRequest(get_checkpoint=get)
    for duration_ms in (0, 7, 7):
        sleep = pb.SleepRequest(
            instance_id="i-1", duration_ms=duration_ms, checkpoint_id=f"s-{duration_ms}"
        )
        yield pb.RpcRequest(sleep=sleep)
    for kind in (pb.EVENT_HEARTBEAT, pb.EVENT_CUSTOM, pb.EVENT_SUSPENDED, 77):
        yield event(kind, b"\xff\x00")
    yield pb.RpcRequest(poll_signals=pb.PollSignalsRequest(instance_id="i-1", checkpoint_id="b"))
    yield pb.RpcRequest(get_instance_status=pb.GetInstanceStatusRequest(instance_id="i-1"))


def asked_at_its_end() -> Iterator[pb.RpcRequest]:
    """End it, and ask on."""
    yield pb.RpcRequest(
        register_instance=pb.RegisterInstanceRequest(instance_id="i-1", tenant_id=TENANT)
    )
    for kind, payload in (
        (pb.EVENT_FAILED, b"\xff not UTF-8 \x00"),
        (pb.EVENT_FAILED, b"\xff not UTF-8 \x00"),
        (pb.EVENT_COMPLETED, b""),
        (pb.EVENT_CUSTOM, b"late"),
        (pb.EVENT_SUSPENDED, b""),
    ):
        yield event(kind, payload)
    for one in ("i-1", "unknown"):
        late = pb.CheckpointRequest(instance_id=one, checkpoint_id="late")
        yield pb.RpcRequest(checkpoint=late)
        kept = pb.GetCheckpointRequest(instance_id=one, checkpoint_id="b")
        yield pb.RpcRequest(get_checkpoint=kept)
        yield pb.RpcRequest(sleep=pb.SleepRequest(instance_id=one, checkpoint_id="late"))
        yield pb.RpcRequest(poll_signals=pb.PollSignalsRequest(instance_id=one))
        page = pb.ListCheckpointsRequest(instance_id=one, limit=2)
        yield pb.RpcRequest(list_checkpoints=page)
        status = pb.GetInstanceStatusRequest(instance_id=one)
        yield pb.RpcRequest(get_instance_status=status)
    yield pb.RpcRequest()


def event(kind: int, payload: bytes) -> pb.RpcRequest:
    message = pb.InstanceEvent(instance_id="i-1", payload=payload, timestamp_ms=TOLD_AT_MS)
    message.event_type = kind  # type: ignore[assignment]  # one of these is no event type
    return pb.RpcRequest(instance_event=message)


async def retries(wire: Wire) -> list[bytes]:
    """Record attempts; return the answers, most of which are empty ends."""
    answers = []
    for number in (1, 2, 2, 0, 2**31 - 1, 2**31):
        message = pb.RetryAttemptEvent(
            instance_id="i-1",
            checkpoint_id="b",
            attempt_number=number,
            timestamp_ms=TOLD_AT_MS + number % 5,
            error_message="über \N{SNOWMAN}",
        )
        request = pb.RpcRequest(retry_attempt=message).SerializeToString()
        answers.append(await wire.connection.exchange(encode(MessageType.REQUEST, request)))
    return answers


async def listed(wire: Wire) -> list[pb.CheckpointEntry]:
    """List all checkpoints, a few at a time."""
    entries: list[pb.CheckpointEntry] = []
    message = pb.ListCheckpointsRequest(instance_id="i-1", limit=4)
    while True:
        answer = await wire.ask(pb.RpcRequest(list_checkpoints=message))
        entries += answer.list_checkpoints.checkpoints
        if not answer.list_checkpoints.HasField("next_id"):
            return entries
        message.after_id = answer.list_checkpoints.next_id


async def all_answers(wire: Wire) -> list[object]:
    """Ask everything; give the answers, with the times that the server took from its clock as 0."""
    began_ms = int(time.time() * 1000)
    messages: list[Message] = [await wire.ask(request) for request in asked()]
    told = await retries(wire)
    messages += [await wire.ask(request) for request in asked_at_its_end()]
    told += await retries(wire)
    entries = await listed(wire)
    for entry in entries:
        if entry.HasField("wake_at_ms"):
            # Of one moment and a length, both of whole milliseconds.
            entry.wake_at_ms -= entry.created_at_ms
    messages += entries
    ended_ms = int(time.time() * 1000)
    for message in messages:
        clear_times(message, began_ms, ended_ms)
    return [*map(str, messages), *told]


def clear_times(message: Message, began_ms: int, ended_ms: int) -> None:
    """Set what a server's clock gave to 0, having seen that it is a time between these."""
    for field, value in message.ListFields():
        if isinstance(value, Message):
            clear_times(value, began_ms, ended_ms)
        elif field.name in ("created_at_ms", "started_at_ms", "finished_at_ms"):
            assert began_ms <= value <= ended_ms
            setattr(message, field.name, 0)
        elif field.name == "next_id":
            message.ClearField("next_id")
        elif field.name == "checkpoints":
            for each in value:
                clear_times(each, began_ms, ended_ms)


async def answers_on(url: str, folder: Path) -> list[object]:
    """Ask everything of a server on this database."""
    async with (
        running(folder, RUNTARA_DATABASE_URL=url) as server,
        connected(server.port) as wire,
    ):
        return await all_answers(wire)


async def test_the_same_is_answered_on_both(tmp_path: Path) -> None:
    """The answers are equal to the last byte, except for times of the server's clock."""
    with migrated_database() as url:
        on_sqlite, on_postgres = await asyncio.gather(
            answers_on("sqlite:core.db", tmp_path), answers_on(url, tmp_path)
        )

    assert on_postgres == on_sqlite
