"""Activity: what moves `last_activity_at`, which silent instances are found by."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from tests.contract.database import Database
from tests.contract.states import TENANT, WAKE, put_checkpoint, put_instance
from tests.support.clock import START

from runtara_domain.model import (
    Caller,
    CheckpointWrite,
    Claim,
    CustomSignal,
    Ending,
    Event,
    EventStep,
    EventType,
    NewInstance,
    Registration,
    RetryAttempt,
    Signal,
    Sleep,
)
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import ANY, MOVES, OPEN, WORKING, Move, SignalType, State

ME = Caller("i")
CLAIM = Claim("somebody", WAKE)
SAID = Event(EventType.CUSTOM, b"", START)
DONE = Event(EventType.COMPLETED, b"", START)
STOP = Event(EventType.SUSPENDED, b"", START)
OTHER_ENDING = Ending(State.FAILED, error="other", stderr="s", memory_peak_bytes=1)

Step = Callable[[Persistence], Awaitable[object]]

LIVING: dict[str, Step] = {
    "register": lambda p: p.instances.register(Registration("i", TENANT), when=OPEN, at=START),
    "save": lambda p: p.checkpoints.save(ME, CheckpointWrite("n", b""), when=WORKING, at=START),
    "sleep": lambda p: sleep(p, Sleep("n", b"", timedelta(hours=9))),
    "sleep again": lambda p: sleep(p, Sleep("c", b"", timedelta(hours=9))),
    "sleep over": lambda p: sleep(p, Sleep("n", b"", timedelta(0))),
    "retry": lambda p: p.checkpoints.record_retry(
        ME, RetryAttempt("c", 1, START), when=OPEN, at=START
    ),
    "append": lambda p: p.events.append(ME, SAID, when=ANY, at=START),
    "end": lambda p: p.events.end(ME, DONE, Ending(State.COMPLETED), when=WORKING, at=START),
    "suspend": lambda p: p.events.suspend(ME, STOP, at=START),
    "batch": lambda p: p.events.record_all([EventStep(ME, SAID, ANY)], at=START),
    "acknowledge": lambda p: p.signals.acknowledge(ME, SignalType.RESUME, at=START),
    "wake": lambda p: p.claims.wake(ME, token="somebody", when=MOVES[Move.WAKE].sources, at=START),
    "touch": lambda p: p.instances.mark_active([ME], at=START),
}
"""Steps that show a live process; all apply to an instance asleep with a resume pending."""

OUTSIDE: dict[str, Step] = {
    "get": lambda p: p.instances.get("i"),
    "get checkpoint": lambda p: p.checkpoints.get("i", "c"),
    "list checkpoints": lambda p: p.checkpoints.page("i"),
    "pending": lambda p: p.signals.pending(ME, ["c"]),
    "send cancel": lambda p: p.signals.send("i", Signal(SignalType.CANCEL), when=OPEN, at=START),
    "send custom": lambda p: p.signals.send_custom("i", CustomSignal("c"), when=OPEN, at=START),
    "create": lambda p: p.instances.create(NewInstance("i", TENANT, b"other"), at=START),
    "finish": lambda p: p.instances.finish(ME, OTHER_ENDING, when=OPEN, at=START),
    "claim": lambda p: p.claims.claim_due(Claim("else", WAKE), limit=9, at=START),
    "renew": lambda p: p.claims.renew(CLAIM, {ME: None}, at=START),
    "release": lambda p: p.claims.release("somebody", ["i"], at=START),
    "continue": lambda p: p.instances.register(
        Registration("i", TENANT, continue_run=2), when=OPEN, at=START
    ),
}
"""Steps of observers, and reads, whose activity is gathered."""


async def sleep(persistence: Persistence, asked: Sleep) -> object:
    return await persistence.checkpoints.sleep(
        ME, asked, when=WORKING, claim=CLAIM, earliest=None, at=START
    )


@pytest.mark.parametrize("step", LIVING)
@pytest.mark.parametrize("ahead", [-1, 1], ids=["behind", "ahead"])
async def test_whatever_shows_a_live_process_moves_activity_forward(
    persistence: Persistence, database: Database, step: str, ahead: int
) -> None:
    """Never backward: servers' clocks differ, and what was gathered may come late."""
    last = START + timedelta(milliseconds=ahead)
    await put_instance(database, State.ASLEEP, last_activity_at=last)
    await put_checkpoint(database, wake_at=WAKE)
    await database.put_signal("i", SignalType.RESUME)

    await LIVING[step](persistence)

    assert (await database.row("i"))["last_activity_at"] == max(START, last)


@pytest.mark.parametrize("step", OUTSIDE)
async def test_an_observer_shows_no_life(
    persistence: Persistence, database: Database, step: str
) -> None:
    """Otherwise an instance that fell silent would never be noticed."""
    await put_instance(database, State.ASLEEP)
    await put_checkpoint(database)
    await database.put_signal("i", SignalType.RESUME)

    await OUTSIDE[step](persistence)

    assert (await database.row("i"))["last_activity_at"] is None


@pytest.mark.parametrize("step", LIVING | OUTSIDE)
@pytest.mark.parametrize("signal", sorted(SignalType))
@pytest.mark.parametrize("state", [State.COMPLETED, State.FAILED, State.CANCELLED])
async def test_nothing_in_a_finished_row_ever_changes(
    persistence: Persistence, database: Database, state: State, signal: SignalType, step: str
) -> None:
    """No step changes it, its checkpoints or its signals; events that it sends later are kept."""
    await put_instance(database, state)
    await put_checkpoint(database)
    await database.put_signal("i", signal)
    stored = await database.snapshot()

    await (LIVING | OUTSIDE)[step](persistence)

    now = await database.snapshot()
    events = now.pop("instance_events")
    assert stored.pop("instance_events") == []
    assert now == stored
    assert [event["event_type"] for event in events] == (
        ["custom"] if step in ("append", "batch") else []
    )
