"""The limits of stored values, checked on construction of the records."""

import json
import re
from datetime import UTC, datetime, timedelta

from runtara_domain.error import InvalidValue

MAX_ID_BYTES = 1024
MAX_STATE_BYTES = 63 * 1024 * 1024
MAX_SIGNAL_BYTES = 512 * 1024
MAX_POLLED = 1000
MAX_POLLED_BYTES = 1024 * 1024
MAX_ATTEMPT = 2**31 - 1
MAX_INTEGER = 2**63 - 1
MAX_LIMIT = 2**31 - 1
MAX_EVENT_BATCH = 10_000
MAX_CHILDREN = 100
MAX_CHILDREN_WRITES = 1000
MAX_CHILDREN_BYTES = 8 * 1024 * 1024
MAX_SLEEP = timedelta(days=36_525)
MAX_PRECEDING = 100
MAX_LISTED_STATE_BYTES = 64 * 1024
MAX_FOUND_STATE_BYTES = 64 * 1024
MAX_REASON_BYTES = 64 * 1024
LONGEST_TIMEOUT = timedelta(seconds=2**32 - 1)
"""The longest timeout of a launch: the protocol can't express a longer one."""
CHILD_ENDED = "~child/"
"""The prefix of the checkpoint ids under which a parent gets its children's ends."""

_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=1)
_SHOWN = 4096  # of a text that can't be kept, enough to see what it was
_RETRY_ID = re.compile(r"::retry::[0-9]+\Z")


def check_id(field: str, value: str) -> None:
    """
    Refuse an id that is empty, too long, or cannot be stored as text.

    Raises InvalidValue.
    """
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise InvalidValue(f"{field}: takes UTF-8 text, got {value!r}") from error
    if not 1 <= size <= MAX_ID_BYTES:
        raise InvalidValue(f"{field}: takes 1 to {MAX_ID_BYTES} bytes of UTF-8, got {size} bytes")
    if "\0" in value:
        raise InvalidValue(f"{field}: takes text without NUL characters, got {value!r}")


def check_text(field: str, value: str) -> None:
    """
    Refuse a short text, empty or not, that cannot be stored or indexed.

    Raises InvalidValue.
    """
    if value:
        check_id(field, value)


def check_storable(field: str, value: str) -> None:
    """
    Refuse a text of any length that a database cannot keep.

    Raises InvalidValue.
    """
    if "\0" in value:
        raise InvalidValue(f"{field}: takes text without NUL characters")
    try:
        check_bytes(field, value.encode())
    except UnicodeEncodeError as error:
        raise InvalidValue(f"{field}: takes UTF-8 text") from error


def check_note(field: str, value: str) -> None:
    """
    Refuse a text that a database cannot keep, or that is too long to be shown in a list.

    Raises InvalidValue.
    """
    check_storable(field, value)
    check_bytes(field, value.encode(), MAX_REASON_BYTES)


def check_waits(field: str, value: str) -> None:
    """
    Refuse a value that is no list of an instance's waits, or is too long to be shown.

    Raises InvalidValue.
    """
    check_note(field, value)
    takes = 'a JSON list of objects such as [{"kind": "sleep", "until": null}]'
    try:
        waits = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"{field}: takes {takes}, got no JSON: {error}") from error
    if not isinstance(waits, list) or not all(isinstance(each, dict) for each in waits):
        raise InvalidValue(f"{field}: takes {takes}, got {value[:_SHOWN]}")


def check_new_checkpoint_id(field: str, value: str) -> None:
    """
    Refuse a checkpoint id that is no id, or has the form of a retry attempt's audit row.

    Raises InvalidValue.
    """
    check_id(field, value)
    if _RETRY_ID.search(value):
        raise InvalidValue(
            f"{field}: takes an id that does not end in '::retry::' and digits"
            f" (kept for retry attempts), got {value!r}"
        )


def check_bytes(field: str, value: bytes, limit: int = MAX_STATE_BYTES) -> None:
    """
    Refuse a value too large for its answer to fit a frame.

    Raises InvalidValue.
    """
    if len(value) > limit:
        raise InvalidValue(f"{field}: takes at most {limit} bytes, got {len(value)} bytes")


def check_range(field: str, value: int, low: int, high: int) -> None:
    """
    Refuse a number outside its range.

    Raises InvalidValue.
    """
    if not low <= value <= high:
        raise InvalidValue(f"{field}: takes {low} to {high}, got {value}")


def check_limit(limit: int) -> None:
    """
    Refuse a number of results out of range; 0 is none.

    Raises InvalidValue.
    """
    check_range("limit", limit, 0, MAX_LIMIT)


def check_part(after_id: int, limit: int, offset: int = 0) -> None:
    """
    Refuse the id, the limit or the offset of a page if it is out of range.

    Raises InvalidValue.
    """
    check_range("after_id", after_id, 0, MAX_INTEGER)
    check_range("offset", offset, 0, MAX_INTEGER)
    check_range("limit", limit, 1, MAX_LIMIT)


def clamp_timestamp(claimed: datetime, now: datetime) -> datetime:
    """Return a client's time if it is between the year 2000 and a day from now, else now."""
    return claimed if _EARLIEST <= claimed <= now + _AHEAD else now


def storable_text(payload: bytes, missing: str) -> str:
    """Return bytes as text that a database can store; other bytes are described in hex."""
    if not payload:
        return missing
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return f"(not UTF-8, {len(payload)} bytes) {payload[:_SHOWN].hex()}"
    if "\0" in text:
        return f"(held NUL, {len(payload)} bytes) {text[:_SHOWN].replace(chr(0), chr(0xFFFD))}"
    return text
