"""Results come back as the type they are annotated with, or are refused at once."""

import enum
import logging
import typing
from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import pytest
import typing_extensions
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    PrivateAttr,
    SecretStr,
    computed_field,
    field_serializer,
    model_serializer,
    model_validator,
)
from tests.sdk.workflow.memory_store import Core, life

from runtara_sdk import Incompatible, NotSerializable, StateUnreadable, Zoned, step, workflow
from runtara_sdk.workflow.engine import records
from runtara_sdk.workflow.values import codec
from runtara_sdk.workflow.values.equality import strictly_equal


class Colour(enum.Enum):
    RED = "red"


@dataclass(frozen=True)
class Point:
    x: int
    data: bytes = b"\xff\x00"


@dataclass(frozen=True)
class Near(Point):
    pass


@dataclass(frozen=True)
class Heavy(Point):
    weight: float = 0


@dataclass(frozen=True)
class Twin:
    x: int
    data: bytes = b"\xff\x00"


class Model(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    at: datetime
    points: list[Point]


class Aliased(BaseModel):
    granted_by: str = Field(alias="grantedBy")


class Shouted(BaseModel):
    """Reads other names than it writes, and no others."""

    model_config = ConfigDict(alias_generator=str.upper, extra="forbid")

    net: float = 0
    lines: Json[list[int]]
    vat: int = Field(validation_alias=AliasChoices("tax", "mwst"), serialization_alias="VAT")

    @computed_field  # type: ignore[prop-decorator]  # as pydantic has it
    @property
    def gross(self) -> float:
        return self.net + self.vat


class Before(BaseModel):
    """Knows the names that others write."""

    by: str = Field(alias="grantedBy")

    @model_validator(mode="before")
    @classmethod
    def stripped(cls, given: dict[str, str]) -> dict[str, str]:
        return {"grantedBy": given["grantedBy"].strip()}


class Revealed(BaseModel):
    """Writes its secret as it is."""

    token: SecretStr

    @field_serializer("token", when_used="json")
    def shown(self, token: SecretStr) -> str:
        return token.get_secret_value()


class Whole(BaseModel):
    """Writes itself."""

    token: SecretStr

    @model_serializer
    def shown(self) -> dict[str, str]:
        return {"token": self.token.get_secret_value()}


@dataclass
class RevealedPlainly:
    """Writes its secret as it is, and is no model."""

    token: SecretStr

    @field_serializer("token", when_used="json")
    def shown(self, token: SecretStr) -> str:
        return token.get_secret_value()


@dataclass
class WholePlainly:
    """Writes itself, and is no model."""

    token: SecretStr

    @model_serializer
    def shown(self) -> dict[str, str]:
        return {"token": self.token.get_secret_value()}


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    weight: float = 0


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    weight: float = 0


T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    items: list[T]


class Level(enum.IntEnum):
    HIGH = 3


class Word(enum.StrEnum):
    YES = "yes"


class Pair(typing.NamedTuple):
    left: float
    right: int = 0


@dataclass
class Sized:
    """Makes a field of another."""

    side: float = 0
    area: float = field(init=False)

    def __post_init__(self) -> None:
        self.area = self.side**2


class Typed(typing.TypedDict):
    name: str
    raw: bytes
    extra: typing.NotRequired[int]


class Measured(typing_extensions.TypedDict):
    grams: float


class NewTyped(typing_extensions.TypedDict):
    name: str


PARIS = datetime(2026, 3, 28, 12, tzinfo=ZoneInfo("Europe/Paris"))
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
    (Shouted, Shouted(LINES="[1, 2]", NET=1.5, tax=3)),
    (Before, Before(grantedBy="Ann")),
    (Revealed, Revealed(token=SecretStr("s3cret"))),
    (Json[list[int]], [1, 2]),
    (Annotated[Cat | Dog, Field(discriminator="kind")], Dog(weight=2.5)),
    (Page[int], Page[int](items=[1])),
    (Annotated[datetime, Zoned], PARIS),
    (list[Annotated[datetime | None, Zoned]], [PARIS, None, NOW]),
    (Annotated[datetime, Zoned], datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=PARIS.tzinfo)),
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


EQUAL: list[Any] = [
    (float, 0, 0.0),
    (float, True, 1.0),
    (int, True, 1),
    (complex, 1, 1 + 0j),
    (float | None, 0, 0.0),
    (float | str, 0, 0.0),
    (list[float], [1, 2.5], [1.0, 2.5]),
    (tuple[float, ...], (1,), (1.0,)),
    (set[float], {1}, {1.0}),
    (dict[str, float], {"a": 0}, {"a": 0.0}),
    (dict[int, str], {True: "a"}, {1: "a"}),
    (Pair, Pair(1), Pair(1.0)),
    (tuple[float, int], Pair(1), (1.0, 0)),
    (Sized, Sized(2), Sized(2.0)),
    (Cat, Cat(), Cat(weight=0.0)),
    (NewTyped | Measured, {"grams": 1}, {"grams": 1.0}),
    (int, Level.HIGH, 3),
    (str, Word.YES, "yes"),
    (Point, Near(1), Point(1)),
    (Page[float], Page(items=[1]), Page[float](items=[1.0])),
    (dict[str, int], Counter("aab"), {"a": 2, "b": 1}),
    (dict[str, list[int]], defaultdict(list, {"a": [1]}), {"a": [1]}),
    (typing.Mapping[str, int], MappingProxyType({"a": 1}), {"a": 1}),
    (datetime, PARIS, PARIS.replace(tzinfo=timezone(timedelta(hours=1)))),
]


def unknown(number: int) -> int:
    raise LookupError(number)


Unknown = Annotated[int, AfterValidator(unknown)]

REFUSED: list[Any] = [
    (Unknown, 1),
    (Any, (1, 2)),
    (Any, NOW),
    (Any, Point(1)),
    (Any, {1: "a"}),
    (int, "1"),
    (int, 1.0),
    (float, Decimal("1.5")),
    (float, 2**53 + 1),
    (Point, Heavy(1, weight=2)),
    (Point | Twin, Twin(1)),
    (date, NOW),
    (tuple[int, ...], [1]),
    (list[int], (1,)),
    (str, "\udc80"),
    (object, Opaque()),
    (object, Unshown()),
    (int, 10**5000),
    (Hiding, Hiding().hide()),
    (datetime, datetime(2026, 10, 25, 2, 30, fold=1)),
    (deque[int], deque([1], maxlen=2)),
]


@pytest.mark.parametrize(("annotation", "value"), KEPT, ids=str)
def test_a_value_comes_back_as_it_was(annotation: object, value: object) -> None:
    """Its types come back too, from readable JSON."""
    written = codec.encode("x", value, annotation)
    back = codec.decode("x", written.text, annotation, written.form)

    assert type(back) is type(value)
    assert back == value or value != value


@pytest.mark.parametrize(
    ("annotation", "value", "expected"), EQUAL, ids=[str(one[0]) for one in EQUAL]
)
def test_a_value_whose_type_passes_comes_back_as_the_annotation_says(
    annotation: object, value: object, expected: object
) -> None:
    """An int passes for a float, and a subclass for its base."""
    written = codec.encode("x", value, annotation)
    back = codec.decode("x", written.text, annotation, written.form)

    assert strictly_equal(back, expected)


@pytest.mark.parametrize(
    ("annotation", "value"), REFUSED, ids=[f"{n}" for n in range(len(REFUSED))]
)
def test_a_value_that_would_come_back_changed_is_refused(annotation: object, value: object) -> None:
    """The error names what gave it."""
    with pytest.raises(NotSerializable, match=r"^charge#1 gave"):
        codec.encode("charge#1", value, annotation)


def test_whatever_a_validator_raises_says_that_a_state_does_not_fit() -> None:
    with pytest.raises(StateUnreadable, match="is refused by LookupError: 1"):
        codec.decode("charge#1", b"1", Unknown)


@pytest.mark.slow
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_plain_json_needs_no_annotation(value: object) -> None:
    """Every value comes back the same or is refused, and never changed."""
    try:
        text = codec.encode("x", value, Any).text
    except NotSerializable:
        return
    assert repr(codec.decode("x", text, Any)) == repr(value)


async def test_work_is_not_done_whose_result_cannot_be_saved() -> None:
    """The annotation alone may say that the result can't be saved."""
    done: list[str] = []

    @step
    async def numbers() -> Iterator[int]:
        done.append("numbers")
        return iter([1])

    @workflow
    async def counting() -> None:
        await numbers()

    with pytest.raises(NotSerializable, match="which can't be saved"):
        await life(counting, Core())
    assert done == []


async def test_a_state_that_no_longer_fits_is_left_alone() -> None:
    """The run ends without an error in user code, and the instance stays open."""
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
    assert issubclass(StateUnreadable, Incompatible)


async def test_large_states_are_compressed() -> None:
    """They come back as they were."""

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


async def test_a_zone_is_kept_where_it_is_annotated(caplog: pytest.LogCaptureFixture) -> None:
    """Otherwise the moment has its offset, in the run that made it too, and a warning says so."""
    seen: list[datetime] = []

    @step
    async def plain() -> datetime:
        return PARIS

    @step
    async def zoned() -> Annotated[datetime, Zoned]:
        return PARIS

    @workflow
    async def timing() -> None:
        seen.extend([await plain(), await zoned()])

    core = Core()
    await life(timing, core)
    core.ended = None
    await life(timing, core)

    offset, kept = seen[:2]
    assert seen[2:] == seen[:2]
    assert offset + timedelta(days=1) == PARIS.astimezone(UTC) + timedelta(days=1)
    assert (kept + timedelta(days=1)).utcoffset() == timedelta(hours=2)
    (warning,) = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert "plain#1 gave a datetime with a zone" in warning.getMessage()
    assert "Annotated[datetime, Zoned]" in warning.getMessage()


def test_a_zone_that_is_not_known_here_leaves_a_state_unread() -> None:
    """The error names the zone, and what to install."""
    text = b'"2026-03-28T12:00:00+01:00[Mars/Olympus]"'

    with pytest.raises(StateUnreadable, match="knows no 'Mars/Olympus': install tzdata"):
        codec.decode("charge#1", text, Annotated[datetime, Zoned])


def test_what_was_saved_by_aliases_is_read_by_them() -> None:
    """Records that don't say their form are of that kind."""
    entry = records.decode("x", b'{"kind": "result", "value": {"grantedBy": "Ann"}}')

    assert codec.decode("x", entry.value, Aliased, entry.form) == Aliased(grantedBy="Ann")
    with pytest.raises(StateUnreadable, match=r"x\.granted_by is missing"):
        codec.decode("x", entry.value, Aliased)


@dataclass
class Secretive:
    token: SecretStr


@attrs.define
class OfAttrs:
    x: int


UNSAVEABLE: list[Any] = [
    (SecretStr, "is a secret.*return it as plain text"),
    (tuple[int, SecretStr], "is a secret"),
    (Secretive, r"SecretStr at \.token is a secret"),
    (typing.Iterable[int], "return a list"),
    (Iterator[int], "return a list"),
    (typing.AsyncIterator[int], "return a list"),
    (OfAttrs, "is a class of attrs.*make it a dataclass or a pydantic model"),
    (list[OfAttrs], "is a class of attrs"),
    (array, r"return \.tolist\(\)"),
    (bytearray, "annotate bytes"),
    (memoryview, "annotate bytes"),
    (typing.BinaryIO, "return its data"),
    (typing.Callable[[], int], "exists only in this process"),
    (Opaque, "make it a dataclass or a pydantic model"),
]


@pytest.mark.parametrize(
    ("annotation", "advice"), UNSAVEABLE, ids=[str(one[0]) for one in UNSAVEABLE]
)
def test_an_annotation_that_nothing_can_be_saved_of_says_what_to_do(
    annotation: object, advice: str
) -> None:
    """
    It says so before the work is done, and never with advice of pydantic's for something else.
    """
    with pytest.raises(NotSerializable, match=f"charge#1.*{advice}") as refusal:
        codec.check("charge#1", annotation)

    assert "arbitrary_types_allowed" not in str(refusal.value)


@pytest.mark.parametrize("kind", [Revealed, Whole, RevealedPlainly, WholePlainly])
def test_a_secret_that_its_class_writes_is_no_doubt(
    kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It comes back as it was."""
    value = kind(token=SecretStr("s3cret"))

    codec.check("charge#1", kind)
    written = codec.encode("charge#1", value, kind)

    assert codec.decode("charge#1", written.text, kind, written.form) == value
    assert caplog.records == []


def test_a_secret_that_may_be_left_out_is_warned_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A value without the secret can be saved."""
    for _ in range(2):
        codec.check("charge#1", dict[str, SecretStr | None])

    (warning,) = caplog.records
    assert "may not be savable: SecretStr is a secret" in warning.getMessage()
