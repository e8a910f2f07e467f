"""`bind` gives what a client needs to start an instance, and to read how it has ended."""

from dataclasses import dataclass

import pytest
from tests.sdk.workflow.memory_store import Core, life

from runtara_sdk import (
    Call,
    InputRefused,
    NotSerializable,
    Outcome,
    StateUnreadable,
    WorkflowFailed,
    step,
    workflow,
)


@dataclass(frozen=True)
class Order:
    id: str
    cents: int = 0


@dataclass(frozen=True)
class Receipt:
    order: Order
    is_gift: bool


class Declined(Exception):
    def __init__(self, order: Order, why: str) -> None:
        super().__init__(f"{order.id}: {why}")
        self.order = order
        self.why = why


@step
async def refuse(order: Order) -> None:
    raise ValueError(order.id)


@workflow(name="fulfil-orders", raises=(Declined, ExceptionGroup))
async def fulfil(order: Order, gift: bool = False) -> Receipt:
    match order.id:
        case "declined":
            error = Declined(order, "no money")
            error.add_note("asked twice")
            raise error
        case "broken":
            broken = KeyError("x", 5, Order)
            broken.add_note("read first")
            raise broken
        case "refused":
            await refuse(order)
        case "several":
            raise ExceptionGroup("two", [Declined(order, "one"), KeyError("other")])
    return Receipt(order, gift)


async def ended(call: Call[Receipt]) -> Core:
    """Run an instance from what the call says, as an environment does."""
    core = Core(input=call.input)
    await life(fulfil, core)
    return core


def test_a_bound_call_is_the_workflows_name_and_its_input() -> None:
    """Arguments by position or by name are the same input, and so the same call."""
    call = fulfil.bind(Order("17", 5), gift=True)

    assert call.workflow == "fulfil-orders"
    assert call.input == b'{"order": {"id": "17", "cents": 5}, "gift": true}'
    assert call == fulfil.bind(gift=True, order=Order("17", 5))
    assert call != fulfil.bind(Order("17", 5))


def test_a_workflow_without_arguments_has_no_input() -> None:
    @workflow
    async def nightly(day: str | None = None) -> None: ...

    assert nightly.bind().input is None
    assert nightly.bind("monday").input == b'"monday"'


def test_arguments_that_do_not_fit_are_refused_where_they_are_given() -> None:
    with pytest.raises(TypeError, match="'fulfil-orders': missing a required argument: 'order'"):
        fulfil.bind()  # type: ignore[call-arg]
    with pytest.raises(NotSerializable, match=r"fulfil-orders\(gift=...\) gave 'yes!'"):
        fulfil.bind(Order("17"), gift="yes!")  # type: ignore[arg-type]


def test_an_input_that_its_own_workflow_would_refuse_is_refused_at_once() -> None:
    """What a model computes is written for others, and refused when it is given."""
    from pydantic import BaseModel, ConfigDict, computed_field

    class Box(BaseModel):
        model_config = ConfigDict(extra="forbid")
        side: int

        @computed_field  # type: ignore[prop-decorator]
        @property
        def area(self) -> int:
            return self.side**2

    @workflow
    async def pack(box: Box) -> None: ...

    with pytest.raises((InputRefused, NotSerializable), match="area"):
        pack.bind(Box(side=2))


async def test_the_result_of_an_instance_is_read_as_its_workflow_is_annotated() -> None:
    call = fulfil.bind(Order("17", 5), gift=True)
    core = await ended(call)
    assert core.ended is not None

    assert call.decode_result(core.ended.output) == Receipt(Order("17", 5), is_gift=True)
    with pytest.raises(StateUnreadable, match="the output of workflow 'fulfil-orders'"):
        call.decode_result(b'{"order": 5}')


async def test_a_declared_error_comes_back_as_itself() -> None:
    """It has its attributes and notes, and the traceback as one more note."""
    call = fulfil.bind(Order("declined", 5))
    core = await ended(call)
    assert core.ended is not None
    error = call.decode_failure(core.ended.error, core.ended.failure)

    assert core.ended.outcome is Outcome.FAILED
    assert isinstance(error, Declined)
    assert (str(error), error.order, error.why) == (
        "declined: no money",
        Order("declined", 5),
        "no money",
    )
    assert error.__notes__[0] == "asked twice"
    assert "in fulfil" in error.__notes__[1]


async def test_a_declared_group_has_its_declared_errors() -> None:
    call = fulfil.bind(Order("several"))
    core = await ended(call)
    assert core.ended is not None
    error = call.decode_failure(core.ended.error, core.ended.failure)

    assert isinstance(error, ExceptionGroup)
    assert type(error.exceptions[0]) is Declined


async def test_any_other_error_is_described_by_its_parts() -> None:
    call = fulfil.bind(Order("broken"))
    core = await ended(call)
    assert core.ended is not None
    error = call.decode_failure(core.ended.error, core.ended.failure)

    assert isinstance(error, WorkflowFailed)
    assert (error.workflow, error.cause) == ("fulfil-orders", "KeyError")
    assert error.arguments == ("x", 5, f"{Order!r}")
    assert error.notes == ("read first",)
    assert "raise broken" in error.traceback
    assert str(error).startswith("workflow 'fulfil-orders' has failed: KeyError: ('x', 5, ")


async def test_the_failure_of_a_step_says_its_step() -> None:
    call = fulfil.bind(Order("refused"))
    core = await ended(call)
    assert core.ended is not None
    error = call.decode_failure(core.ended.error, core.ended.failure)

    assert isinstance(error, WorkflowFailed)
    assert error.cause == "runtara_sdk.workflow.errors.StepFailed"
    assert "step 'refuse' (refuse#1) failed after 1 attempt" in error.message


@pytest.mark.parametrize("failure", [None, b"", b"{}", b'{"made": "by another"}'])
def test_what_was_ended_by_others_is_described_by_its_text(failure: bytes | None) -> None:
    error = fulfil.bind(Order("1")).decode_failure("timed out after 5 s", failure)

    assert isinstance(error, WorkflowFailed)
    assert (error.message, error.cause) == ("timed out after 5 s", "")


async def test_a_declared_error_that_is_gone_is_described_by_its_parts() -> None:
    core = await ended(fulfil.bind(Order("declined")))
    assert core.ended is not None

    @workflow(name="fulfil-orders")
    async def later(order: Order) -> None: ...

    error = later.bind(Order("declined")).decode_failure(core.ended.error, core.ended.failure)

    assert isinstance(error, WorkflowFailed)
    assert error.cause.endswith("Declined")
