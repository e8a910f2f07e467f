"""What the core keeps at its limits, it can also tell: every answer fits a frame."""

from datetime import datetime

import pytest
from tests.server.test_translation import RUN_STATE, instance
from tests.support.clock import START

from runtara_domain.model import CheckpointEntry, CheckpointPage, Pending, Saved, Signal
from runtara_domain.status import SignalType
from runtara_protocol.frame import MAX_PAYLOAD
from runtara_protocol.pb import instance_pb2 as pb
from runtara_server.instance_handlers import translation

ID = "i" * 1024
LARGEST = bytes(63 * 1024 * 1024)
LARGEST_SIGNAL = bytes(512 * 1024)
LARGEST_TEXT = "é" * (len(LARGEST) // 2)
LATEST = datetime.max.replace(tzinfo=START.tzinfo)
CANCEL = Signal(SignalType.CANCEL, LARGEST_SIGNAL)


def size(answer: pb.RpcResponse) -> int:
    return len(answer.SerializeToString())


def test_a_checkpoint_found_leaves_the_pending_signal_for_later_if_both_do_not_fit() -> None:
    """Polls return it until it is acknowledged. A replay must see the custom one again."""
    outcome = Saved(RUN_STATE, LARGEST, CANCEL, LARGEST_SIGNAL)

    message = translation.saved(ID, ID, outcome)

    assert (message.found, message.state) == (True, LARGEST)
    assert (message.custom_signal.checkpoint_id, message.custom_signal.payload) == (
        ID,
        LARGEST_SIGNAL,
    )
    assert not message.HasField("pending_signal")
    assert size(pb.RpcResponse(checkpoint=message)) <= MAX_PAYLOAD


@pytest.mark.parametrize("state", [LARGEST, LARGEST + bytes(500 * 1024)])
def test_a_single_signal_fits_beside_the_largest_state(state: bytes) -> None:
    """It fits also beside a state of an older server, whose limit was the frame itself."""
    message = translation.saved(ID, ID, Saved(RUN_STATE, state, CANCEL))

    assert message.pending_signal.payload == LARGEST_SIGNAL
    assert size(pb.RpcResponse(checkpoint=message)) <= MAX_PAYLOAD


@pytest.mark.parametrize(("spared", "is_told"), [(2000, False), (2200, True)])
def test_the_pending_signal_is_sent_as_soon_as_it_fits(spared: int, is_told: bool) -> None:
    """The ids and what is around them take some 2,100 bytes."""
    outcome = Saved(RUN_STATE, LARGEST[spared:], CANCEL, LARGEST_SIGNAL)

    message = translation.saved(ID, ID, outcome)

    assert message.HasField("pending_signal") is is_told
    assert size(pb.RpcResponse(checkpoint=message)) <= MAX_PAYLOAD


def test_a_state_that_no_signal_fits_beside_is_sent_alone() -> None:
    """The largest that ever fitted a request, with ids of one byte."""
    request = pb.CheckpointRequest(instance_id="i", checkpoint_id="c", state=LARGEST)
    around = pb.RpcRequest(checkpoint=request).ByteSize() - len(LARGEST)
    state = bytes(MAX_PAYLOAD - around)

    message = translation.saved("i", "c", Saved(RUN_STATE, state, CANCEL, b"custom"))

    assert message == pb.CheckpointResponse(found=True, state=state)
    assert size(pb.RpcResponse(checkpoint=message)) <= MAX_PAYLOAD


def test_a_custom_signal_too_large_for_us_does_not_hide_the_pending_one() -> None:
    """Other programs put in rows by plain SQL."""
    outcome = Saved(RUN_STATE, LARGEST, CANCEL, bytes(2 * 1024 * 1024))

    message = translation.saved("i", "c", outcome)

    assert message.HasField("pending_signal")
    assert not message.HasField("custom_signal")


def test_an_error_text_that_does_not_fit_beside_the_output_is_cut_and_says_so() -> None:
    """An environment may finish with both; whole it is read through the persistence."""
    ended = instance(
        checkpoint_id=ID,
        started_at=LATEST,
        finished_at=LATEST,
        output=LARGEST,
        error=LARGEST_TEXT,
    )

    message = translation.status(ID, ended)

    assert message.output == LARGEST
    assert message.error.startswith("ééé")
    assert message.error.endswith(f" [cut: {len(LARGEST)} bytes in all]")
    assert MAX_PAYLOAD - 100 < size(pb.RpcResponse(get_instance_status=message)) <= MAX_PAYLOAD


def test_an_error_text_that_fits_is_sent_whole() -> None:
    message = translation.status(ID, instance(output=b"", error=LARGEST_TEXT))

    assert message.error == LARGEST_TEXT
    assert size(pb.RpcResponse(get_instance_status=message)) <= MAX_PAYLOAD


def test_the_largest_page_fits() -> None:
    """A thousand states of 64 KiB, each number and id as long as can be."""
    entry = CheckpointEntry(2**63 - 1, ID, bytes(64 * 1024), LATEST, 2**31 - 1, LATEST, LATEST)

    message = translation.page(CheckpointPage((entry,) * 1000, next_id=2**63 - 1))

    assert size(pb.RpcResponse(list_checkpoints=message)) <= MAX_PAYLOAD


@pytest.mark.parametrize(
    "answer",
    [
        pb.RpcResponse(
            register_instance=pb.RegisterInstanceResponse(
                success=True, run=2**64 - 1, input=LARGEST
            )
        ),
        pb.RpcResponse(get_checkpoint=pb.GetCheckpointResponse(found=True, state=LARGEST)),
        pb.RpcResponse(
            poll_signals=pb.PollSignalsResponse(
                signal=translation.signal(ID, CANCEL),
                custom_signal=translation.custom_signal(ID, LARGEST_SIGNAL),
            )
        ),
    ],
    ids=["register_instance", "get_checkpoint", "poll_signals"],
)
def test_every_other_answer_at_its_limits_fits(answer: pb.RpcResponse) -> None:
    assert size(answer) <= MAX_PAYLOAD


def test_values_that_fit_a_poll_only_one_by_one_are_sent_one_by_one() -> None:
    """The next poll, which no longer names the first, returns what was left out."""
    request = pb.PollSignalsRequest(instance_id="i-1", more_checkpoint_ids=["a", "b", "c"])
    half = bytes(MAX_PAYLOAD // 2)

    told = translation.pending(request, Pending(RUN_STATE, None, {"a": half, "b": half, "c": b"1"}))

    assert [value.checkpoint_id for value in told.custom_signals] == ["a", "c"]
    assert size(pb.RpcResponse(poll_signals=told)) <= MAX_PAYLOAD


def test_a_value_too_large_for_a_poll_hides_no_cancel() -> None:
    """It doesn't hide the other values either. Only plain SQL can insert one."""
    request = pb.PollSignalsRequest(
        instance_id="i-1", checkpoint_id="vast", more_checkpoint_ids=["small"]
    )
    found = Pending(
        RUN_STATE,
        Signal(SignalType.CANCEL, b"why"),
        {"vast": bytes(MAX_PAYLOAD), "small": b"1"},
    )

    told = translation.pending(request, found)

    assert told == pb.PollSignalsResponse(
        signal=pb.Signal(instance_id="i-1", signal_type=pb.SIGNAL_CANCEL, payload=b"why"),
        custom_signals=[pb.CustomSignal(checkpoint_id="small", payload=b"1")],
        knows_more=True,
    )
