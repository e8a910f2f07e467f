"""What a process may leave in its output.json."""

from datetime import timedelta

import pytest

from runtara_domain.error import InvalidValue
from runtara_domain.model.launch_ends import OutputStatus, ProcessOutput, parse_output
from runtara_domain.values import MAX_SLEEP


@pytest.mark.parametrize(
    ("content", "output"),
    [
        (
            b'{"status": "completed", "result": {"a": 1}}',
            ProcessOutput(OutputStatus.COMPLETED, b'{"a": 1}'),
        ),
        (b'{"status": "completed"}', ProcessOutput(OutputStatus.COMPLETED)),
        (
            b'{"status": "completed", "result": null}',
            ProcessOutput(OutputStatus.COMPLETED, b"null"),
        ),
        (
            b'{"status": "failed", "error": "no stock"}',
            ProcessOutput(OutputStatus.FAILED, error="no stock"),
        ),
        (
            b'{"status": "sleeping", "checkpoint_id": "c", "wake_after_ms": 1500}',
            ProcessOutput(
                OutputStatus.SLEEPING, checkpoint_id="c", wake_after=timedelta(seconds=1.5)
            ),
        ),
        (b'{"status": "suspended", "more": 1}', ProcessOutput(OutputStatus.SUSPENDED)),
        (b'\xef\xbb\xbf{"status": "cancelled"}', ProcessOutput(OutputStatus.CANCELLED)),
    ],
)
def test_a_valid_output_is_read(content: bytes, output: ProcessOutput) -> None:
    """Fields that are not known are passed over."""
    assert parse_output(content) == output


def test_a_sleep_is_at_most_a_hundred_years() -> None:
    """A longer one counts as that."""
    content = b'{"status": "sleeping", "checkpoint_id": "c", "wake_after_ms": 9000000000000000}'

    assert parse_output(content).wake_after == MAX_SLEEP


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "output.json"),
        (b"{", "output.json"),
        (b"[1]", "list"),
        (b"\xff", "output.json"),
        (b'{"status": "completed", "result": NaN}', "NaN"),
        (b'{"status": "done"}', "status"),
        (b'{"status": ["completed"]}', "status"),
        (b"{}", "status"),
        (b'{"status": "failed", "error": 5}', "error"),
        (b'{"status": "sleeping"}', "checkpoint_id"),
        (b'{"status": "sleeping", "checkpoint_id": "c"}', "wake_after_ms"),
        (b'{"status": "sleeping", "checkpoint_id": "", "wake_after_ms": 1}', "checkpoint_id"),
        (b'{"status": "sleeping", "checkpoint_id": "c", "wake_after_ms": -1}', "wake_after_ms"),
        (b'{"status": "sleeping", "checkpoint_id": "c", "wake_after_ms": 1.5}', "wake_after_ms"),
        (b'{"status": "sleeping", "checkpoint_id": "c", "wake_after_ms": true}', "wake_after_ms"),
        (b"[" * 100_000, "output.json"),
    ],
)
def test_an_invalid_output_is_refused_by_name(content: bytes, named: str) -> None:
    """Half-written and foreign content never counts as an output."""
    with pytest.raises(InvalidValue, match=named):
        parse_output(content)
