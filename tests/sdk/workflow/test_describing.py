"""Arguments are shown the same in every process, whatever they are, and are not touched."""

import enum
import functools
import re
import subprocess
import sys
import threading
import uuid
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel, Field, HttpUrl, SecretStr

from runtara_sdk.workflow.values.describing import OPAQUE, described


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Point:
    x: int


class Pair(NamedTuple):
    one: int
    other: str


class Model(BaseModel):
    key: SecretStr
    site: HttpUrl | None = None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (7, "7"),
        (10**700, hex(10**700)),
        (1.5, "1.5"),
        (float("nan"), "NaN"),
        ("ä\ud800", '"ä\ud800"'),
        (b"\xff", '"/w=="'),
        (bytearray(b"\xff"), '"/w=="'),
        ({"b": 1, "a": (1, None)}, '{"a": [1, null], "b": 1}'),
        ({1: "a", "1": "b"}, '{"1": "b", 1: "a"}'),
        (MappingProxyType({"a": OrderedDict(b=1)}), '{"a": {"b": 1}}'),
        (deque([{2, 1}, frozenset()]), "[{1, 2}, {}]"),
        ({"b": 1, "a": 2}.keys(), '{"a", "b"}'),
        (Pair(1, "x"), '[1, "x"]'),
        (Colour.RED, '"red"'),
        (Level.LOW, "1"),
        (Point(1), '{"x": 1}'),
        (Model(key=SecretStr("s")), '{"key": "**********"}'),
        (Model(key=SecretStr(""), site=HttpUrl("http://x")), '{"key": "", "site": "http://x/"}'),
        (Decimal("1.50"), '"1.50"'),
        (Fraction(1, 2), '"1/2"'),
        (1 + 2j, '"(1+2j)"'),
        (range(3), '"range(0, 3)"'),
        (uuid.UUID(int=5), '"00000000-0000-0000-0000-000000000005"'),
        (PurePosixPath("/srv"), '"/srv"'),
        (datetime(2026, 1, 1, tzinfo=UTC), '"2026-01-01T00:00:00+00:00"'),
        (date(2026, 1, 1), '"2026-01-01"'),
        (timedelta(days=1, seconds=2), '"1 day, 0:00:02"'),
        (re.compile("a+"), '"a+"'),
        (ZoneInfo("Europe/Berlin"), '"Europe/Berlin"'),
        (object(), OPAQUE),
        (Point, OPAQUE),
        (int, OPAQUE),
        (described, OPAQUE),
        (len, OPAQUE),
        (lambda: None, OPAQUE),
        (functools.partial(described, 1), OPAQUE),
        ("x".upper, OPAQUE),
        (threading.Lock(), OPAQUE),
        ([object(), Point], f"[{OPAQUE}, {OPAQUE}]"),
    ],
    ids=lambda value: "",
)
def test_a_value_is_shown_and_what_has_none_is_like_any_other(value: object, text: str) -> None:
    """Neither a type's name nor an address is in the text."""
    assert described(value) == text


def test_a_class_may_be_given_fields_and_another_name() -> None:
    """Instances that are under way have values without the field, which get its default."""

    @dataclass
    class Place:
        x: int
        tags: list[str] = field(default_factory=lambda: ["new"])
        lock: Any = field(default_factory=threading.Lock)
        seen: float = field(default=0.0, compare=False)

    class Spot(BaseModel):
        x: int
        note: str | None = None
        made: list[int] = Field(default_factory=lambda: [1])
        secret: str = Field(default="", exclude=True)

    assert described(Point(1)) == described(Place(1, seen=2.0)) == described(Spot(x=1, secret="s"))
    assert described(Place(1, ["a"])) == '{"tags": ["a"], "x": 1}'
    assert described([Spot(x=1, note="n")]) == '[{"note": "n", "x": 1}]'


class Unruly:
    """Raises whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        raise KeyError(name)

    def __eq__(self, other: object) -> bool:
        raise ValueError("no comparison")

    __hash__ = None  # type: ignore[assignment]


@dataclass
class Holding:
    thing: object
    other: object = None

    @property
    def shown(self) -> str:
        raise RuntimeError("not now")


def test_nothing_that_an_argument_does_is_raised() -> None:
    """It is shown as far as it can be."""
    loop: list[object] = [1]
    loop += [loop, loop]
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    unset = Holding.__new__(Holding)

    assert described(Unruly()) == OPAQUE
    assert described([Unruly(), 1]) == f"[{OPAQUE}, 1]"
    assert described(Holding(Unruly(), Unruly())) == f'{{"other": {OPAQUE}, "thing": {OPAQUE}}}'
    assert described(unset) == f'{{"thing": {OPAQUE}}}'
    assert described(loop) == f"[1, {OPAQUE}, {OPAQUE}]"
    assert described(deep).count("[") == 51


def test_an_iterator_is_not_used_up() -> None:
    """It is the step's."""

    def numbers() -> Iterator[int]:
        yield 1

    given = numbers()

    assert described(given) == OPAQUE
    assert [*given] == [1]


def test_sets_are_shown_in_one_order() -> None:
    """The hashes of strings differ in each process. The sets may be anywhere in a value."""
    code = (
        "from collections import deque\n"
        "from runtara_sdk.workflow.values.describing import described\n"
        "names = {'a', 'b', 'c', 'd', 'e'}\n"
        "inner = {('x', frozenset(names))}\n"
        "print(described([names, deque([names]), inner, dict.fromkeys(names, 1)]))"
    )
    shown = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
        for _ in range(4)
    }

    assert len(shown) == 1
