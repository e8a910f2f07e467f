"""Failures come back as the errors they were."""

from dataclasses import dataclass
from decimal import Decimal

import pytest
from tests.sdk.workflow.memory_journal import Core, life

from runtara_sdk import NotSaveable, Outcome, step, workflow


class Declined(Exception):
    """Gives super() a text, where its __init__ takes a number."""

    def __init__(self, code: int) -> None:
        super().__init__(f"declined with {code}")
        self.code = code


class Short(Exception):
    """Gives super() what it takes, in the type that it says."""

    def __init__(self, missing: Decimal, *, of: str) -> None:
        super().__init__(missing)
        self.of = of


class Slotted(Exception):
    __slots__ = ("code",)

    def __init__(self, code: int) -> None:
        self.code = code


@dataclass
class Lost(Exception):
    parcel: str
    weight: Decimal


ERRORS = [
    Declined(5),
    Short(Decimal("1.50"), of="EUR"),
    Slotted(7),
    Lost("p-1", Decimal(3)),
    FileNotFoundError(2, "No such file", "orders.csv"),
    KeyError("sku"),
]


def parts(error: Exception) -> tuple[object, ...]:
    """What tells an error from others; dataclasses compare by their fields."""
    named = ("args", "code", "of", "parcel", "weight", "filename", "errno", "reason")
    return type(error), str(error), *(getattr(error, name, None) for name in named)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_an_answer_is_raised_as_itself(error: Exception) -> None:
    """Live and on replay, with all its fields, though its __init__ is not called."""
    seen: list[Exception] = []

    @step(raises=(type(error),))
    async def ask() -> None:
        raise error

    @workflow
    async def asking() -> None:
        try:
            await ask()
        except type(error) as answer:
            seen.append(answer)

    core = Core()
    await life(asking, core)
    core.ended = None
    await life(asking, core)

    assert len(seen) == 2
    assert {parts(each) for each in seen} == {parts(error)}


async def test_an_answer_that_would_come_back_changed_is_not_saved() -> None:
    """The instance stays open for code that can save it."""

    class Opaque(Exception):
        pass

    @step(raises=Opaque)
    async def ask() -> None:
        raise Opaque(object())

    @workflow
    async def asking() -> str:
        try:
            await ask()
        except Exception:
            return "caught, and asked again by a replay"
        return ""

    core = Core()
    with pytest.raises(
        NotSaveable, match=r"ask#1, failing with .*Opaque.*raise an error of your own"
    ):
        await life(asking, core)

    assert set(core.states) == {"~workflow"}


async def test_a_failure_whose_text_is_no_text_is_saved() -> None:
    """As it can be shown."""

    @step
    async def read() -> None:
        raise FileNotFoundError(2, "No such file", "caf\udce9.csv")

    @workflow
    async def reading() -> None:
        await read()

    ended = await life(reading, Core())

    assert ended is not None
    assert ended.outcome is Outcome.FAILED
    assert r"caf\udce9.csv" in ended.error
