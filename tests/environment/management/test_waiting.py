"""What instances wait for, from what the SDK stores to what operators see."""

import json

import pytest

from runtara_domain.model.waits import awaited
from runtara_environment.management_handlers.translation import waiting

AT = "2026-11-29T12:00:00+00:00"
AT_MS = 1795953600000


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        (("signal", "approval"), ("promise", "approval")),
        (("signal", "~child/a"), ("child", "a")),
        (("signal", "pay#1!decision#1"), ("decision", "pay#1!decision#1")),
        (("sleep", "sleep#1"), ("sleep", "sleep#1")),
        (("retry", "pay#1"), ("retry", "pay#1")),
    ],
)
def test_kinds_and_times_are_those_of_the_wire(
    stored: tuple[str, str], told: tuple[str, str]
) -> None:
    """A time is in milliseconds, and left out where there is none."""
    one = {"kind": stored[0], "name": stored[1], "since": AT, "until": None}

    (found,) = waiting(awaited(json.dumps([one])))

    assert (found.kind, found.name) == told
    assert (found.since_ms, found.HasField("until_ms")) == (AT_MS, False)


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"kind": "sleep"}]', '[{"until": "soon"}]'])
def test_what_another_program_wrote_says_nothing(text: str) -> None:
    """It is never an error."""
    assert waiting(awaited(text)) == []
