from datetime import UTC, datetime, timedelta

import pytest
from tests.support.clock import START

from runtara_domain.error import InvalidValue
from runtara_domain.model import EventType, Instance, RunState, Saved, Signal
from runtara_domain.status import InstanceStatus, SignalType, State
from runtara_protocol.pb import instance_pb2 as pb
from runtara_server.instance_handlers import translation

STATUSES = {
    InstanceStatus.PENDING: 1,
    InstanceStatus.RUNNING: 2,
    InstanceStatus.SUSPENDED: 3,
    InstanceStatus.COMPLETED: 4,
    InstanceStatus.FAILED: 5,
    InstanceStatus.CANCELLED: 6,
}
SIGNALS = {SignalType.CANCEL: 0, SignalType.PAUSE: 1, SignalType.RESUME: 2}
EVENTS = {
    2: EventType.COMPLETED,
    3: EventType.FAILED,
    4: EventType.SUSPENDED,
    5: EventType.CUSTOM,
}
RUN_STATE = RunState(State.RUNNING, 1)


def instance(**changes: object) -> Instance:
    values: dict[str, object] = {
        "instance_id": "i-1",
        "tenant_id": "t-1",
        "status": InstanceStatus.RUNNING,
        "run": 1,
        "created_at": START,
    }
    rest = ("checkpoint_id", "started_at", "finished_at", "sleep_until", "last_activity_at")
    nothing = dict.fromkeys((*rest, "output", "error"))
    return Instance(**(nothing | values | changes))  # type: ignore[arg-type]  # Any field.


@pytest.mark.parametrize("status", InstanceStatus)
def test_each_status_has_its_number(status: InstanceStatus) -> None:
    assert translation.status("i-1", instance(status=status)).status == STATUSES[status]


@pytest.mark.parametrize("kind", SignalType)
def test_each_signal_has_its_number(kind: SignalType) -> None:
    message = translation.signal("i-1", Signal(kind, b"payload"))

    assert message is not None
    assert (message.instance_id, message.payload) == ("i-1", b"payload")
    assert message.signal_type == SIGNALS[kind]


@pytest.mark.parametrize("number", EVENTS)
def test_each_event_that_is_stored_has_its_number(number: int) -> None:
    assert translation.event_type(number) is EVENTS[number]


@pytest.mark.parametrize("number", [1, 6, -1, 2**31 - 1])
def test_an_unknown_number_is_refused_naming_what_is_taken(number: int) -> None:
    with pytest.raises(InvalidValue) as refused:
        translation.event_type(number)

    assert f"got {number}" in str(refused.value)
    assert "5 (EVENT_CUSTOM)" in str(refused.value)


def test_an_unknown_instance_has_a_status_and_an_error_that_says_so() -> None:
    message = translation.status("i-9", None)

    assert message == pb.GetInstanceStatusResponse(
        instance_id="i-9", status=pb.STATUS_UNKNOWN, error="Instance 'i-9' not found"
    )


def test_what_an_instance_has_not_is_absent() -> None:
    message = translation.status("i-1", instance())

    assert message.started_at_ms == 0
    for field in ("checkpoint_id", "finished_at_ms", "output", "error"):
        assert not message.HasField(field)


def test_what_an_instance_has_is_there_even_if_it_is_empty() -> None:
    message = translation.status(
        "i-1",
        instance(
            checkpoint_id="c-1",
            started_at=START,
            finished_at=START + timedelta(milliseconds=1),
            output=b"",
            error="",
        ),
    )

    assert message.checkpoint_id == "c-1"
    assert message.finished_at_ms == message.started_at_ms + 1
    assert (message.HasField("output"), message.HasField("error")) == (True, True)


@pytest.mark.parametrize(
    ("moment", "count"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC), -1),
        (datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC), 1767323045678),
        (datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC), 253402300799999),
    ],
)
def test_times_are_milliseconds_since_1970(moment: datetime, count: int) -> None:
    assert translation.milliseconds(moment) == count
    assert translation.moment(count) == moment


@pytest.mark.parametrize("count", [2**63 - 1, -(2**63), 253402300800000, -62135596800001])
def test_a_time_no_calendar_holds_is_1970(count: int) -> None:
    assert translation.moment(count) == datetime(1970, 1, 1, tzinfo=UTC)


def test_a_checkpoint_saved_has_an_empty_state_and_nothing_else() -> None:
    message = translation.saved("i-1", "c-1", Saved(RUN_STATE))

    assert message == pb.CheckpointResponse(found=False, state=b"")
    assert not message.HasField("pending_signal")
    assert not message.HasField("custom_signal")


def test_a_checkpoint_found_brings_its_state_and_what_was_sent() -> None:
    message = translation.saved(
        "i-1", "c-1", Saved(RUN_STATE, b"", Signal(SignalType.PAUSE, b"p"), b"")
    )

    assert message == pb.CheckpointResponse(
        found=True,
        state=b"",
        pending_signal=pb.Signal(instance_id="i-1", signal_type=pb.SIGNAL_PAUSE, payload=b"p"),
        custom_signal=pb.CustomSignal(checkpoint_id="c-1", payload=b""),
    )
