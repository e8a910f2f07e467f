import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from tests.server.wire import Wire, connected

from runtara_domain.model import CustomSignal, EventFilter, Signal
from runtara_domain.status import OPEN, SignalType
from runtara_domain.system_clock import SystemClock
from runtara_protocol.frame import MessageType, encode
from runtara_protocol.pb import instance_pb2 as pb
from runtara_server.config import Settings
from runtara_server.runtime import CoreRuntime

Made = Callable[..., Settings]


@pytest.fixture
async def runtime(settings: Made) -> AsyncIterator[CoreRuntime]:
    async with CoreRuntime(settings()) as runtime:
        yield runtime


@pytest.fixture
async def wire(runtime: CoreRuntime) -> AsyncIterator[Wire]:
    """A client that has registered the instance i."""
    async with connected(runtime.address[1]) as wire:
        await wire.register("i")
        yield wire


async def test_a_heartbeat_adds_no_row(runtime: CoreRuntime, wire: Wire) -> None:
    answer = await wire.event("i", pb.EVENT_HEARTBEAT)

    assert answer.instance_event.success
    assert await runtime.persistence.events.count(EventFilter("i")) == 1  # It was started.


async def test_a_sleep_that_keeps_running_leaves_it_running(
    runtime: CoreRuntime, wire: Wire
) -> None:
    """Held or not: its other branches work on."""
    message = pb.SleepRequest(
        instance_id="i", checkpoint_id="nap", duration_ms=3_600_000, keep_running=True
    )

    held = asyncio.create_task(wire.ask(pb.RpcRequest(sleep=message)))
    async with asyncio.timeout(60):
        while not (await wire.read("i", "nap")).found:
            pass

    assert (await wire.status("i")).status == pb.STATUS_RUNNING
    held.cancel()
    await asyncio.wait([held])


async def test_a_sleep_says_what_the_instance_awaits(runtime: CoreRuntime, wire: Wire) -> None:
    """What `waits` says of a detached sleep is in the row, and what is no list is refused."""
    waits = '[{"kind": "promise", "name": "approval"}]'

    def nap(waits: str) -> pb.RpcRequest:
        message = pb.SleepRequest(
            instance_id="i", checkpoint_id="nap", duration_ms=3_600_000, detach=True, waits=waits
        )
        return pb.RpcRequest(sleep=message)

    refused = await wire.ask(nap("approval"))
    stored = await wire.ask(nap(waits))

    instance = await runtime.persistence.instances.get("i")
    assert (refused.error.code, "waits" in refused.error.message) == ("VALIDATION_ERROR", True)
    assert stored.HasField("sleep")
    assert instance is not None
    assert instance.waits == waits


async def test_a_batch_has_a_bound(wire: Wire) -> None:
    """The bound is 10,000 events."""
    event = pb.InstanceEvent(instance_id="i", event_type=pb.EVENT_CUSTOM)
    message = pb.InstanceEventBatch(events=[event] * 10_001)

    answer = await wire.ask(pb.RpcRequest(instance_event_batch=message))

    assert answer.error.code == "VALIDATION_ERROR"
    assert "events" in answer.error.message


@pytest.mark.parametrize("is_accepted", [False, True])
async def test_a_signal_not_accepted_stays_pending(
    runtime: CoreRuntime, wire: Wire, is_accepted: bool
) -> None:
    now = SystemClock().now()
    await runtime.persistence.signals.send("i", Signal(SignalType.CANCEL), when=OPEN, at=now)
    message = pb.SignalAck(instance_id="i", signal_type=pb.SIGNAL_CANCEL, acknowledged=is_accepted)

    request = pb.RpcRequest(signal_ack=message).SerializeToString()
    await wire.connection.exchange(encode(MessageType.REQUEST, request))

    expected = pb.STATUS_CANCELLED if is_accepted else pb.STATUS_RUNNING
    assert (await wire.status("i")).status == expected


@pytest.mark.long
async def test_the_largest_state_is_found_while_the_largest_signals_wait(
    runtime: CoreRuntime, wire: Wire
) -> None:
    """A poll returns the pending one: the three don't fit one frame."""
    state, payload = bytes(63 * 1024 * 1024), bytes(512 * 1024)
    now = SystemClock().now()
    signals = runtime.persistence.signals
    await signals.send("i", Signal(SignalType.CANCEL, payload), when=OPEN, at=now)
    await signals.send_custom("i", CustomSignal("c", payload), when=OPEN, at=now)

    await wire.checkpoint("i", "c", state)
    found = (await wire.checkpoint("i", "c")).checkpoint
    poll = pb.PollSignalsRequest(instance_id="i")
    polled = (await wire.ask(pb.RpcRequest(poll_signals=poll))).poll_signals

    assert (found.found, found.state) == (True, state)
    assert found.custom_signal.payload == payload
    assert not found.HasField("pending_signal")
    assert polled.signal.payload == payload


async def test_a_registration_tells_what_a_run_reads_first(
    runtime: CoreRuntime, wire: Wire
) -> None:
    """The checkpoints, a page of them if many, the pending signal, and what the server knows."""
    assert (await wire.register("new", look=True)).HasField("checkpoints")
    old = await wire.register("new")
    assert (old.knows_preceding, old.knows_children) == (False, False)
    for number in range(33):
        await wire.checkpoint("i", f"step {number}", b"state")
    now = SystemClock().now()
    signals = runtime.persistence.signals
    for instance_id in ("i", "new"):
        pause = Signal(SignalType.PAUSE, b"p")
        await signals.send(instance_id, pause, when=OPEN, at=now)

    answer = await wire.register("i", look=True)
    blank = await wire.register("new", look=True)

    assert (answer.knows_preceding, answer.knows_children) == (True, True)
    assert answer.knows_together
    assert blank.pending_signal.payload == b"p"
    told = [(entry.checkpoint_id, entry.state) for entry in answer.checkpoints.checkpoints]
    assert told == [(f"step {number}", b"state") for number in range(32)]
    assert answer.checkpoints.HasField("next_id")
    signal = pb.Signal(instance_id="i", signal_type=pb.SIGNAL_PAUSE, payload=b"p")
    assert answer.pending_signal == signal


@pytest.mark.parametrize(("size", "is_told"), [(2048, True), (2049, False)])
async def test_a_registration_reads_no_large_states(wire: Wire, size: int, is_told: bool) -> None:
    """One registration reads at most 32 states of 2 KiB, even if many come at once."""
    await wire.checkpoint("i", "step", bytes(size))

    answer = await wire.register("i", look=True)

    assert answer.HasField("checkpoints") == is_told
    assert answer.knows_children


async def test_a_checkpoint_brings_many_that_precede_it(wire: Wire) -> None:
    """They are saved in their order, up to a hundred of them."""

    def asked(count: int) -> pb.RpcRequest:
        before = [
            pb.PrecedingCheckpoint(checkpoint_id=str(number), state=b"s") for number in range(count)
        ]
        last = pb.CheckpointRequest(instance_id="i", checkpoint_id="last", more_preceding=before)
        return pb.RpcRequest(save_together=last)

    refused = await wire.ask(asked(101))
    assert refused.error.code == "VALIDATION_ERROR"
    assert "takes at most 100 checkpoints, got 101" in refused.error.message

    assert (await wire.ask(asked(100))).checkpoint == pb.CheckpointResponse()
    saved = (await wire.register("i", look=True)).checkpoints.checkpoints
    assert [one.checkpoint_id for one in saved] == [str(number) for number in range(32)]
    assert (await wire.read("i", "last")).found


async def test_a_checkpoint_brings_one_that_precedes_it(wire: Wire) -> None:
    """Both are saved; the answer tells of the second, and a bad first one is refused with it."""

    def asked(preceding_id: str) -> pb.RpcRequest:
        preceding = pb.PrecedingCheckpoint(checkpoint_id=preceding_id, state=b"start")
        return pb.RpcRequest(
            checkpoint_after=pb.CheckpointRequest(
                instance_id="i", checkpoint_id="one", state=b"1", preceding=preceding
            )
        )

    for bad in ("", "one"):
        refused = await wire.ask(asked(bad))
        assert refused.error.code == "VALIDATION_ERROR"
        assert not (await wire.read("i", "one")).found

    assert (await wire.ask(asked("first"))).checkpoint == pb.CheckpointResponse()
    found = (await wire.ask(asked("first"))).checkpoint

    assert (found.found, found.state) == (True, b"1")
    assert (await wire.read("i", "first")).state == b"start"


def starting(ids: Sequence[str], checkpoints: Sequence[tuple[str, bytes]]) -> pb.RpcRequest:
    """Ask for children of "i" that have an input, and for checkpoints of it."""
    return pb.RpcRequest(
        start_children=pb.StartChildrenRequest(
            instance_id="i",
            children=[pb.ChildToStart(child_id=one, workflow="w", input=b"17") for one in ids],
            checkpoints=[
                pb.PrecedingCheckpoint(checkpoint_id=one, state=state) for one, state in checkpoints
            ],
        )
    )


async def test_children_are_started_together_with_checkpoints(
    runtime: CoreRuntime, wire: Wire
) -> None:
    """The answer tells what was created, what stands and what is pending."""
    await wire.checkpoint("i", "first", b"mine")
    now = SystemClock().now()
    pause = Signal(SignalType.PAUSE, b"p")
    await runtime.persistence.signals.send("i", pause, when=OPEN, at=now)
    asked = starting(["a", "b"], [("first", b"f"), ("a!started", b"1")])

    answers = [(await wire.ask(asked)).start_children for _ in range(2)]

    stored = [pb.StoredCheckpoint(found=True, state=b"mine"), pb.StoredCheckpoint()]
    pending = pb.Signal(instance_id="i", signal_type=pb.SIGNAL_PAUSE, payload=b"p")
    assert answers[0] == pb.StartChildrenResponse(
        children=[pb.StartChildResponse(created=True)] * 2,
        checkpoints=stored,
        pending_signal=pending,
    )
    stored[1] = pb.StoredCheckpoint(found=True, state=b"1")
    assert answers[1] == pb.StartChildrenResponse(
        children=[pb.StartChildResponse()] * 2, checkpoints=stored, pending_signal=pending
    )
    for child in ("a", "b"):
        assert await runtime.persistence.instances.input(child) == b"17"


async def test_states_that_are_many_are_left_to_be_read(wire: Wire) -> None:
    """The answer has at most 64 KiB of states that were saved before."""
    names = [f"c{number}" for number in range(3)]
    for name in names:
        await wire.checkpoint("i", name, bytes(32 * 1024))

    answer = (await wire.ask(starting(["a"], [(name, b"") for name in names]))).start_children

    assert [one.found for one in answer.checkpoints] == [True] * 3
    assert [len(one.state) for one in answer.checkpoints] == [32 * 1024, 32 * 1024, 0]
    assert [one.HasField("state") for one in answer.checkpoints] == [True, True, False]


async def test_one_child_that_cannot_be_started_stores_nothing(
    runtime: CoreRuntime, wire: Wire
) -> None:
    """The refusal names the child."""
    await wire.register("taken")

    refused = await wire.ask(starting(["a", "taken"], [("a!started", b"1")]))

    assert refused.error.code == "INSTANCE_ALREADY_EXISTS"
    assert "'taken' exists and is no child of 'i'" in refused.error.message
    assert await runtime.persistence.instances.get("a") is None
    assert not (await wire.read("i", "a!started")).found
