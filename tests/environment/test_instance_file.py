"""The file of an exported instance: damage, newer formats and other files have their own errors."""

import hashlib
import json
import tracemalloc
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

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
KEPT = CopiedCheckpoint(checkpoint_id="a", state=b"", created_at=NOW, wake_at=NOW)
EVENT = CopiedEvent(event_type="custom", created_at=NOW, payload=b"{}")
SIGNAL = CopiedSignal(checkpoint_id="s", created_at=NOW)
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
        KEPT,
        CopiedCheckpoint(
            checkpoint_id="a::retry::1",
            state=b"x",
            created_at=NOW,
            is_retry_attempt=True,
            attempt_number=1,
        ),
    ],
    events=[EVENT],
    signals=[SIGNAL],
)


def test_a_file_holds_all_that_was_copied() -> None:
    """Two files of the same are the same."""
    assert decode(encode(COPY)).copy == COPY
    assert decode(encode(COPY)).sha256 == decode(encode(COPY)).sha256


def test_a_damaged_file_is_refused() -> None:
    """It may be cut anywhere, or differ in any byte."""
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
        (
            {"runtara_instance": 2, "sha256": ""},
            "format 2, and this version reads format 1: import it",
        ),
        ({"other": 1}, "a file that `runtara export` has written"),
        ([], "a file that `runtara export` has written"),
    ],
)
def test_a_file_that_is_newer_or_none_is_refused(line: object, told: str) -> None:
    with pytest.raises(InvalidValue, match=told):
        decode(json.dumps(line).encode() + b"\n")


@pytest.mark.parametrize(
    "change",
    [
        {"tenant_id": ""},
        {"queue": ""},
        {"workflow": "w" * 1025},
        {"image_id": ""},
        {"checkpoint_id": ""},
        {"run_epoch": -1},
        {"run_epoch": 2**53 + 1},
        {"priority": 2**31},
        {"timeout_ms": 0},
        {"timeout_ms": 2**32 * 1000},
        {"memory_peak_bytes": 2**63},
        {"cpu_usage_usec": -1},
        {"created_at": "0001-01-01T00:00:00+14:00"},
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
    """This holds also with a valid checksum. The error names the field."""
    plain = instance_file._plain
    monkeypatch.setattr(
        instance_file,
        "_plain",
        lambda copied: plain(copied) | (change if isinstance(copied, CopiedInstance) else {}),
    )
    data = encode(COPY)
    with pytest.raises(InvalidValue, match="data: |" + "|".join(f"^{name}: " for name in change)):
        decode(data)


@pytest.mark.parametrize(
    ("history", "told"),
    [
        ({"events": [EVENT, replace(EVENT, event_type="x")]}, r"events\[1\].event_type: .*custom"),
        ({"events": [replace(EVENT, subtype="s" * 1025)]}, r"events\[0\].subtype: "),
        ({"checkpoints": [KEPT, KEPT]}, r"checkpoints\[1\].checkpoint_id: .*got 'a'"),
        ({"checkpoints": [replace(KEPT, attempt_number=2**31)]}, r"\[0\].attempt_number: "),
        ({"signals": [SIGNAL, SIGNAL]}, r"signals\[1\].checkpoint_id: .*got 's'"),
    ],
)
def test_a_history_that_no_database_can_keep_is_refused(
    monkeypatch: pytest.MonkeyPatch, history: dict[str, Any], told: str
) -> None:
    """Where it would be written as well as where it is read."""
    copy = replace(COPY, **history)
    with pytest.raises(InvalidValue, match=told):
        encode(copy)
    with monkeypatch.context() as unchecked:
        unchecked.setattr(instance_file, "_check", lambda copy: None)
        data = encode(copy)
    with pytest.raises(InvalidValue, match=told):
        decode(data)


def made(document: bytes) -> bytes:
    """Make a file of any document, with a checksum that fits."""
    body = zlib.compress(document)
    line = {"runtara_instance": 1, "sha256": hashlib.sha256(body).hexdigest()}
    return json.dumps(line).encode() + b"\n" + body


def document(**parts: object) -> bytes:
    """Give the document of COPY with other parts."""
    found = json.loads(zlib.decompress(encode(COPY).partition(b"\n")[2]))
    return json.dumps(found | parts, indent=1).encode()


def test_a_document_may_be_laid_out_in_any_way() -> None:
    assert decode(made(document())).copy == COPY


MUCH = 100_000
KEPT_PLAIN = {"checkpoint_id": "a", "state": "", "created_at": NOW.isoformat()}


@pytest.mark.parametrize(
    "hostile",
    [
        b"[" * MUCH,
        b'{"instance": ' + b"[" * MUCH,
        b'{"instance": {"instance_id": ' + b"[]," * MUCH,
        b'{"instance": {' + b",".join(b'"%d": 1' % number for number in range(MUCH)) + b"}",
        document(checkpoints=[[]] * MUCH),
        document(checkpoints=[{}] * MUCH),
        document(checkpoints=[{**KEPT_PLAIN, "state": []}] * MUCH),
        document(events=[]).replace(b'"events": []', b'"events": [' + b" " * MUCH),
        document() + b"[]" * MUCH,
        document(checkpoints=[{**KEPT_PLAIN, "state": "=" * MUCH}]),
        document(checkpoints=[{**KEPT_PLAIN, "attempt_number": 1}] * MUCH),
    ],
)
def test_what_is_no_instance_takes_no_memory(
    monkeypatch: pytest.MonkeyPatch, hostile: bytes
) -> None:
    """It may hold any number of objects, each of which would take many times its text."""
    monkeypatch.setattr(instance_file, "MOST_RECORDS", 100)
    data = made(hostile)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidValue, match=r"data: (its content is no instance|.*100 records)"):
            decode(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(hostile) + 300_000


def test_a_file_of_too_many_records_is_refused_for_that_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Earlier versions have written such files; what helps is said."""
    data = encode(COPY)
    monkeypatch.setattr(instance_file, "MOST_RECORDS", 4)
    assert decode(data).copy == COPY
    monkeypatch.setattr(instance_file, "MOST_RECORDS", 3)
    with pytest.raises(InvalidValue, match=r"^data: takes .* at most 3 records.*runtara resume"):
        decode(data)


def test_what_would_be_too_much_unpacked_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not read either. A file of exactly that size is written and read."""
    data = encode(COPY)
    size = len(zlib.decompress(data.partition(b"\n")[2]))
    monkeypatch.setattr(instance_file, "_MOST_UNPACKED", size)
    assert decode(encode(COPY)).copy == COPY
    monkeypatch.setattr(instance_file, "_MOST_UNPACKED", size - 1)
    with pytest.raises(InvalidValue, match=f"at most {size - 1} bytes, got {size}: let it end"):
        encode(COPY)
    with pytest.raises(InvalidValue, match=f"at most {size - 1} bytes when unpacked"):
        decode(data)


def test_a_file_that_fits_no_frame_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance_file, "MOST", 100)
    with pytest.raises(InvalidValue, match="at most 100 bytes"):
        encode(COPY)
