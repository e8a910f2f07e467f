"""What a step costs: one statement, which is its transaction, and nothing before or after it."""

import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import TypeAlias

import pytest
from tests.support.clock import START
from tests.support.postgres import PostgresServer

from runtara_domain.model import (
    Caller,
    CheckpointWrite,
    Claim,
    CustomSignal,
    Ending,
    Event,
    EventType,
    NewInstance,
    Registration,
    RetryAttempt,
    Signal,
)
from runtara_domain.status import ANY, OPEN, WORKING, SignalType, State
from runtara_persistence.postgres.persistence import PostgresPersistence

# As it is logged; the server writes of its own affairs, too.
ASKED = re.compile(rb"LOG:  (?:execute|statement)")
CLAIM = Claim("me", START + timedelta(minutes=1))
CUSTOM = Event(EventType.CUSTOM, b"", START)
SUSPENDED = Event(EventType.SUSPENDED, b"", START)
COMPLETED = Event(EventType.COMPLETED, b"", START)

Steps: TypeAlias = dict[str, Callable[[], Awaitable[object]]]


def steps(persistence: PostgresPersistence, name: str) -> Steps:
    """Give the steps of an instance's life."""
    instances, checkpoints = persistence.instances, persistence.checkpoints
    events, signals = persistence.events, persistence.signals
    me = Caller(name)
    return {
        "create": lambda: instances.create(NewInstance(name, "t"), at=START),
        "register": lambda: instances.register(Registration(name, "t"), when=OPEN, at=START),
        "save": lambda: checkpoints.save(me, CheckpointWrite("c", b""), when=WORKING, at=START),
        "get": lambda: checkpoints.get(name, "c"),
        "retry": lambda: checkpoints.record_retry(
            me, RetryAttempt("c", 1, START), when=WORKING, at=START
        ),
        "append": lambda: events.append(me, CUSTOM, when=ANY, at=START),
        "send": lambda: signals.send(name, Signal(SignalType.PAUSE), when=OPEN, at=START),
        "send_custom": lambda: signals.send_custom(name, CustomSignal("c"), when=OPEN, at=START),
        "suspend": lambda: events.suspend(me, SUSPENDED, at=START),
        "claim_due": lambda: persistence.claims.claim_due(CLAIM, limit=1, at=START),
        "renew": lambda: persistence.claims.renew(CLAIM, {me: None}, at=START),
        "mark_active": lambda: instances.mark_active([me], at=START),
        "end": lambda: events.end(me, COMPLETED, Ending(State.COMPLETED), when=OPEN, at=START),
    }


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that writes down whatever it is asked."""
    server = PostgresServer("log_statement=all")
    try:
        server.start()
        yield server
    finally:
        server.remove()


async def test_every_step_is_one_statement(server: PostgresServer) -> None:
    """This holds from the second of its kind on: the driver asks about types for the first."""
    log = server.folder / "log"
    asked: dict[str, int] = {}

    async with PostgresPersistence(
        server.url("postgres"), migrates=True, pool_size=1
    ) as persistence:
        for step in steps(persistence, "first").values():
            await step()
        for name, step in steps(persistence, "second").items():
            before = log.stat().st_size
            await step()
            asked[name] = len(ASKED.findall(log.read_bytes()[before:]))

    assert asked == dict.fromkeys(asked, 1)
