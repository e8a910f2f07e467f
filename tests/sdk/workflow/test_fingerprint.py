"""Arguments are shown the same in every process, and are not touched."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic import BaseModel, Field, SecretStr

from runtara_sdk.workflow.fingerprint import fingerprint
from runtara_sdk.workflow.function import Function


class Model(BaseModel):
    key: SecretStr


@dataclass
class Point:
    x: int


def call(*args: object, **kwargs: object) -> str:
    def function(one: object, two: object = None) -> None: ...

    return fingerprint(Function(function).arguments(args, kwargs).named)


def test_values_are_shown_by_name() -> None:
    """However they are given; those that have no value of their own by their type."""
    assert call(1, "x") == call(two="x", one=1) == 'one=1, two="x"'
    assert call(Point(1)) == 'one={"x": 1}'
    assert call({"b": b"\xff", "a": (1, None)}) == 'one={"a": [1, null], "b": "_w=="}'
    assert call(Model(key=SecretStr("s"))) == 'one={"key": "**********"}'
    assert call(object()) == 'one="<object>"'


def test_a_class_may_be_given_fields_and_another_name() -> None:
    """Instances that are under way have values without the field, which get its default."""

    @dataclass
    class Place:
        x: int
        tags: list[str] = field(default_factory=list)

    class Spot(BaseModel):
        x: int
        note: str | None = None
        secret: str = Field(default="", exclude=True)

    assert call(Point(1)) == call(Place(1)) == call(Spot(x=1, secret="s"))
    assert call(Place(1, ["a"])) == 'one={"tags": ["a"], "x": 1}'
    assert call([Spot(x=1, note="n")]) == 'one=[{"note": "n", "x": 1}]'


def test_long_ones_are_cut_and_still_told_apart() -> None:
    """By a digest."""
    one, other = call("x" * 1000), call("x" * 999 + "y")

    assert one != other
    assert len(one) < 300


def test_an_iterator_is_not_used_up() -> None:
    """It is the step's."""

    def numbers() -> Iterator[int]:
        yield 1

    given = numbers()

    assert call(given) == 'one="<generator>"'
    assert [*given] == [1]


def test_sets_are_shown_in_one_order() -> None:
    """Though strings hash otherwise in each process."""
    code = (
        "from runtara_sdk.workflow.fingerprint import fingerprint\n"
        "print(fingerprint({'one': {'a', 'b', 'c', 'd', 'e'}}))"
    )
    shown = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
        for _ in range(3)
    }

    assert len(shown) == 1
