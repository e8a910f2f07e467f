"""Callers at the same time: saves and registrations are judged one by one."""

import asyncio
from datetime import timedelta

from tests.contract.database import Database
from tests.contract.states import TENANT, put_instance
from tests.support.clock import START

from runtara_domain.model import (
    Caller,
    CheckpointWrite,
    Ending,
    Event,
    EventType,
    Registration,
    Signal,
)
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import OPEN, WORKING, InstanceStatus, SignalType, State

ME = Caller("i")
RACERS = 16


async def test_of_racing_saves_exactly_one_saves(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """The others get its state, through whichever adapter they came."""
    await put_instance(database, State.RUNNING)
    states = [f"{number}".encode() for number in range(RACERS)]

    saved = await asyncio.gather(
        *(
            (persistence, neighbour)[number % 2].checkpoints.save(
                ME, CheckpointWrite("c", state), when=WORKING, at=START
            )
            for number, state in enumerate(states)
        )
    )

    kept = [outcome.kept for outcome in saved]
    winner = states[kept.index(None)]
    assert sorted(kept, key=lambda state: state is not None) == [None] + [winner] * (RACERS - 1)
    (row,) = await database.rows("checkpoints")
    assert row["state"] == winner


async def test_of_racing_saves_of_large_states_one_saves(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """The other outcomes say that there is a state, which is read by itself."""
    await put_instance(database, State.RUNNING)
    states = [bytes([number]) * (64 * 1024 + 1) for number in range(RACERS)]

    saved = await asyncio.gather(
        *(
            (persistence, neighbour)[number % 2].checkpoints.save(
                ME, CheckpointWrite("c", state), when=WORKING, at=START
            )
            for number, state in enumerate(states)
        )
    )

    assert {outcome.kept for outcome in saved} == {None}
    assert sorted(outcome.is_large for outcome in saved) == [False] + [True] * (RACERS - 1)
    winner = states[[outcome.is_large for outcome in saved].index(False)]
    (row,) = await database.rows("checkpoints")
    assert row["state"] == winner


async def test_saves_at_once_have_each_the_outcome_of_their_own(
    persistence: Persistence, database: Database
) -> None:
    """There are many instances with new and known checkpoints, signals, and an unknown instance."""
    ids = [f"i{number}" for number in range(70)]
    for instance_id in ids:
        await put_instance(database, State.RUNNING, instance_id)
    await persistence.checkpoints.save(
        Caller("i3"), CheckpointWrite("c", b"first"), when=WORKING, at=START
    )
    await persistence.signals.send("i5", Signal(SignalType.CANCEL), when=OPEN, at=START)

    saved = await asyncio.gather(
        *(
            persistence.checkpoints.save(
                Caller(instance_id), CheckpointWrite(checkpoint_id, b""), when=WORKING, at=START
            )
            for instance_id in (*ids, "unknown")
            for checkpoint_id in ("c", "d")
        )
    )

    assert [place for place, each in enumerate(saved) if each.before is None] == [140, 141]
    assert [place for place, each in enumerate(saved) if each.kept == b"first"] == [6]
    assert [place for place, each in enumerate(saved) if each.signal] == [10, 11]
    for instance_id in ids:
        page = await persistence.checkpoints.page(instance_id)
        assert [entry.checkpoint_id for entry in page.entries] == ["c", "d"]
        assert (await database.row(instance_id))["checkpoint_id"] == "d"


async def test_racing_saves_of_different_ids_are_all_kept(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """The pointer is at one of them: the last in the order of saving."""
    await put_instance(database, State.RUNNING)

    saved = await asyncio.gather(
        *(
            (persistence, neighbour)[number % 2].checkpoints.save(
                ME, CheckpointWrite(f"c{number}", b""), when=WORKING, at=START
            )
            for number in range(RACERS)
        )
    )

    rows = await database.rows("checkpoints")
    assert {outcome.kept for outcome in saved} == {None}
    assert {row["checkpoint_id"] for row in rows} == {f"c{number}" for number in range(RACERS)}
    last = max(rows, key=lambda row: row["id"])
    assert (await database.row("i"))["checkpoint_id"] == last["checkpoint_id"]


async def test_racing_saves_of_many_instances_never_mix(
    persistence: Persistence, database: Database
) -> None:
    """Whatever an adapter gathers into one transaction, each caller gets its own outcome."""
    names = [f"i{number}" for number in range(RACERS)]
    for name in names[:-1]:
        await put_instance(database, State.RUNNING, name)

    saved = await asyncio.gather(
        *(
            persistence.checkpoints.save(
                Caller(name), CheckpointWrite("c", name.encode() + turn), when=WORKING, at=START
            )
            for name in names
            for turn in (b"1", b"2")
        )
    )

    firsts, seconds = saved[0::2], saved[1::2]
    assert [outcome.before is None for outcome in firsts] == [False] * (RACERS - 1) + [True]
    for name, first, second in zip(names[:-1], firsts, seconds, strict=False):
        kept = {first.kept, second.kept}
        assert kept in ({None, name.encode() + b"1"}, {None, name.encode() + b"2"})


async def test_racing_saves_are_judged_one_by_one(
    persistence: Persistence, database: Database
) -> None:
    """What one of them may not do, and what it finds, is nothing to the others."""
    await put_instance(database, State.RUNNING, "i", run=2)
    await put_instance(database, State.PAUSED, "paused")
    callers = [Caller("i", 1), Caller("i", 2), Caller("paused"), Caller("nobody"), Caller("i")]

    saved = await asyncio.gather(
        *(
            persistence.checkpoints.save(
                caller, CheckpointWrite(f"c{number % 4}", b"new"), when=WORKING, at=START
            )
            for number, caller in enumerate([*callers, *callers])
        )
    )

    rows = await database.rows("checkpoints")
    found = [outcome.before and outcome.before.state for outcome in saved]
    assert found == [State.RUNNING, State.RUNNING, State.PAUSED, None, State.RUNNING] * 2
    assert sorted(row["checkpoint_id"] for row in rows) == ["c0", "c1", "c2"]
    assert {row["instance_id"] for row in rows} == {"i"}


async def test_of_racing_saves_one_stirs(persistence: Persistence, database: Database) -> None:
    """The others find the instance RUNNING; the pointer and the last sign of life are the last."""
    await put_instance(database, State.ASLEEP)
    moments = [START + timedelta(seconds=number) for number in range(RACERS)]

    saved = await asyncio.gather(
        *(
            persistence.checkpoints.save(
                ME, CheckpointWrite(f"c{number}", b""), when=WORKING, at=at
            )
            for number, at in enumerate(moments)
        )
    )

    found = await persistence.instances.get("i")
    rows = await database.rows("checkpoints")
    before = [outcome.before and outcome.before.state for outcome in saved]
    assert sorted(str(state) for state in before) == ["asleep"] + ["running"] * (RACERS - 1)
    assert found is not None
    assert (found.status, found.sleep_until) == (InstanceStatus.RUNNING, None)
    assert found.checkpoint_id == max(rows, key=lambda row: row["id"])["checkpoint_id"]
    assert found.last_activity_at == max(moments)


async def test_racing_registrations_begin_each_run_once(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """One of them creates an unknown instance; the runs are 1 to n, with an event each."""
    found = await asyncio.gather(
        *(
            (persistence, neighbour)[number % 2].instances.register(
                Registration("i", TENANT), when=OPEN, at=START
            )
            for number in range(RACERS)
        )
    )

    assert sorted(outcome.run for outcome in found) == list(range(1, RACERS + 1))
    assert [outcome.run for outcome in found if outcome.before is None] == [1]
    assert all(outcome.before.run == outcome.run - 1 for outcome in found if outcome.before)
    assert await database.events("i") == ["started"] * RACERS


async def test_of_racing_endings_one_applies(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """Equal endings count as repeats of it, and other endings change nothing."""
    await put_instance(database, State.RUNNING)
    outputs = [b"even" if number % 2 else b"odd" for number in range(RACERS)]

    recorded = await asyncio.gather(
        *(
            (persistence, neighbour)[number % 2].events.end(
                ME,
                Event(EventType.COMPLETED, output, START),
                Ending(State.COMPLETED, output=output),
                when=WORKING,
                at=START,
            )
            for number, output in enumerate(outputs)
        )
    )

    found = await persistence.instances.get("i")
    assert found is not None
    applied = [one.before is not None and one.before.state is State.RUNNING for one in recorded]
    repeated = [one.repeated for one in recorded]
    won = [output == found.output for output in outputs]
    assert applied.count(True) == 1
    assert [one or other for one, other in zip(applied, repeated, strict=True)] == won
    assert await database.events("i") == ["completed"]


async def test_a_cancel_is_settled_by_one_of_racing_suspends(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """The first may be under way when its repeat comes. The others settle nothing."""
    await put_instance(database, State.RUNNING)
    await database.put_signal("i", SignalType.CANCEL)

    recorded = await asyncio.gather(
        *(
            (persistence, neighbour)[number % 2].events.suspend(
                ME, Event(EventType.SUSPENDED, b"", START), at=START
            )
            for number in range(RACERS)
        )
    )

    assert {one.after for one in recorded} == {State.CANCELLED}
    assert sorted(one.repeated for one in recorded) == [False] + [True] * (RACERS - 1)
    assert await database.events("i") == ["suspended"]


async def test_a_new_run_shuts_the_old_one_out_wherever_they_meet(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """A save that races a registration is kept only if it came before."""
    await put_instance(database, State.RUNNING, run=1)

    racing = asyncio.gather(
        *(
            persistence.checkpoints.save(
                Caller("i", 1), CheckpointWrite(f"c{number}", b""), when=WORKING, at=START
            )
            for number in range(RACERS)
        )
    )
    found = await neighbour.instances.register(Registration("i", TENANT), when=OPEN, at=START)
    saved = await racing

    admitted = [one for one in saved if one.before is not None and one.before.run == 1]
    assert found.run == 2
    assert len(await database.rows("checkpoints")) == len(admitted)
