from datetime import UTC, datetime

import pytest

from runtara_domain.status import (
    ANY,
    FINAL,
    MOVES,
    OPEN,
    WORKING,
    InstanceStatus,
    Move,
    SignalType,
    State,
    acknowledge,
    replaces,
    settle,
)

# core.md's table, written down a second time: a letter a state that the move may start from, in
# the order Pending, Running, Asleep, pauSed ("S"), Completed, Failed, cancelled ("X").
LETTERS = {
    "P": State.PENDING,
    "R": State.RUNNING,
    "A": State.ASLEEP,
    "S": State.PAUSED,
    "C": State.COMPLETED,
    "F": State.FAILED,
    "X": State.CANCELLED,
}
TABLE = {
    "register": ("PRAS", "R"),
    "sleep": ("RA", "A"),
    "stir": ("A", "R"),
    "wake": ("A", "R"),
    "pause": ("RA", "S"),
    "suspend": ("R", "S"),
    "complete": ("RA", "C"),
    "fail": ("RA", "F"),
    "block": ("PRAS", "S"),
    "cancel": ("PRAS", "X"),
    "terminate": ("PRAS", "X"),
    "reopen": ("FX", "A"),
}
# Where `suspended` leads from each state, in the order of LETTERS; "-" is a refusal.
SETTLED = {
    None: "-SAS---",
    SignalType.CANCEL: "XXXX---",
    SignalType.PAUSE: "-SSS---",
    SignalType.RESUME: "-SAS---",
}
# Where acknowledging a signal leads, in the same order; "-" is nothing done.
ACKNOWLEDGED = {
    SignalType.CANCEL: "XXXX---",
    SignalType.PAUSE: "-SSS---",
    SignalType.RESUME: "PRA----",
}
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_table_holds_every_move_and_no_other() -> None:
    """What a move is, is said in one place."""
    assert set(MOVES) == set(Move)
    assert {move.value for move in Move} == set(TABLE)


@pytest.mark.parametrize("move", Move)
def test_a_move_starts_and_leads_where_the_contract_says(move: Move) -> None:
    """Each row of core.md's table."""
    sources, target = TABLE[move]

    rule = MOVES[move]

    assert rule.sources == {LETTERS[letter] for letter in sources}
    assert rule.target is LETTERS[target]


@pytest.mark.parametrize("move", [move for move in Move if move is not Move.REOPEN])
def test_nothing_but_a_reopen_leaves_a_final_state(move: Move) -> None:
    """COMPLETED is for good, FAILED and CANCELLED until an operator reopens them."""
    assert MOVES[move].sources.isdisjoint(FINAL)
    assert MOVES[Move.REOPEN].sources < FINAL


def test_every_state_is_reached_and_every_open_one_left() -> None:
    """PENDING alone is only where an instance begins."""
    assert {rule.target for rule in MOVES.values()} == ANY - {State.PENDING}
    left = frozenset().union(*(rule.sources for rule in MOVES.values()))
    assert left == ANY - {State.COMPLETED}


def test_the_table_cannot_be_changed() -> None:
    """All readers share it."""
    with pytest.raises(TypeError):
        MOVES[Move.WAKE] = MOVES[Move.SLEEP]  # type: ignore[index]  # what is tested


def test_the_conditions_divide_the_states() -> None:
    """Open or final, never both; at work only while open."""
    assert OPEN | FINAL == ANY == frozenset(State)
    assert not OPEN & FINAL
    assert {state for state in State if state.is_final} == FINAL
    assert {state.value for state in FINAL} == {"completed", "failed", "cancelled"}
    assert {state.value for state in WORKING} == {"running", "asleep"}


@pytest.mark.parametrize("sleep_until", [None, MOMENT])
@pytest.mark.parametrize("status", InstanceStatus)
def test_two_columns_give_a_state(status: InstanceStatus, sleep_until: datetime | None) -> None:
    """Only of a SUSPENDED instance the time to wake says something."""
    state = State.of(status, sleep_until)

    assert state.status is status
    if status is InstanceStatus.SUSPENDED:
        assert state is (State.PAUSED if sleep_until is None else State.ASLEEP)
    else:
        assert state.value == status.value


def test_the_words_are_those_the_database_keeps() -> None:
    """Databases made by the existing server are taken over as they are."""
    assert [status.value for status in InstanceStatus] == [
        "pending",
        "running",
        "suspended",
        "completed",
        "failed",
        "cancelled",
    ]
    assert [signal.value for signal in SignalType] == ["cancel", "pause", "resume"]


@pytest.mark.parametrize("pending", [None, *SignalType])
@pytest.mark.parametrize(("position", "state"), list(enumerate(LETTERS.values())))
def test_suspended_settles_what_is_pending(
    position: int, state: State, pending: SignalType | None
) -> None:
    """Cancel ends, pause pauses, and without either only a RUNNING instance is paused."""
    letter = SETTLED[pending][position]

    after = settle(state, pending)

    assert after is (None if letter == "-" else LETTERS[letter])


@pytest.mark.parametrize("pending", SignalType)
@pytest.mark.parametrize(("position", "state"), list(enumerate(LETTERS.values())))
def test_acknowledging_leads_where_the_signal_asks(
    position: int, state: State, pending: SignalType
) -> None:
    """A resume while paused is settled by registering alone."""
    letter = ACKNOWLEDGED[pending][position]

    after = acknowledge(state, pending)

    assert after is (None if letter == "-" else LETTERS[letter])


@pytest.mark.parametrize("sent", SignalType)
@pytest.mark.parametrize("pending", [None, *SignalType])
def test_the_later_signal_replaces_the_earlier_but_for_a_cancel(
    pending: SignalType | None, sent: SignalType
) -> None:
    """Cancel beats pause and resume and is never replaced by them."""
    yields = pending is SignalType.CANCEL and sent in (SignalType.PAUSE, SignalType.RESUME)

    assert replaces(sent, pending) is not yields
