"""Callers at the same time: claims, sleeps, wakes and signals."""

import asyncio
from datetime import timedelta

from tests.contract.database import Database
from tests.contract.states import EARLIER, WAKE, put_instance
from tests.support.clock import START

from runtara_domain.model import (
    Caller,
    CheckpointWrite,
    Claim,
    CustomSignal,
    Ending,
    NewInstance,
    Signal,
    Sleep,
)
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import MOVES, OPEN, WORKING, Move, SignalType, State

ME = Caller("i")
RACERS = 16


async def test_of_racing_claimers_each_instance_goes_to_one(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """Through whichever adapter they come, and its row says whose it is."""
    names = {f"i{number}" for number in range(2 * RACERS)}
    for name in names:
        await put_instance(
            database, State.ASLEEP, name, sleep_until=EARLIER, wake_claim_until=EARLIER
        )

    claimed = await asyncio.gather(
        *(
            (persistence, neighbour)[number % 2].claims.claim_due(
                Claim(f"{number}", WAKE), limit=3, at=START
            )
            for number in range(RACERS)
        )
    )

    owners = {row["instance_id"]: row["wake_claim_by"] for row in await database.rows("instances")}
    told = [(one.instance_id, f"{number}") for number, got in enumerate(claimed) for one in got]
    assert {name for name, _ in told} == names
    assert len(told) == len(names)
    assert dict(told) == owners


async def test_a_racing_sleep_keeps_one_deadline(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """The first one's; every answer tells it."""
    await put_instance(database, State.RUNNING)

    slept = await asyncio.gather(
        *(
            (persistence, neighbour)[number % 2].checkpoints.sleep(
                ME,
                Sleep("c", f"{number}".encode(), timedelta(minutes=number + 1)),
                when=WORKING,
                claim=Claim("me", WAKE),
                earliest=None,
                at=START,
            )
            for number in range(RACERS)
        )
    )

    (kept,) = await database.rows("checkpoints")
    minutes = int(kept["state"]) + 1
    assert {one.wake_at for one in slept} == {kept["wake_at"]}
    assert kept["wake_at"] == START + timedelta(minutes=minutes)
    assert (await database.row("i"))["sleep_until"] == kept["wake_at"]


async def test_sleeping_and_saving_one_id_keep_one_state(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """In both orders it has a deadline in the end."""
    await put_instance(database, State.RUNNING)

    saved, slept = await asyncio.gather(
        neighbour.checkpoints.save(ME, CheckpointWrite("c", b"saved"), when=WORKING, at=START),
        persistence.checkpoints.sleep(
            ME,
            Sleep("c", b"slept", timedelta(minutes=1)),
            when=WORKING,
            claim=Claim("me", WAKE),
            earliest=None,
            at=START,
        ),
    )

    (kept,) = await database.rows("checkpoints")
    assert kept["state"] == (b"saved" if saved.kept is None else b"slept")
    assert saved.kept in (None, b"slept")
    assert kept["wake_at"] == slept.wake_at == START + timedelta(minutes=1)


async def test_what_is_sent_while_one_falls_asleep_is_read_after_it_or_makes_it_due(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """A process that leaves therefore reads once more when it is asleep, and misses nothing."""
    names = [f"i{number:02}" for number in range(4 * RACERS)]
    for name in names:
        await put_instance(database, State.RUNNING, name)

    async def leave(name: str) -> bool:
        await persistence.checkpoints.sleep(
            Caller(name),
            Sleep("c", b"", timedelta(hours=1)),
            when=WORKING,
            claim=Claim("me", START),
            earliest=None,
            at=START,
        )
        heard = await persistence.signals.pending(Caller(name), ["answer"])
        return bool(heard.custom_signals)

    async def send(name: str) -> None:
        signal = CustomSignal("answer")
        await neighbour.signals.send_custom(name, signal, when=OPEN, at=START)

    left, _ = await asyncio.gather(
        asyncio.gather(*map(leave, names)), asyncio.gather(*map(send, names))
    )

    rows = await database.rows("instances")
    due = {row["instance_id"] for row in rows if row["sleep_until"] == START}
    read = {name for name, has_heard in zip(names, left, strict=True) if has_heard}
    assert set(names) - read - due == set()


async def test_of_racing_wakers_one_wakes(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """The others find it RUNNING."""
    await put_instance(database, State.ASLEEP, wake_claim_until=EARLIER)

    woken = await asyncio.gather(
        *(
            (persistence, neighbour)[number % 2].claims.wake(
                ME, token=f"{number}", when=MOVES[Move.WAKE].sources, at=START
            )
            for number in range(RACERS)
        )
    )

    assert [one.woken for one in woken].count(True) == 1
    states = [one.before.state for one in woken if one.before is not None and not one.woken]
    assert states == [State.RUNNING] * (RACERS - 1)


async def test_of_racing_custom_signals_one_stands(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """Only its sender gets True."""
    await put_instance(database, State.RUNNING)

    delivered = await asyncio.gather(
        *(
            (persistence, neighbour)[number % 2].signals.send_custom(
                "i", CustomSignal("c", f"{number}".encode()), when=OPEN, at=START
            )
            for number in range(RACERS)
        )
    )

    stands = [number for number, one in enumerate(delivered) if one.stands]
    (kept,) = await database.rows("pending_checkpoint_signals")
    assert [f"{number}".encode() for number in stands] == [kept["payload"]]


async def test_a_cancel_among_racing_signals_stands_in_the_end(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """A signal that comes after it does not stand, and its sender gets False."""
    await put_instance(database, State.RUNNING)
    types = [
        SignalType.CANCEL if number == RACERS // 2 else SignalType.PAUSE for number in range(RACERS)
    ]

    delivered = await asyncio.gather(
        *(
            (persistence, neighbour)[number % 2].signals.send(
                "i", Signal(type), when=OPEN, at=START
            )
            for number, type in enumerate(types)
        )
    )

    assert delivered[RACERS // 2].stands
    (kept,) = await database.rows("pending_signals")
    assert (kept["signal_type"], kept["acknowledged_at"]) == (SignalType.CANCEL, None)


async def test_of_racing_creations_one_keeps_its_input(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """The other calls return that the id is taken."""
    created = await asyncio.gather(
        *(
            (persistence, neighbour)[number % 2].instances.create(
                NewInstance("i", "tenant", f"{number}".encode()), at=START
            )
            for number in range(RACERS)
        )
    )

    kept = (await database.row("i"))["input"]
    assert [f"{number}".encode() for number, won in enumerate(created) if won] == [kept]


async def test_of_racing_acknowledgements_one_applies(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """The others find nothing pending; ended from outside meanwhile, it is ended once."""
    await put_instance(database, State.RUNNING)
    await database.put_signal("i", SignalType.CANCEL)

    acknowledging = asyncio.gather(
        *(
            (persistence, neighbour)[number % 2].signals.acknowledge(
                ME, SignalType.CANCEL, at=START
            )
            for number in range(RACERS)
        )
    )
    finished = await neighbour.instances.finish(
        ME, Ending(State.FAILED, error="gone"), when=OPEN, at=START
    )
    done = await acknowledging

    applied = [one.after for one in done if one.after is not None]
    row = await database.row("i")
    assert finished is not None
    assert applied == ([] if finished.state in OPEN else [State.CANCELLED])
    assert row["status"] == ("failed" if finished.state in OPEN else "cancelled")
