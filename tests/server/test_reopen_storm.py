"""
Instances that end, block and are reopened while the server is killed again and again.

Nothing leaves a final state but a reopen, and a parent gets exactly the ending that stands.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.server.wire import Wire, connected
from tests.support.postgres import migrated_database
from tests.support.server_process import ServerProcess, running

from runtara_domain.error import CoreError
from runtara_domain.model import NewChild, Registration
from runtara_persistence import (
    OPEN,
    Caller,
    Claim,
    EventFilter,
    EventType,
    Persistence,
    ReopenInstance,
    SendSignal,
    Signal,
    SignalType,
    StoredEvent,
    SystemClock,
    connect,
)
from runtara_protocol.pb import instance_pb2 as pb
from runtara_protocol.quic.error import ConnectionLost

pytestmark = pytest.mark.usefixtures("unmeasured")

PARENT = "parent"
CHILDREN = [f"child-{number}" for number in range(6)]
BETWEEN_KILLS = 40
"""Acknowledged requests before the server is killed once more."""
ENDINGS = {EventType.COMPLETED, EventType.FAILED}
UNREACHABLE = (ConnectionLost, OSError, AssertionError)

clock = SystemClock()


@dataclass
class Seen:
    """What was acknowledged, and by how many requests."""

    endings: set[bytes] = field(default_factory=set)
    saved: set[tuple[str, str]] = field(default_factory=set)
    reopened: Counter[str] = field(default_factory=Counter)
    answers: int = 0
    is_over: bool = False


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_only_a_reopen_leaves_a_final_state(database: str, tmp_path: Path) -> None:
    """Everything that was acknowledged is there, once."""
    await storm(database, tmp_path, kills=2)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_only_a_reopen_leaves_a_final_state_for_long(database: str, tmp_path: Path) -> None:
    """The number of kills of the server doesn't matter."""
    await storm(database, tmp_path, kills=60)


async def storm(database: str, folder: Path, kills: int) -> None:
    seen = Seen()
    async with (
        stored(database, folder) as url,
        running(folder, RUNTARA_DATABASE_URL=url) as server,
        connect(url) as persistence,
    ):
        await create(persistence)
        actors = [asyncio.create_task(work(server, seen, child)) for child in CHILDREN]
        actors.append(asyncio.create_task(operate(persistence, seen)))
        for _ in range(kills):
            await until(seen, seen.answers + BETWEEN_KILLS, actors)
            await server.restart()
        await until(seen, seen.answers + BETWEEN_KILLS, actors)
        seen.is_over = True
        await asyncio.gather(*actors)
        await check(persistence, seen)


@asynccontextmanager
async def stored(database: str, folder: Path) -> AsyncIterator[str]:
    if database == "sqlite":
        yield f"sqlite:{folder}/core.db"
    else:
        with migrated_database() as url:
            yield url


async def create(persistence: Persistence) -> None:
    """Let a parent, which is never ended, start the children."""
    begun = await persistence.instances.register(
        Registration(PARENT, "t-1"), when=OPEN, at=clock.now()
    )
    for child in CHILDREN:
        await persistence.instances.start_child(
            Caller(PARENT, begun.run), NewChild(child, "orders"), when=OPEN, at=clock.now()
        )


async def until(seen: Seen, answers: int, actors: list["asyncio.Task[None]"]) -> None:
    async with asyncio.timeout(120):
        while seen.answers < answers:
            done = [actor for actor in actors if actor.done()]
            assert not done, done[0].exception()
            await asyncio.sleep(0.01)  # What is counted is done by other tasks and a process.


async def work(server: ServerProcess, seen: Seen, child: str) -> None:
    """Run the child, end or block it, and say so once more on a connection without a run."""
    chance = random.Random(child)
    number = 0
    while not seen.is_over:
        try:
            async with connected(server.port) as wire, connected(server.port) as unregistered:
                while not seen.is_over:
                    number += 1
                    await live(wire, unregistered, chance, seen, child, number)
        except UNREACHABLE:
            await asyncio.sleep(0.05)  # The server is being started again.


async def live(
    wire: Wire, unregistered: Wire, chance: random.Random, seen: Seen, child: str, number: int
) -> None:
    await wire.register(child)
    name = f"step-{number}"
    saved = await wire.checkpoint(child, name, name.encode())
    if saved.HasField("checkpoint"):
        seen.saved.add((child, name))
    payload = f"{child} {number}".encode()
    kinds = [pb.EVENT_FAILED] * 6 + [pb.EVENT_SUSPENDED] * 5 + [pb.EVENT_COMPLETED] * (number > 40)
    kind = chance.choice(kinds)
    for place in (wire, unregistered, wire):
        message = pb.InstanceEvent(instance_id=child, event_type=kind, payload=payload)
        if kind == pb.EVENT_SUSPENDED and chance.random() < 0.5:
            message.blocked_reason = "changed"
        answer = await place.ask(pb.RpcRequest(instance_event=message))
        if answer.instance_event.success and kind != pb.EVENT_SUSPENDED:
            seen.endings.add(payload)
        seen.answers += 1


async def operate(persistence: Persistence, seen: Seen) -> None:
    """Reopen, block, signal and claim, whatever the instances are doing."""
    chance = random.Random("operator")
    reopen = ReopenInstance(persistence.instances, clock)
    send = SendSignal(persistence.signals, clock)

    async def reopened(child: str) -> None:
        await reopen(instance_id=child, set_aside=[f"aside-{chance.randrange(9)}"])
        seen.reopened[child] += 1

    async def told(child: str) -> None:
        await send(instance_id=child, signal=Signal(chance.choice(list(SignalType))))

    async def blocked(child: str) -> None:
        await persistence.instances.block(Caller(child), "gone", when=OPEN, at=clock.now())

    async def claimed(child: str) -> None:
        await persistence.claims.claim_due(Claim("me", clock.now()), limit=3, at=clock.now())

    steps: list[Callable[[str], Awaitable[None]]] = [reopened, reopened, told, blocked, claimed]
    while not seen.is_over:
        try:
            await chance.choice(steps)(chance.choice(CHILDREN))
        except CoreError:
            continue  # It is in another state by now.
        finally:
            await asyncio.sleep(0.002)  # So that instances come to an end between two steps.


async def check(persistence: Persistence, seen: Seen) -> None:
    said = Counter[bytes]()
    for child in CHILDREN:
        events = await persistence.events.page(EventFilter(child), limit=100_000)
        said.update(event.payload for event in events if event.type in ENDINGS)
        check_history(events)
        reopenings = sum(event.subtype == "runtara.reopened" for event in events)
        started = sum(event.type is EventType.STARTED for event in events)
        one = await persistence.instances.get(child)
        assert one is not None
        assert one.run == started + reopenings
        assert reopenings == seen.reopened[child]
        await check_heard(persistence, child)
    assert seen.endings <= said.keys()
    assert set(said.values()) <= {1}, "the same ending is recorded once"
    assert sum(seen.reopened.values()) > 0
    for child, name in seen.saved:
        kept = await persistence.checkpoints.get(child, name)
        assert kept is not None
        assert kept.state == name.encode()


def check_history(events: list[StoredEvent]) -> None:
    """Follow an instance through its events: an ending is left by a reopen alone."""
    ended: StoredEvent | None = None
    for event in events:
        if event.subtype == "runtara.reopened":
            former = json.loads(event.payload)
            assert former["status"] in ("failed", "cancelled")
            if ended is not None:
                assert (former["status"], former["error"]) == ("failed", ended.payload.decode())
            ended = None
        else:
            assert ended is None, f"{event} after {ended}"
            if event.type in ENDINGS:
                ended = event


async def check_heard(persistence: Persistence, child: str) -> None:
    """The parent knows how the child stands: its ending, if it has ended."""
    one = await persistence.instances.get(child)
    assert one is not None
    heard = await persistence.signals.pending(Caller(PARENT), [f"~child/{child}"])
    told = heard.custom_signals.get(f"~child/{child}")
    if not one.state.is_final:
        assert told is None
    else:
        assert told is not None
        assert json.loads(told)["status"] == one.status.value
