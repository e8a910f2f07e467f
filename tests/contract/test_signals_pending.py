"""What a poll returns: the pending signal, and custom ones by checkpoint."""

import pytest
from tests.contract.database import Database
from tests.contract.states import EARLIER, put_instance
from tests.support.clock import START

from runtara_domain import values
from runtara_domain.model import Caller, CustomSignal, Pending, Signal
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import FINAL, OPEN, SignalType, State

ME = Caller("i")
PAYLOADS = pytest.mark.parametrize("payload", [None, b"", b"\x00why\xff"])


@PAYLOADS
@pytest.mark.parametrize("signal", sorted(SignalType))
@pytest.mark.parametrize("state", sorted(OPEN))
async def test_a_pending_signal_is_returned_again_and_again(
    persistence: Persistence,
    database: Database,
    state: State,
    signal: SignalType,
    payload: bytes | None,
) -> None:
    """Rows that other programs put in count as sent; reading moves nothing."""
    before = await put_instance(database, state)
    await database.put_signal("i", signal, payload)
    stored = await database.snapshot()

    told = [await persistence.signals.pending(ME) for _ in range(2)]

    assert told == [Pending(before, Signal(signal, payload or b""))] * 2
    assert await database.snapshot() == stored


@pytest.mark.parametrize("named", [[], ["c"], ["c", "d"]])
async def test_nothing_waits_at_first(
    persistence: Persistence, database: Database, named: list[str]
) -> None:
    """The outcome tells how the instance stands all the same."""
    before = await put_instance(database, State.RUNNING)
    await put_instance(database, State.RUNNING, "other")
    await database.put_signal("other", SignalType.CANCEL)
    await database.put_custom_signal("other", "c", b"theirs")

    told = await persistence.signals.pending(ME, named)

    assert told == Pending(before)


@pytest.mark.parametrize("signal", sorted(SignalType))
async def test_an_acknowledged_signal_is_returned_no_more(
    persistence: Persistence, database: Database, signal: SignalType
) -> None:
    """Its row stays."""
    before = await put_instance(database, State.RUNNING)
    await database.put_signal("i", signal, acknowledged_at=EARLIER)

    assert await persistence.signals.pending(ME) == Pending(before)


@PAYLOADS
async def test_a_custom_signal_is_returned_for_its_checkpoint(
    persistence: Persistence, database: Database, payload: bytes | None
) -> None:
    """Never used up; an empty one is one. Its checkpoint need not be saved, or have an own id."""
    before = await put_instance(database, State.RUNNING)
    await database.put_custom_signal("i", "c", payload)
    await database.put_custom_signal("i", "c::retry::1", b"odd")

    named = [await persistence.signals.pending(ME, ["c"]) for _ in range(2)]
    others = [await persistence.signals.pending(ME, names) for names in ([], ["C"], ["d"])]
    odd = await persistence.signals.pending(ME, ["c::retry::1"])

    assert named == [Pending(before, None, {"c": payload or b""})] * 2
    assert others == [Pending(before)] * 3
    assert odd.custom_signals == {"c::retry::1": b"odd"}


async def test_the_value_for_each_named_checkpoint_is_returned(
    persistence: Persistence, database: Database
) -> None:
    """There may be any number. A name that is given twice is returned once."""
    before = await put_instance(database, State.RUNNING)
    await put_instance(database, State.RUNNING, "other")
    sent = {f"c-{number}": b"%d" % number for number in range(40)}
    for name, payload in sent.items():
        await database.put_custom_signal("i", name, payload)
        await database.put_custom_signal("other", name, b"theirs")

    names = [f"c-{number}" for number in range(0, 1000, 2)]
    told = await persistence.signals.pending(ME, [*names, "c-0"])

    assert told == Pending(before, None, {name: sent[name] for name in names if name in sent})


async def test_of_much_that_was_sent_the_first_is_returned(
    persistence: Persistence, database: Database
) -> None:
    """The first values that fit an answer; a poll without their names gets the rest."""
    await put_instance(database, State.RUNNING)
    half = bytes(values.MAX_POLLED_BYTES // 2)
    sent = {"z": half, "none": None, "empty": b"", "a": half, "m": b"1", "b": half + half}
    for name, payload in sent.items():
        await database.put_custom_signal("i", name, payload)

    told = []
    names = sorted(sent)
    while names:
        told.append(dict((await persistence.signals.pending(ME, names)).custom_signals))
        names = [name for name in names if name not in told[-1]]

    assert told == [
        {"z": half, "none": b"", "empty": b"", "a": half},
        {"m": b"1"},
        {"b": half + half},
    ]


async def test_both_kinds_are_returned_together(
    persistence: Persistence, database: Database
) -> None:
    """One read is enough for a poll."""
    before = await put_instance(database, State.ASLEEP)
    await database.put_signal("i", SignalType.PAUSE, b"why")
    await database.put_custom_signal("i", "c", b"answer")

    told = await persistence.signals.pending(ME, ["c"])

    assert told == Pending(before, Signal(SignalType.PAUSE, b"why"), {"c": b"answer"})


async def test_payloads_over_the_limits_are_returned(
    persistence: Persistence, database: Database
) -> None:
    """The limits are for what is sent: what other programs stored must be readable."""
    payload = bytes(range(256)) * (4 * 1024)
    before = await put_instance(database, State.RUNNING)
    await database.put_signal("i", SignalType.CANCEL, payload)
    await database.put_custom_signal("i", "c", payload)

    told = await persistence.signals.pending(ME, ["c"])

    assert told == Pending(before, Signal(SignalType.CANCEL, payload), {"c": payload})


@pytest.mark.parametrize("state", sorted(FINAL))
async def test_a_finished_instance_gets_nothing(
    persistence: Persistence, database: Database, state: State
) -> None:
    """Signals that lie there for it are not returned."""
    before = await put_instance(database, state)
    await database.put_signal("i", SignalType.CANCEL)
    await database.put_custom_signal("i", "c", b"answer")

    assert await persistence.signals.pending(ME, ["c"]) == Pending(before)


@pytest.mark.parametrize(("run", "admitted"), [(1, False), (2, True), (3, True), (None, True)])
async def test_a_superseded_run_gets_nothing(
    persistence: Persistence, database: Database, run: int | None, admitted: bool
) -> None:
    """The signals are for the newer run."""
    before = await put_instance(database, State.RUNNING)
    await database.put_signal("i", SignalType.CANCEL)
    await database.put_custom_signal("i", "c", b"answer")

    told = await persistence.signals.pending(Caller("i", run), ["c"])

    assert told == (
        Pending(before, Signal(SignalType.CANCEL), {"c": b"answer"})
        if admitted
        else Pending(before)
    )


async def test_an_unknown_instance_gets_nothing(
    persistence: Persistence, database: Database
) -> None:
    """Nothing is created for it."""
    assert await persistence.signals.pending(ME, ["c"]) == Pending(before=None)
    assert await database.rows("instances") == []


async def test_what_a_neighbour_sent_is_returned(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """It is returned as soon as the call of its sender has returned."""
    before = await put_instance(database, State.RUNNING)

    await neighbour.signals.send("i", Signal(SignalType.PAUSE, b"why"), when=OPEN, at=START)
    await neighbour.signals.send_custom("i", CustomSignal("c", b"answer"), when=OPEN, at=START)

    told = await persistence.signals.pending(ME, ["c"])
    assert told == Pending(before, Signal(SignalType.PAUSE, b"why"), {"c": b"answer"})
