from collections.abc import Callable
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta

import pytest

from runtara_domain.error import InvalidValue
from runtara_domain.model import (
    Caller,
    CheckpointWrite,
    Claim,
    CustomSignal,
    Ending,
    Event,
    EventType,
    Instance,
    NewInstance,
    Registration,
    RetryAttempt,
    RunState,
    Signal,
    Sleep,
)
from runtara_domain.status import FINAL, OPEN, WORKING, InstanceStatus, SignalType, State

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
LONGEST = "x" * 1024
TOO_LONG = "x" * 1025
TOO_BIG = bytes(63 * 1024 * 1024 + 1)


def test_records_take_values_up_to_their_limits() -> None:
    """What is optional may be missing, what is bytes may be empty."""
    Caller(LONGEST)
    Registration(LONGEST, LONGEST)
    Registration("i", "t", LONGEST, 1)
    Registration("i", "t", "a::retry::1", 2**63 - 1)
    CheckpointWrite(LONGEST, b"")
    Event(EventType.CUSTOM, b"", MOMENT)
    Event(EventType.CUSTOM, b"", MOMENT, checkpoint_id=LONGEST, subtype=LONGEST)
    Event(EventType.CUSTOM, b"", MOMENT, checkpoint_id="a::retry::1", subtype="")
    NewInstance(LONGEST, LONGEST)
    NewInstance("i", "t", b"")
    Sleep(LONGEST, b"", timedelta(0))
    RetryAttempt(LONGEST, 1, MOMENT, "")
    RetryAttempt("c", 2**31 - 1, MOMENT, "e" * 100_000)
    Signal(SignalType.CANCEL, bytes(512 * 1024 + 1))  # What is stored must be readable.
    CustomSignal(LONGEST, bytes(512 * 1024))
    CustomSignal("a::retry::1")
    Claim(LONGEST, MOMENT)
    Ending(State.COMPLETED, b"", "", "", 0, 0)
    Ending(State.FAILED, None, "e" * 100_000, "s" * 100_000, 2**63 - 1, 2**63 - 1)


@pytest.mark.parametrize(
    ("field", "build"),
    [
        ("instance_id", lambda: Caller("")),
        ("instance_id", lambda: Caller(TOO_LONG)),
        ("instance_id", lambda: Registration("", "t")),
        ("tenant_id", lambda: Registration("i", "")),
        ("tenant_id", lambda: Registration("i", "\0")),
        ("checkpoint_id", lambda: Registration("i", "t", "")),
        ("checkpoint_id", lambda: Registration("i", "t", TOO_LONG)),
        ("continue_run", lambda: Registration("i", "t", continue_run=0)),
        ("continue_run", lambda: Registration("i", "t", continue_run=-1)),
        ("continue_run", lambda: Registration("i", "t", continue_run=2**63)),
        ("checkpoint_id", lambda: CheckpointWrite("", b"")),
        ("preceding", lambda: CheckpointWrite("c", b"", CheckpointWrite("c", b""))),
        ("checkpoint_id", lambda: CheckpointWrite("a::retry::1", b"")),
        ("state", lambda: CheckpointWrite("c", TOO_BIG)),
        ("payload", lambda: Event(EventType.CUSTOM, TOO_BIG, MOMENT)),
        ("checkpoint_id", lambda: Event(EventType.CUSTOM, b"", MOMENT, checkpoint_id="")),
        ("subtype", lambda: Event(EventType.CUSTOM, b"", MOMENT, subtype=TOO_LONG)),
        ("subtype", lambda: Event(EventType.CUSTOM, b"", MOMENT, subtype="\0")),
        ("instance_id", lambda: NewInstance("", "t")),
        ("tenant_id", lambda: NewInstance("i", TOO_LONG)),
        ("input", lambda: NewInstance("i", "t", TOO_BIG)),
        ("checkpoint_id", lambda: Sleep("a::retry::1", b"", timedelta(0))),
        ("state", lambda: Sleep("c", TOO_BIG, timedelta(0))),
        ("checkpoint_id", lambda: RetryAttempt("a::retry::1", 1, MOMENT)),
        ("attempt_number", lambda: RetryAttempt("c", 0, MOMENT)),
        ("attempt_number", lambda: RetryAttempt("c", 2**31, MOMENT)),
        ("error_message", lambda: RetryAttempt("c", 1, MOMENT, "\0")),
        ("error_message", lambda: RetryAttempt("c", 1, MOMENT, "\ud800")),
        ("checkpoint_id", lambda: CustomSignal("")),
        ("payload", lambda: CustomSignal("c", bytes(512 * 1024 + 1))),
        ("token", lambda: Claim("", MOMENT)),
        ("output", lambda: Ending(State.COMPLETED, TOO_BIG)),
        ("error", lambda: Ending(State.FAILED, error="\0")),
        ("error", lambda: Ending(State.FAILED, error="\udfff")),
        ("stderr", lambda: Ending(State.FAILED, stderr="\0")),
        ("memory_peak_bytes", lambda: Ending(State.FAILED, memory_peak_bytes=-1)),
        ("cpu_usage_usec", lambda: Ending(State.FAILED, cpu_usage_usec=2**63)),
    ],
)
def test_a_record_of_a_bad_value_is_never_built(field: str, build: Callable[[], object]) -> None:
    """Code further in need not check. The message begins with the field."""
    with pytest.raises(InvalidValue, match=f"^{field}: takes "):
        build()


@pytest.mark.parametrize("state", State)
def test_an_instance_ends_in_a_final_state(state: State) -> None:
    """Each of the three final states is accepted, and no other."""
    if state in FINAL:
        assert Ending(state).state is state
        return

    with pytest.raises(InvalidValue, match=f"^state: takes .*, got {state}$"):
        Ending(state)


@pytest.mark.parametrize(
    ("caller", "newest", "superseded"),
    [(None, 0, False), (None, 9, False), (1, 1, False), (1, 2, True), (2, 1, False), (8, 9, True)],
)
def test_only_an_older_run_is_superseded(caller: int | None, newest: int, superseded: bool) -> None:
    """One that never registered may act for the instance: old clients reconnect so."""
    run_state = RunState(State.RUNNING, newest)

    assert run_state.supersedes(Caller("i", caller)) is superseded
    assert run_state.admits(Caller("i", caller), OPEN) is not superseded


@pytest.mark.parametrize("state", State)
def test_a_step_applies_in_the_states_of_its_condition(state: State) -> None:
    """It applies in no other state, for any caller."""
    run_state = RunState(state, 1)

    assert run_state.admits(Caller("i", 1), WORKING) is (state in WORKING)
    assert run_state.admits(Caller("i"), WORKING) is (state in WORKING)


@pytest.mark.parametrize("sleep_until", [None, MOMENT])
def test_an_instance_gives_its_state(sleep_until: datetime | None) -> None:
    """The two faces of SUSPENDED apart."""
    instance = Instance(
        instance_id="i",
        tenant_id="t",
        status=InstanceStatus.SUSPENDED,
        run=1,
        checkpoint_id=None,
        created_at=MOMENT,
        started_at=MOMENT,
        finished_at=None,
        sleep_until=sleep_until,
        last_activity_at=None,
        output=None,
        error=None,
    )

    assert instance.state is (State.PAUSED if sleep_until is None else State.ASLEEP)


@pytest.mark.parametrize(("checkpoint_id", "number"), [("c", 1), ("::retry::", 2**31 - 1)])
def test_an_audit_row_has_an_id_no_checkpoint_can_have(checkpoint_id: str, number: int) -> None:
    """`{id}::retry::{number}`, so that neither is ever taken for the other."""
    attempt = RetryAttempt(checkpoint_id, number, MOMENT)

    assert attempt.row_id == f"{checkpoint_id}::retry::{number}"
    with pytest.raises(InvalidValue, match=r"^checkpoint_id: "):
        CheckpointWrite(attempt.row_id, b"")


def test_records_cannot_be_changed() -> None:
    """They are values: compared and hashed by what they hold."""
    caller = Caller("i", 1)

    with pytest.raises(FrozenInstanceError):
        caller.run = 2  # type: ignore[misc]  # what is tested
    assert {caller, Caller("i", 1)} == {caller}
