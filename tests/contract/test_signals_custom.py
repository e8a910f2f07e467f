"""Custom signals: the first one for a checkpoint stands and is never used up."""

from datetime import datetime, timedelta

import pytest
from tests.contract.database import Database
from tests.contract.states import EARLIER, WAKE, put_checkpoint, put_instance
from tests.support.clock import START

from runtara_domain.model import Caller, CheckpointWrite, Claim, CustomSignal, Delivered, Sleep
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import OPEN, WORKING, Condition, State


@pytest.mark.parametrize("payload", [b"", b"\x00answer\xff", bytes(512 * 1024)])
@pytest.mark.parametrize("state", sorted(OPEN))
async def test_a_custom_signal_is_kept_for_its_checkpoint(
    persistence: Persistence, database: Database, state: State, payload: bytes
) -> None:
    """Whether that is saved or not; the instance's row stays, but one asleep is due now."""
    before = await put_instance(database, state)
    row = await database.row("i")

    delivered = await persistence.signals.send_custom(
        "i", CustomSignal("c", payload), when=OPEN, at=START
    )

    (kept,) = await database.rows("pending_checkpoint_signals")
    assert delivered == Delivered(before, stands=True)
    assert {name: kept[name] for name in kept if name != "id"} == {
        "instance_id": "i",
        "checkpoint_id": "c",
        "payload": payload,
        "created_at": START,
    }
    assert await database.row("i") == row | ({"sleep_until": START} if row["sleep_until"] else {})
    assert await database.rows("pending_signals") == []


@pytest.mark.parametrize("later", [b"first", b"later", b""], ids=["equal", "other", "empty"])
@pytest.mark.parametrize("first", [b"first", b"", None], ids=["first", "empty", "none"])
async def test_the_first_one_stands(
    persistence: Persistence, database: Database, first: bytes | None, later: bytes
) -> None:
    """The sender of a later one gets False, even if it is equal, or if the first is empty."""
    before = await put_instance(database, State.RUNNING)
    await database.put_custom_signal("i", "c", first)
    stored = await database.snapshot()

    delivered = await persistence.signals.send_custom(
        "i", CustomSignal("c", later), when=OPEN, at=START
    )

    assert delivered == Delivered(before, stands=False)
    assert await database.snapshot() == stored


async def test_it_is_never_used_up(persistence: Persistence, database: Database) -> None:
    """Saving its checkpoint and reading it over and over keep it against later ones."""
    await put_instance(database, State.RUNNING)
    await persistence.signals.send_custom("i", CustomSignal("c", b"first"), when=OPEN, at=START)
    for _ in range(2):
        await persistence.checkpoints.save(
            Caller("i"), CheckpointWrite("c", b""), when=WORKING, at=START
        )
        await persistence.signals.pending(Caller("i"), ["c"])

    later = await persistence.signals.send_custom(
        "i", CustomSignal("c", b"later"), when=OPEN, at=START
    )

    told = await persistence.signals.pending(Caller("i"), ["c"])
    assert (later.stands, told.custom_signals) == (False, {"c": b"first"})


async def test_each_checkpoint_of_each_instance_has_its_own(
    persistence: Persistence, database: Database
) -> None:
    """Ids are opaque, even those that no checkpoint can have."""
    ids = ["c", "C", "c ", "é", "e\u0301", "c%", "c::retry::1", "x" * 1024]
    for instance_id in ("i", "I"):
        await put_instance(database, State.RUNNING, instance_id)

    delivered = [
        await persistence.signals.send_custom(
            one, CustomSignal(name, one.encode() + name.encode()), when=OPEN, at=START
        )
        for one in ("i", "I")
        for name in ids
    ]

    told = [
        (await persistence.signals.pending(Caller(one), [name])).custom_signals.get(name)
        for one in ("i", "I")
        for name in ids
    ]
    assert all(one.stands for one in delivered)
    assert told == [one.encode() + name.encode() for one in ("i", "I") for name in ids]


async def test_it_may_come_after_its_checkpoint_was_saved(
    persistence: Persistence, database: Database
) -> None:
    """The waiting workflow has saved that it waits."""
    before = await put_instance(database, State.PAUSED)
    await put_checkpoint(database)

    delivered = await persistence.signals.send_custom(
        "i", CustomSignal("c", b"answer"), when=OPEN, at=START
    )

    assert delivered == Delivered(before, stands=True)


@pytest.mark.parametrize("when", [OPEN, WORKING])
@pytest.mark.parametrize("taken", [False, True])
@pytest.mark.parametrize("state", sorted(State))
async def test_the_condition_handed_in_decides(
    persistence: Persistence, database: Database, state: State, taken: bool, when: Condition
) -> None:
    """A finished instance takes none, and what stands stays."""
    before = await put_instance(database, state)
    if taken:
        await database.put_custom_signal("i", "c", b"first")
    stored = await database.snapshot()

    delivered = await persistence.signals.send_custom(
        "i", CustomSignal("c", b"answer"), when=when, at=START
    )

    stands = state in when and not taken
    assert delivered == Delivered(before, stands)
    assert (await database.snapshot() != stored) is stands


@pytest.mark.parametrize("claimed_until", [None, EARLIER, START, WAKE])
@pytest.mark.parametrize("due", [False, True])
async def test_a_sleeping_instance_is_due_when_the_claim_on_it_ends(
    persistence: Persistence, database: Database, due: bool, claimed_until: datetime | None
) -> None:
    """This holds for any claim: the claiming process may leave without the value."""
    await put_instance(
        database,
        State.ASLEEP,
        sleep_until=EARLIER if due else WAKE,
        wake_claim_until=claimed_until,
    )
    await put_checkpoint(database, wake_at=WAKE)

    await persistence.signals.send_custom("i", CustomSignal("other"), when=OPEN, at=START)

    slept_until = (await database.row("i"))["sleep_until"]
    (checkpoint,) = await database.rows("checkpoints")
    found = [
        await persistence.claims.claim_due(Claim("me", at), limit=1, at=at) for at in (START, WAKE)
    ]
    is_held = claimed_until == WAKE
    assert (slept_until, checkpoint["wake_at"]) == (EARLIER if due else START, WAKE)
    assert [len(one) for one in found] == [not is_held, True]


async def test_a_sleep_begun_after_it_leaves_it_due(
    persistence: Persistence, database: Database
) -> None:
    """That ends when its process saves or registers: then the process could have looked."""
    await put_instance(database, State.ASLEEP, wake_claim_until=None)
    await persistence.signals.send_custom("i", CustomSignal("c"), when=OPEN, at=START)

    await persistence.checkpoints.sleep(
        Caller("i"),
        Sleep("nap", b"", timedelta(hours=2)),
        when=WORKING,
        claim=Claim("me", START),
        earliest=None,
        at=START,
    )

    due = await persistence.claims.claim_due(Claim("other", WAKE), limit=1, at=START)
    assert [one.sleep_until for one in due] == [START]


async def test_a_later_one_makes_no_instance_due(
    persistence: Persistence, database: Database
) -> None:
    """It is not the one that stands."""
    await put_instance(database, State.ASLEEP, wake_claim_until=None)
    await database.put_custom_signal("i", "c", b"first")

    await persistence.signals.send_custom("i", CustomSignal("c"), when=OPEN, at=START)

    assert (await database.row("i"))["sleep_until"] == WAKE


async def test_an_unknown_instance_takes_none(persistence: Persistence, database: Database) -> None:
    """Nothing is created for it."""
    delivered = await persistence.signals.send_custom(
        "i", CustomSignal("c", b"answer"), when=OPEN, at=EARLIER
    )

    assert delivered == Delivered(before=None)
    assert await database.rows("pending_checkpoint_signals") == []


async def test_a_sender_learns_what_the_instance_awaits(
    persistence: Persistence, database: Database
) -> None:
    """First and later senders alike, until the instance runs again."""
    waits = '[{"kind": "signal", "name": "approval"}]'
    await put_instance(database, State.ASLEEP, waits=waits)

    told = [
        (
            await persistence.signals.send_custom("i", CustomSignal("c", b""), when=OPEN, at=START)
        ).waits
        for _ in range(2)
    ]

    assert told == [waits, waits]


async def test_a_running_instance_says_nothing_of_what_it_awaits(
    persistence: Persistence, database: Database
) -> None:
    await put_instance(database, State.RUNNING)

    sent = await persistence.signals.send_custom("i", CustomSignal("c", b""), when=OPEN, at=START)

    assert (sent.stands, sent.waits) == (True, None)
