"""Several events in one step: as if one after the other, all or none."""

import pytest
from tests.contract.database import Database
from tests.contract.states import EARLIER, put_instance
from tests.support.clock import START

from runtara_domain.model import Caller, Ending, Event, EventStep, EventType, Recorded
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import ANY, OPEN, WORKING, SignalType, State

ME = Caller("i")
DONE = Ending(State.COMPLETED, output=b"done")
BROKEN = Ending(State.FAILED, error="broken")


def say(word: bytes, caller: Caller = ME) -> EventStep:
    return EventStep(caller, Event(EventType.CUSTOM, word, EARLIER, "c", "log"), ANY)


def end(ending: Ending = DONE, caller: Caller = ME) -> EventStep:
    event = Event(EventType(ending.state.value), ending.output or b"", EARLIER)
    return EventStep(caller, event, WORKING, ending)


def suspend(caller: Caller = ME) -> EventStep:
    return EventStep(caller, Event(EventType.SUSPENDED, b"", EARLIER), OPEN)


async def payloads(database: Database) -> list[object]:
    return [row["payload"] for row in await database.rows("instance_events")]


@pytest.mark.parametrize("signal", [None, *sorted(SignalType)])
@pytest.mark.parametrize("step", [say(b"said"), end(), end(BROKEN), suspend()])
@pytest.mark.parametrize("state", sorted(State))
async def test_each_step_does_what_it_does_alone(
    persistence: Persistence,
    database: Database,
    state: State,
    step: EventStep,
    signal: SignalType | None,
) -> None:
    """The same outcome, row, event and signal, in every state."""
    for name in ("alone", "batch"):
        await put_instance(database, state, name)
        if signal is not None:
            await database.put_signal(name, signal)
    alone = Caller("alone")

    if step.ending is not None:
        single = await persistence.events.end(
            alone, step.event, step.ending, when=step.when, at=START
        )
    elif step.event.type is EventType.SUSPENDED:
        single = await persistence.events.suspend(alone, step.event, at=START)
    else:
        single = await persistence.events.append(alone, step.event, when=step.when, at=START)
    batch = EventStep(Caller("batch"), step.event, step.when, step.ending)
    outcomes = await persistence.events.record_all([batch], at=START)

    assert outcomes == [single]
    for rows in (await database.snapshot()).values():
        ours = [
            {name: row[name] for name in row if name not in ("id", "instance_id")} for row in rows
        ]
        assert ours[: len(ours) // 2] == ours[len(ours) // 2 :]


async def test_each_step_finds_what_those_before_it_did(
    persistence: Persistence, database: Database
) -> None:
    """They are executed in turn, and each has its own outcome."""
    before = await put_instance(database, State.RUNNING)
    await database.put_signal("i", SignalType.PAUSE)
    steps = [say(b"1"), suspend(), suspend(), say(b"2"), end(), say(b"3")]

    outcomes = await persistence.events.record_all(steps, at=START)

    states = [State.RUNNING, State.RUNNING, State.PAUSED, State.PAUSED, State.PAUSED, State.PAUSED]
    after = [State.RUNNING, State.PAUSED, State.PAUSED, State.PAUSED, None, State.PAUSED]
    assert [(one.before and one.before.state) for one in outcomes] == states
    assert [one.after for one in outcomes] == after
    assert {one.before.run for one in outcomes if one.before} == {before.run}
    assert await database.events("i") == ["custom", "suspended", "suspended", "custom", "custom"]


async def test_the_same_ending_twice_is_repeated(
    persistence: Persistence, database: Database
) -> None:
    """Recorded once, and another one after it not at all; words are still kept."""
    await put_instance(database, State.RUNNING)

    outcomes = await persistence.events.record_all([end(), end(), end(BROKEN), say(b"1")], at=START)

    assert [(one.repeated, one.after) for one in outcomes] == [
        (False, State.COMPLETED),
        (True, State.COMPLETED),
        (False, None),
        (False, State.COMPLETED),
    ]
    assert await database.events("i") == ["completed", "custom"]
    assert (await database.row("i"))["output"] == b"done"


async def test_one_that_is_not_admitted_is_passed_over(
    persistence: Persistence, database: Database
) -> None:
    """An unknown instance, a superseded run, a state that is not meant: the others are kept."""
    running = await put_instance(database, State.RUNNING)
    pending = await put_instance(database, State.PENDING, "p")
    steps = [
        say(b"1"),
        say(b"lost", Caller("unknown")),
        say(b"2"),
        end(caller=Caller("i", 1)),
        say(b"lost", Caller("i", 1)),
        end(caller=Caller("p")),
        suspend(Caller("p")),
        say(b"3"),
    ]

    outcomes = await persistence.events.record_all(steps, at=START)

    kept = Recorded(running, after=State.RUNNING)
    assert outcomes == [
        kept,
        Recorded(before=None),
        kept,
        Recorded(running),
        Recorded(running),
        Recorded(pending),
        Recorded(pending),
        kept,
    ]
    assert await payloads(database) == [b"1", b"2", b"3"]


async def test_events_of_a_batch_keep_their_order(
    persistence: Persistence, database: Database
) -> None:
    """Whosever they are, and however many."""
    names = ["a", "b", "c"]
    for name in names:
        await put_instance(database, State.RUNNING, name)
    words = [f"{number}".encode() for number in range(3000)]
    steps = [say(word, Caller(names[number % 3])) for number, word in enumerate(words)]

    outcomes = await persistence.events.record_all(steps, at=START)

    rows = await database.rows("instance_events")
    assert {one.after for one in outcomes} == {State.RUNNING}
    assert len(outcomes) == len(words)
    assert [row["payload"] for row in rows] == words
    assert [row["instance_id"] for row in rows] == names * 1000
    assert [row["id"] for row in rows] == sorted({row["id"] for row in rows})
    assert {row["last_activity_at"] for row in await database.rows("instances")} == {START}


async def test_an_empty_batch_does_nothing(persistence: Persistence, database: Database) -> None:
    """It has no outcomes."""
    stored = await database.snapshot()

    assert await persistence.events.record_all([], at=START) == []
    assert await database.snapshot() == stored
