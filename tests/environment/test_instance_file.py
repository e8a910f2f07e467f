"""The file of an exported instance: damage, newer formats and other files are told apart."""

import json
from datetime import UTC, datetime

import pytest

from runtara_domain.error import InvalidValue
from runtara_domain.model.instance_copies import (
    CopiedCheckpoint,
    CopiedEvent,
    CopiedInstance,
    CopiedSignal,
    InstanceCopy,
)
from runtara_domain.status import InstanceStatus
from runtara_environment import instance_file
from runtara_environment.instance_file import decode, encode

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
COPY = InstanceCopy(
    instance=CopiedInstance(
        instance_id="order-\u00e9",
        tenant_id="acme",
        status=InstanceStatus.SUSPENDED,
        created_at=NOW,
        run_epoch=3,
        priority=-1,
        input=b"\0\xff",
    ),
    checkpoints=[
        CopiedCheckpoint(checkpoint_id="a", state=b"", created_at=NOW, wake_at=NOW),
        CopiedCheckpoint(
            checkpoint_id="a::retry::1",
            state=b"x",
            created_at=NOW,
            is_retry_attempt=True,
            attempt_number=1,
        ),
    ],
    events=[CopiedEvent(event_type="custom", created_at=NOW, payload=b"{}")],
    signals=[CopiedSignal(checkpoint_id="s", created_at=NOW)],
)


def test_a_file_holds_all_that_was_copied() -> None:
    """Two files of the same are the same."""
    assert decode(encode(COPY)).copy == COPY
    assert decode(encode(COPY)).sha256 == decode(encode(COPY)).sha256


def test_a_damaged_file_is_refused() -> None:
    """Wherever it is cut, or a byte differs."""
    whole = encode(COPY)
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1
        for damaged in (bytes(changed), whole[:place]):
            with pytest.raises(InvalidValue, match=r"data: .*(damaged|export|format|instance)"):
                decode(damaged)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"runtara_instance": 2, "sha256": ""}, "format 2, and format 1 can be read here: update"),
        ({"other": 1}, "a file that `runtara export` has written"),
        ([], "a file that `runtara export` has written"),
    ],
)
def test_a_file_that_is_newer_or_none_is_told(line: object, told: str) -> None:
    with pytest.raises(InvalidValue, match=told):
        decode(json.dumps(line).encode() + b"\n")


@pytest.mark.parametrize(
    "change",
    [
        {"tenant_id": ""},
        {"run_epoch": "3"},
        {"created_at": "2026-01-01T00:00:00"},
        {"status": "asleep"},
        {"error": "\0"},
        {"unknown": 1},
    ],
)
def test_content_that_is_no_instance_is_refused(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, object]
) -> None:
    """Also with a checksum that fits."""
    plain = instance_file._plain
    monkeypatch.setattr(
        instance_file,
        "_plain",
        lambda copied: plain(copied) | (change if isinstance(copied, CopiedInstance) else {}),
    )
    with pytest.raises(InvalidValue):
        decode(encode(COPY))


def test_a_file_that_fits_no_frame_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance_file, "MOST", 100)
    with pytest.raises(InvalidValue, match="at most 100 bytes"):
        encode(COPY)
