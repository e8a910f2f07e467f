"""A detached sleep: its process is about to leave; and what an instance awaits while it sleeps."""

from datetime import timedelta

import pytest
from tests.contract.database import Database
from tests.contract.states import put_checkpoint, put_instance
from tests.support.clock import START

from runtara_domain.model import Caller, Claim, Event, EventType, Registration, Sleep, Slept
from runtara_domain.model import CheckpointWrite as Write
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import OPEN, WORKING, SignalType, State

ME = Caller("i")
MINUTE = timedelta(minutes=1)
CLAIM = Claim("core/server", START + MINUTE)
LATER = START + 2 * MINUTE


async def fall_asleep(persistence: Persistence, sleep: Sleep) -> Slept:
    return await persistence.checkpoints.sleep(
        ME, sleep, when=WORKING, claim=CLAIM, earliest=None, at=START
    )


@pytest.mark.parametrize("signal", [None, *SignalType])
@pytest.mark.parametrize("duration", [timedelta(0), MINUTE])
@pytest.mark.parametrize("state", sorted(WORKING))
async def test_a_detached_sleep_leaves_the_instance_asleep(
    persistence: Persistence,
    database: Database,
    state: State,
    duration: timedelta,
    signal: SignalType | None,
) -> None:
    """This holds also if the sleep is over or a cancel pending: its process is gone."""
    await put_instance(database, state, wake_claim_by=None, wake_claim_until=None)
    if signal is not None:
        await database.put_signal("i", signal)

    slept = await fall_asleep(persistence, Sleep("c", b"s", duration, detach=True))

    row = await database.row("i")
    due = await persistence.claims.claim_due(Claim("me", LATER), limit=1, at=START + duration)
    assert (slept.wake_at, slept.after) == (START + duration, State.ASLEEP)
    assert (row["sleep_until"], row["wake_claim_by"]) == (START + duration, None)
    assert [one.instance_id for one in due] == ["i"]


async def test_a_detached_sleep_that_keeps_running_moves_nothing(
    persistence: Persistence, database: Database
) -> None:
    """Its deadline is kept."""
    await put_instance(database, State.RUNNING)

    slept = await fall_asleep(persistence, Sleep("c", b"", MINUTE, keep_running=True, detach=True))

    assert (slept.wake_at, slept.after) == (START + MINUTE, State.RUNNING)
    assert (await database.row("i"))["sleep_until"] is None


@pytest.mark.parametrize("holder", ["core/other", "environment"])
async def test_a_detached_sleep_leaves_claims_alone(
    persistence: Persistence, database: Database, holder: str
) -> None:
    """Claims of its own server's other sleeps stay, too, until their connection ends."""
    await put_instance(database, State.ASLEEP, wake_claim_by=holder, wake_claim_until=LATER)

    await fall_asleep(persistence, Sleep("c", b"", MINUTE, detach=True))

    row = await database.row("i")
    assert (row["wake_claim_by"], row["wake_claim_until"]) == (holder, LATER)


@pytest.mark.parametrize("detach", [False, True])
async def test_what_an_instance_awaits_is_kept_with_its_sleep(
    persistence: Persistence, database: Database, detach: bool
) -> None:
    """The same step stores it, and the next sleep replaces it."""
    await put_instance(database, State.RUNNING)

    await fall_asleep(persistence, Sleep("c", b"", MINUTE, detach=detach, waits="[]"))
    kept = (await database.row("i"))["waits"]
    await fall_asleep(persistence, Sleep("d", b"", MINUTE, detach=detach))

    assert kept == "[]"
    assert (await database.row("i"))["waits"] is None


@pytest.mark.parametrize("way", ["register", "save", "find", "sleep", "wake", "end"])
async def test_what_it_awaited_is_forgotten_when_it_runs_or_ends(
    persistence: Persistence, database: Database, way: str
) -> None:
    """Each kind of wake clears it."""
    await put_instance(
        database, State.ASLEEP, waits="[]", wake_claim_by=None, wake_claim_until=None
    )
    await put_checkpoint(database, "over", wake_at=START)

    match way:
        case "register":
            asked = Registration("i", "tenant")
            await persistence.instances.register(asked, when=OPEN, at=START)
        case "save" | "find":
            write = Write("c" if way == "save" else "over", b"")
            await persistence.checkpoints.save(ME, write, when=WORKING, at=START)
        case "sleep":
            await fall_asleep(persistence, Sleep("over", b"", MINUTE))
        case "wake":
            await persistence.claims.wake(ME, token="core/s", when=WORKING, at=START)
        case _:
            event = Event(EventType.SUSPENDED, b"", START)
            await database.put_signal("i", SignalType.CANCEL)
            await persistence.events.suspend(ME, event, at=START)

    assert (await database.row("i"))["waits"] is None


async def test_what_a_running_instance_sleeps_on_beside_its_work_is_not_what_it_awaits(
    persistence: Persistence, database: Database
) -> None:
    """It stays RUNNING, and awaits nothing."""
    await put_instance(database, State.RUNNING)

    await fall_asleep(persistence, Sleep("c", b"", MINUTE, keep_running=True, waits="[]"))

    assert (await database.row("i"))["waits"] is None
