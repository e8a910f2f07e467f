"""An input that does not fit its workflow: what is wrong with which field, and what is taken."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, Optional, TypedDict

import pytest
from pydantic import BaseModel
from tests.sdk.workflow.memory_store import Core, life

from runtara_sdk import Ended, Incompatible, Outcome, Workflow, sleep, workflow
from runtara_sdk.workflow.engine.start import first_record
from runtara_sdk.workflow.values import codec


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


class Line(BaseModel):
    sku: str
    size: Size = Size.SMALL


class Address(TypedDict):
    city: str


@dataclass
class Order:
    id: str
    cents: int
    lines: list[Line] = field(default_factory=list)


@dataclass
class Tree:
    children: "list[Tree]"


@workflow
async def bare() -> int:
    return 0


@workflow
async def fulfil(order: Order) -> int:
    return order.cents


@workflow
async def move(who: str, to: Address, at: datetime | None = None) -> str:
    return who


@workflow
async def grow(tree: Tree) -> int:
    return len(tree.children)


async def refusal(called: Workflow[..., Any], given: bytes | None) -> list[str]:
    core = Core(input=given)
    with pytest.raises(Incompatible) as raised:
        await life(called, core)
    assert core.states == {}
    return str(raised.value).splitlines()


FULFIL = (
    'it takes the value of its parameter order: {"id": string, "cents": integer,'
    ' "lines"?: [{"sku": string, "size"?: "s" | "l"}, …]}'
)
MOVE = 'it takes {"who": string, "to": {"city": string}, "at"?: string (date-time) | null}'


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        ('{"id": 17}', ["order.id: takes a string, got 17", "order.cents is missing"]),
        ("[1]", ["order: takes an object, got [1]"]),
        ('{"id": "a", "cents": "many"}', ['order.cents: takes an integer, got "many"']),
        (
            '{"id": "a", "cents": 1, "lines": [{"sku": "b"}, {"sku": "c", "size": "xl"}]}',
            ["""order.lines[1].size: takes 's' or 'l', got "xl\""""],
        ),
    ],
)
async def test_each_field_that_does_not_fit_is_named(given: str, problems: list[str]) -> None:
    """The error says what each field takes and got, then the shape of the whole and the input."""
    assert await refusal(fulfil, given.encode()) == told("fulfil", problems, FULFIL, given)


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        ("3", ["input: takes an object, got 3"]),
        ('{"who": "a", "to": {}, "when": 1}', ["to.city is missing", "when is not known"]),
    ],
)
async def test_several_parameters_are_named_themselves(given: str, problems: list[str]) -> None:
    """Parameters that do not exist are named too."""
    assert await refusal(move, given.encode()) == told("move", problems, MOVE, given)


def told(workflow: str, problems: list[str], takes: str, given: str) -> list[str]:
    lines = [f"  {problem}" for problem in problems]
    return [f"the input does not fit workflow {workflow!r}:", *lines, takes, f"got {given}"]


async def test_fields_that_are_not_known_are_named_at_any_depth() -> None:
    """A typo in one with a default would be lost; but what an instance began with may have more."""
    given = b'{"children": [{"children": [], "childs": []}]}'
    begun = Core(states={"~workflow": first_record("grow", given).encoded})

    assert "  tree.children[0].childs is not known" in await refusal(grow, given)
    assert await life(grow, begun) == Ended(Outcome.DONE, output=b"1")


async def test_a_missing_input_is_reported_with_its_shape() -> None:
    """The error says where to give it."""
    assert await refusal(fulfil, None) == [
        "workflow 'fulfil' takes order, and there is no input: give it with --input FILE where"
        " you run it by hand, or at the instance's start",
        FULFIL,
    ]


async def test_an_input_without_a_parameter_is_refused() -> None:
    """The error says to leave it out."""
    assert await refusal(bare, b'{"id": 1}') == [
        "the input does not fit workflow 'bare', which takes none, and got {\"id\": 1}: leave it"
        " out"
    ]


@pytest.mark.parametrize("given", [b"", b"order-17", b"1, 2", b'{"id":'])
async def test_an_input_that_is_no_json_says_so(given: bytes) -> None:
    """The error gives the JSON of a text, which may have been meant."""
    assert "  value is no JSON" in await refusal(taking(int), given)


async def test_parameters_that_changed_are_to_take_the_old_input() -> None:
    """The instance was started with that input, and it can't be replaced."""

    @workflow(name="grown")
    async def before(number: int) -> int:
        raise SystemError

    @workflow(name="grown")
    async def after(text: str) -> int:
        return 1

    core = Core(input=b"17")
    await life(before, core)
    core.ended = None
    with pytest.raises(Incompatible) as raised:
        await life(after, core)

    assert str(raised.value).splitlines() == [
        "the input does not fit workflow 'grown', which the instance was started with: let its"
        " parameters take 17 too:",
        "  text: takes a string, got 17",
    ]


def taking(kind: Any) -> Workflow[..., Any]:
    async def one(value: Any) -> None: ...

    one.__annotations__["value"] = kind
    return workflow(one)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (int | None, "integer | null"),
        (Optional[str], "string | null"),  # noqa: UP045 - as others write it
        (dict[str, float], "{string: number, …}"),
        (dict[str, Any], "{string: anything, …}"),
        (tuple[int, str], "[integer, string]"),
        (Literal["a", 1], '"a" | 1'),
        (Literal["a"], '"a"'),
        (Tree, '{"children": [Tree, …]}'),
        (Decimal, "number | string"),
        (list[bool], "[boolean, …]"),
        (Callable[[], int], "collections.abc.Callable[[], int]"),
        (Literal[tuple(range(2000))], " | ".join(map(str, range(2000)))[:2000] + "…"),
    ],
)
async def test_the_shape_of_a_type_is_one_line(kind: Any, shape: str) -> None:
    """A very long shape is cut; a type that holds itself is named within."""
    (_, takes) = await refusal(taking(kind), None)

    assert takes == f"it takes the value of its parameter value: {shape}"


async def test_an_input_that_fits_is_taken() -> None:
    """Fields with defaults may be left out."""
    given = b'{"who": "Ann", "to": {"city": "Oslo"}}'

    assert await life(move, Core(input=given)) == Ended(Outcome.DONE, b'"Ann"')
    assert await life(bare, Core(input=b"{}")) == Ended(Outcome.DONE, b"0")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
async def test_an_input_that_an_instance_was_created_with_is_in_any_encoding(
    encoding: str,
) -> None:
    """Every encoding of JSON is read, with a byte-order mark or without."""
    given = '{"who": "Zoë", "to": {"city": "Oslo"}}'.encode(encoding)

    assert await life(move, Core(input=given)) == Ended(Outcome.DONE, '"Zoë"'.encode())


async def test_null_is_an_input() -> None:
    """A replay and a successor take null as the first run did; no input is another thing."""
    seen: list[int | None] = []

    @workflow(suspend_after="0s")
    async def count(start: int | None = 5) -> None:
        seen.append(start)
        await sleep("1h")

    for given in (b"null", None):
        core = Core(input=given)
        await life(count, core)
        await life(count, core)

    assert seen == [None, None, 5, 5]
    assert count.input((None,), {})[0] == b"null"
    assert count.input((), {})[0] is None


def test_a_workflow_takes_parameters_that_have_a_name() -> None:
    """The decorator refuses other parameters, since the input is given by name."""

    async def positional(order: str, /) -> None: ...
    async def many(*orders: str) -> None: ...

    for function in (positional, many):
        with pytest.raises(TypeError, match=f"{function.__name__!r} takes .*by name"):
            workflow(function)


def test_inputs_of_several_parameters_are_read_by_an_annotation_that_is_prepared_once() -> None:
    """A worker reads an input for each instance, and keeps each annotation for its whole life."""
    move.bind("a", to={"city": "b"})
    prepared = codec._adapter.cache_info().misses

    move.bind("b", to={"city": "c"})
    assert move.arguments(b'{"who": "c", "to": {"city": "d"}}')["who"] == "c"
    assert codec._adapter.cache_info().misses == prepared
