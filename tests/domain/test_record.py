import copy
import pickle
from collections.abc import Callable
from dataclasses import (
    FrozenInstanceError,
    asdict,
    dataclass,
    field,
    fields,
    replace,
)
from functools import partial
from inspect import signature
from typing import Any, Generic, TypeVar, get_type_hints

import pytest
from pydantic import TypeAdapter

from runtara_domain.record import record

T = TypeVar("T")


def every_kind_of_field() -> type:
    class Plain:
        first: int
        second: "Copied | str" = "two"
        many: list[int] = field(default_factory=list)
        unseen: int = field(default=4, compare=False, repr=False)
        computed: int = field(default=0, init=False)
        made: list[int] = field(default_factory=lambda: [7], init=False)
        unset: int = field(init=False, compare=False, repr=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "unset", self.first + 1)

    return Plain


Plain: Any = record(every_kind_of_field())
Theirs: Any = dataclass(frozen=True, slots=True)(every_kind_of_field())


@record(kw_only=True)
class Parent:
    early: int = 1
    late: int


@record(kw_only=True)
class Child(Parent):
    early: int = 3
    own: str


@record
class Empty:
    """Without a field."""


@record
class One(Generic[T]):
    value: T

    def __repr__(self) -> str:
        return "one of its own"


@record
class Held:
    holders: list[object]


class Copied:
    """A type that a field names in quotes, before it is there."""


COPIES: list[Callable[[Any], Any]] = [
    copy.copy,
    copy.deepcopy,
    lambda one: pickle.loads(pickle.dumps(one)),
]


def test_a_record_is_made_and_shown_as_a_dataclass_of_the_standard_library() -> None:
    assert repr(Plain(1, "b")) == repr(Theirs(1, "b"))
    assert Plain(1).unset == 2
    assert str(signature(Plain)) == str(signature(Theirs))
    assert get_type_hints(Plain.__init__) == get_type_hints(Theirs.__init__)
    assert asdict(Plain(1)) == asdict(Theirs(1))
    assert [one.name for one in fields(Plain)] == [one.name for one in fields(Theirs)]
    assert Plain.__match_args__ == Theirs.__match_args__
    assert not hasattr(Plain(1), "__dict__")


def test_a_missing_or_unknown_argument_is_named_with_its_class() -> None:
    with pytest.raises(TypeError, match=r"Plain\.__init__\(\) missing 1 .* 'first'"):
        Plain()
    with pytest.raises(TypeError, match="unexpected keyword argument 'computed'"):
        Plain(1, computed=2)
    with pytest.raises(TypeError, match="takes 1 positional argument"):
        Parent(1)  # type: ignore[call-arg]


def test_records_are_equal_by_the_fields_that_are_compared() -> None:
    assert Plain(1, unseen=5) == Plain(1)
    assert Plain(1) != Plain(2)
    assert Plain(1) != Theirs(1)
    assert Parent(late=1) != Child(early=1, late=1, own="")
    assert Empty() == Empty()
    assert hash(One((1,))) == hash(One((1,)))
    assert len({Empty(), Empty(), One(1), One(1), One("1")}) == 3
    with pytest.raises(TypeError, match="unhashable"):
        hash(Plain(1))


def test_each_record_has_a_default_of_its_own() -> None:
    assert Plain(1).many is not Plain(1).many
    assert Plain(1, many=[2]).many == [2]


def test_nothing_of_a_record_can_be_changed() -> None:
    one = Plain(1)

    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'first'"):
        one.first = 2
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'first'"):
        del one.first
    assert replace(one, second="b").second == "b"
    assert one.second == "two"


@pytest.mark.parametrize("copied", COPIES)
def test_a_copy_is_equal(copied: Callable[[Any], Any]) -> None:
    assert copied(Child(late=1, own="x")) == Child(late=1, own="x")
    assert copied(One([3])) == One([3])
    assert copied(Empty()) == Empty()


def test_a_record_has_the_fields_of_its_parent() -> None:
    one = Child(late=2, own="x")

    assert (one.early, one.late, one.own) == (3, 2, "x")
    assert repr(one) == "Child(early=3, late=2, own='x')"


def test_a_method_of_the_class_stays() -> None:
    assert repr(One(1)) == "one of its own"


def test_the_init_of_the_class_stays() -> None:
    @record
    class Doubled:
        value: int

        def __init__(self, half: int) -> None:
            object.__setattr__(self, "value", 2 * half)

    assert Doubled(3).value == 6


def test_what_a_record_does_not_do_is_refused() -> None:
    class Unhashed:
        value: int = field(hash=False)

    class OnlyHashed:
        value: int = field(compare=False, hash=True)

    for hashed in (Unhashed, OnlyHashed):
        with pytest.raises(TypeError, match=r"\.value: a record hashes the fields"):
            record(hashed)


def test_one_field_is_compared_as_several_are() -> None:
    class Odd:
        def __eq__(self, other: object) -> Any:
            return "equal"

        __hash__ = None  # type: ignore[assignment]

    nan = float("nan")
    assert One(nan) == One(nan)
    assert (One(Odd()) == One(Odd())) is True
    assert hash(One(5)) == hash((5,))


def test_a_record_that_holds_itself_is_shown() -> None:
    one = Held([])
    one.holders.append(one)

    assert repr(one) == "Held(holders=[...])"


def test_pydantic_reads_a_record() -> None:
    adapter = TypeAdapter(Child)

    assert adapter.validate_python({"late": 2, "own": "x"}) == Child(late=2, own="x")


def test_parameters_are_counted_by_partial() -> None:
    assert partial(Plain, 1)("b") == Plain(1, "b")
