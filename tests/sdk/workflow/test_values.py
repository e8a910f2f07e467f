"""Results come back as the type they are annotated with, or are refused at once."""

import enum
import typing
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
import typing_extensions
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr
from tests.sdk.workflow.memory_journal import Core, life

from runtara_sdk import Ended, NotSaveable, Outcome, Refused, StateUnreadable, step, workflow
from runtara_sdk.workflow import codec


class Colour(enum.Enum):
    RED = "red"


@dataclass(frozen=True)
class Point:
    x: int
    data: bytes = b"\xff\x00"


@dataclass(frozen=True)
class Near(Point):
    pass


class Model(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    at: datetime
    points: list[Point]


class Aliased(BaseModel):
    granted_by: str = Field(alias="grantedBy")


class Typed(typing.TypedDict):
    name: str
    raw: bytes
    extra: typing.NotRequired[int]


class NewTyped(typing_extensions.TypedDict):
    name: str


NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)

KEPT: list[Any] = [
    (int, 2**70),
    (float, float("inf")),
    (float, float("nan")),
    (str, "é🦀\n"),
    (bytes, b"\xff\x00"),
    (bool | None, None),
    (int | str, "5"),
    (int | float, 5.0),
    (Decimal, Decimal("1.10")),
    (UUID, UUID(int=7)),
    (datetime, NOW),
    (datetime, NOW.replace(tzinfo=None)),
    (date, NOW.date()),
    (timedelta, timedelta(days=-1, microseconds=1)),
    (Colour, Colour.RED),
    (Point, Point(1)),
    (list[Point | Model], [Point(1), Model(at=NOW, points=[Point(2)])]),
    (Typed, {"name": "a", "raw": b"\xff"}),
    (list[Typed], [{"name": "a", "raw": b"\xff", "extra": 1}]),
    (Typed | None, {"name": "a", "raw": b"\xff"}),
    (NewTyped, {"name": "a"}),
    (Typed, {"raw": b"\xff", "name": "in another order"}),
    (Aliased, Aliased(grantedBy="Ann")),
    (dict[int, tuple[str, ...]], {1: ("a", "b")}),
    (set[frozenset[int]], {frozenset({1})}),
    (typing.Literal["a", 1], 1),
    (Any, {"a": [1, 2.5, None, True, "x"]}),
]


class Opaque:
    """What no codec knows; named, for a test's id must be the same in each process."""

    def __repr__(self) -> str:
        return "an opaque object"


class Unshown:
    """What can't even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError


class Hiding(BaseModel):
    """A model that holds more than it writes."""

    _hidden: int = PrivateAttr(default=0)

    def hide(self) -> "Hiding":
        self._hidden = 1
        return self


PARIS = datetime(2026, 3, 28, 12, tzinfo=ZoneInfo("Europe/Paris"))


def unknown(number: int) -> int:
    raise LookupError(number)


Unknown = Annotated[int, AfterValidator(unknown)]

REFUSED: list[Any] = [
    (Unknown, 1),
    (Any, (1, 2)),
    (Any, NOW),
    (Any, Point(1)),
    (Any, {1: "a"}),
    (dict[int, str], {True: "a"}),
    (int, True),
    (float, 1),
    (int, "1"),
    (Point, Near(1)),
    (list[int], (1,)),
    (str, "\udc80"),
    (object, Opaque()),
    (object, Unshown()),
    (int, 10**5000),
    (Hiding, Hiding().hide()),
    (datetime, PARIS),
    (datetime, datetime(2026, 10, 25, 2, 30, fold=1)),
    (deque[int], deque([1], maxlen=2)),
]


@pytest.mark.parametrize(("annotation", "value"), KEPT, ids=str)
def test_a_value_comes_back_as_it_was(annotation: object, value: object) -> None:
    """Types included, from readable JSON."""
    back = codec.decode("x", codec.encode("x", value, annotation), annotation)

    assert type(back) is type(value)
    assert back == value or value != value


@pytest.mark.parametrize(
    ("annotation", "value"), REFUSED, ids=[f"{n}" for n in range(len(REFUSED))]
)
def test_a_value_that_would_come_back_changed_is_refused(annotation: object, value: object) -> None:
    """Naming what gave it."""
    with pytest.raises(NotSaveable, match=r"^charge#1 gave"):
        codec.encode("charge#1", value, annotation)


def test_whatever_a_validator_raises_says_that_a_state_does_not_fit() -> None:
    with pytest.raises(StateUnreadable, match="is refused by LookupError: 1"):
        codec.decode("charge#1", b"1", Unknown)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_plain_json_needs_no_annotation(value: object) -> None:
    """Whatever it is, it comes back the same or is refused; never changed."""
    try:
        text = codec.encode("x", value, Any)
    except NotSaveable:
        return
    assert repr(codec.decode("x", text, Any)) == repr(value)


async def test_work_is_not_done_whose_result_cannot_be_saved() -> None:
    """Where the annotation says so already."""
    done: list[str] = []

    @step
    async def numbers() -> Iterator[int]:
        done.append("numbers")
        return iter([1])

    @workflow
    async def counting() -> None:
        await numbers()

    with pytest.raises(NotSaveable, match="which can't be saved"):
        await life(counting, Core())
    assert done == []


async def test_a_result_that_cannot_come_back_is_not_saved() -> None:
    """The run ends there and then, and the instance stays open for code that can save it."""
    made: list[object] = [(1, 2)]

    @step
    async def pair() -> Any:
        return made.pop()

    @workflow
    async def pairing() -> Any:
        try:
            return await pair()
        except Exception:
            return "caught, and made again by a replay"

    core = Core()
    with pytest.raises(NotSaveable, match="annotate the type"):
        await life(pairing, core)
    assert set(core.states) == {"~workflow"}
    made.append([1, 2])
    ended = await life(pairing, core)

    assert ended == Ended(Outcome.DONE, b"[1,2]")


async def test_a_state_that_no_longer_fits_is_left_alone() -> None:
    """The run ends without a word to user code, and the instance stays open."""
    core = Core()

    @step(name="get")
    async def get_text() -> str:
        return "x"

    @step(name="get")
    async def get_number() -> int:
        return 1

    @workflow(name="getting")
    async def before() -> str:
        return await get_text()

    @workflow(name="getting")
    async def after() -> int:
        try:
            return await get_number()
        finally:
            core.sent["unwound"] = b""

    await life(before, core)
    core.ended, saved = None, dict(core.states)
    with pytest.raises(StateUnreadable, match=r"get#1 is no int any more.*'\"x\"'"):
        await life(after, core)

    assert core.states == saved
    assert core.ended is None
    assert "unwound" not in core.sent
    assert issubclass(StateUnreadable, Refused)


async def test_large_states_are_compressed() -> None:
    """And come back as they were."""

    @step
    async def large() -> str:
        return "x" * 5_000_000

    @workflow
    async def sizing() -> int:
        return len(await large())

    core = Core()
    first = await life(sizing, core)
    assert first == await life(sizing, core)

    assert len(core.states["large#1"]) < 100_000
