from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtara_domain import values
from runtara_domain.error import InvalidValue


@pytest.mark.parametrize("value", ["a", " ", "a" * 1024, "é" * 512, "🦀" * 256, "'; --", "\n"])
def test_an_id_is_1_to_1024_bytes_of_utf8(value: str) -> None:
    """Opaque otherwise; bytes are counted, not characters."""
    values.check_id("field", value)


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ("", "got 0 bytes"),
        ("a" * 1025, "got 1025 bytes"),
        ("é" * 512 + "a", "got 1025 bytes"),
        ("🦀" * 257, "got 1028 bytes"),
        ("a\0", "NUL"),
        ("\ud800", "UTF-8"),
    ],
)
def test_anything_else_is_no_id(value: str, got: str) -> None:
    """The message names the field, what it got and what it takes."""
    with pytest.raises(InvalidValue, match=r"^field: takes .*, got ") as refusal:
        values.check_id("field", value)

    assert got in str(refusal.value)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_storable_text_of_the_right_size_is_an_id(value: str) -> None:
    """A text of another size is no id."""
    fits = 1 <= len(value.encode()) <= 1024

    try:
        values.check_id("field", value)
    except InvalidValue:
        taken = False
    else:
        taken = True

    assert taken is fits


def test_a_text_may_be_empty() -> None:
    """Otherwise it has the limits of an id."""
    values.check_text("field", "")
    values.check_text("field", "a" * 1024)

    for value in ("a" * 1025, "\0", "\udfff"):
        with pytest.raises(InvalidValue, match=r"^field: "):
            values.check_text("field", value)


@pytest.mark.parametrize(
    "value", ["a::retry::1", "::retry::0", "a::retry::007", "::retry::1::retry::2"]
)
def test_the_ids_of_audit_rows_are_not_given_to_checkpoints(value: str) -> None:
    """Where one is saved; reading one is no matter."""
    values.check_id("field", value)

    with pytest.raises(InvalidValue, match=r"^field: takes an id that does not end in '::retry::'"):
        values.check_new_checkpoint_id("field", value)


@pytest.mark.parametrize(
    "value",
    [
        "a::retry::",
        "a::retry::1x",
        "a::retry::1 ",
        "a::retry::1\n",
        "a:retry:1",
        "::retry::-1",
        "a::retry::\u0661",
    ],
)
def test_what_only_looks_like_an_audit_row_is_an_id(value: str) -> None:
    """The end decides, to the character."""
    values.check_new_checkpoint_id("field", value)


def test_a_new_checkpoint_id_is_an_id() -> None:
    """All else that is refused in an id is refused in it."""
    for value in ("", "a" * 1025, "\0"):
        with pytest.raises(InvalidValue, match=r"^field: "):
            values.check_new_checkpoint_id("field", value)


@pytest.mark.parametrize("limit", [0, 1, 512 * 1024])
def test_bytes_are_limited_to_the_byte(limit: int) -> None:
    """The limit itself is allowed."""
    values.check_bytes("field", bytes(limit), limit)

    with pytest.raises(
        InvalidValue, match=rf"^field: takes at most {limit} bytes, got {limit + 1} bytes$"
    ):
        values.check_bytes("field", bytes(limit + 1), limit)


def test_a_state_is_at_most_63_mib() -> None:
    """Every answer then fits a frame of 64 MiB."""
    values.check_bytes("state", bytes(63 * 1024 * 1024))

    with pytest.raises(InvalidValue, match=r"^state: takes at most 66060288 bytes"):
        values.check_bytes("state", bytes(63 * 1024 * 1024 + 1))


def test_the_limits_are_those_of_the_contract() -> None:
    """Clients and databases rely on them."""
    assert values.MAX_ID_BYTES == 1024
    assert values.MAX_STATE_BYTES == 63 * 1024 * 1024
    assert values.MAX_SIGNAL_BYTES == 512 * 1024
    assert values.MAX_ATTEMPT == 2_147_483_647
    assert values.MAX_INTEGER == 9_223_372_036_854_775_807
    assert values.MAX_EVENT_BATCH == 10_000
    assert values.MAX_LISTED_STATE_BYTES == 65_536
    assert timedelta(days=365.24 * 100) <= values.MAX_SLEEP


@pytest.mark.parametrize("value", ["", "e" * 100_000, "é🦀\n"])
def test_a_long_text_is_any_that_a_database_keeps(value: str) -> None:
    """It is limited like a state, not like an id."""
    values.check_storable("field", value)


@pytest.mark.parametrize(
    ("value", "takes"),
    [("a\0", "text without NUL"), ("\ud800", "UTF-8 text"), ("é" * 33_030_145, "at most 66060288")],
    ids=["nul", "surrogate", "too long"],
)
def test_a_text_no_database_keeps_is_refused(value: str, takes: str) -> None:
    """The message names the field and what it takes."""
    with pytest.raises(InvalidValue, match=rf"^field: takes {takes}"):
        values.check_storable("field", value)


@pytest.mark.parametrize(("value", "fits"), [(0, False), (1, True), (5, True), (6, False)])
def test_a_range_holds_both_its_ends(value: int, fits: bool) -> None:
    """The message names both."""
    if fits:
        values.check_range("field", value, 1, 5)
        return

    with pytest.raises(InvalidValue, match=rf"^field: takes 1 to 5, got {value}$"):
        values.check_range("field", value, 1, 5)


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"", "nothing was said"),
        (b"boom", "boom"),
        ("é🦀\n".encode(), "é🦀\n"),
        (b"\xff\xfe", "(not UTF-8, 2 bytes) fffe"),
        (b"a\0b", "(held NUL, 3 bytes) a\ufffdb"),
    ],
)
def test_an_error_becomes_text_a_database_keeps(payload: bytes, text: str) -> None:
    """What cannot be kept as it is, is described."""
    assert values.storable_text(payload, "nothing was said") == text


@given(st.binary(max_size=2048))
def test_any_error_becomes_storable(payload: bytes) -> None:
    """Never empty, without NUL, encodable, and the same for the same bytes."""
    text = values.storable_text(payload, "nothing")

    assert text
    assert "\0" not in text
    assert text.encode()
    assert values.storable_text(payload, "nothing") == text
