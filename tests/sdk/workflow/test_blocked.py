"""What can't go on with its code is blocked, with the reason, until there is other code."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, computed_field
from tests.sdk.workflow.memory_store import Core, life

from runtara_sdk import (
    Ended,
    Incompatible,
    InputRefused,
    NondeterminismError,
    NotSerializable,
    Outcome,
    race,
    sleep,
    step,
    workflow,
)
from runtara_sdk.workflow.api import workflows


@step
async def one() -> int:
    return 1


@step
async def pair() -> Any:
    return (1, 2)


@workflow(name="counting")
async def counting() -> int:
    await sleep("1h")
    return await one()


@workflow(name="counting")
async def changed() -> int:
    return await one()


@workflow(name="other")
async def other() -> None: ...


async def test_changed_code_blocks_the_instance() -> None:
    """Code that fits goes on with the instance and clears the reason."""
    core = Core()
    await life(counting, core)

    with pytest.raises(NondeterminismError):
        await life(changed, core)
    blocked = core.blocked
    core.now = core.now.replace(year=2027)
    ended = await life(counting, core)

    assert blocked is not None
    assert blocked.startswith("NondeterminismError: the code calls 'one#1' where")
    assert core.blocked is None
    assert ended == Ended(Outcome.DONE, b"1")


async def test_a_result_that_is_unread_blocks_the_instance() -> None:
    """The instance is blocked with the reason that the run ends with."""

    @workflow
    async def pairing() -> Any:
        return await pair()

    core = Core()
    with pytest.raises(NotSerializable) as refusal:
        await life(pairing, core)

    assert core.blocked is not None
    assert str(refusal.value) in core.blocked


async def test_another_workflow_blocks_the_instance() -> None:
    """Another workflow under the id blocks it, as after a wrong deploy."""
    core = Core()
    await life(counting, core)

    with pytest.raises(Incompatible, match="is one of workflow 'counting', not of 'other'"):
        await life(other, core)

    assert core.blocked is not None


async def test_a_dead_core_is_reported_again_by_the_next_run() -> None:
    """The reason is not lost with the process that had it."""
    core = Core()
    await life(counting, core)

    died = await life(changed, core, dies=lambda call, is_done: call == "block" and not is_done)
    told = core.blocked
    with pytest.raises(NondeterminismError):
        await life(changed, core)

    assert died is None
    assert told is None
    assert core.blocked is not None


async def test_what_has_ended_is_not_blocked() -> None:
    """An ended instance stays as it is, however little the code fits it."""
    core = Core()
    await life(other, core)

    with pytest.raises(Incompatible):
        await life(counting, core)

    assert core.blocked is None


@workflow(name="taking")
async def taking(count: int) -> int:
    return count


@pytest.mark.parametrize("given", [b'"three"', None], ids=str)
async def test_an_input_that_does_not_fit_fails_the_instance(given: bytes | None) -> None:
    """No code can ever run it; the text says what is wrong with it."""
    core = Core()

    with pytest.raises(InputRefused):
        await life(taking, core, given)

    assert core.ended is not None
    assert core.ended.outcome is Outcome.FAILED
    assert "InputRefused: " in core.ended.error
    assert "count" in core.ended.error


async def test_an_input_that_fitted_before_blocks_the_instance() -> None:
    """It is the code that has changed."""

    @workflow(name="taking", suspend_after="0s")
    async def before(count: str) -> None:
        await sleep("1h")

    core = Core()
    await life(before, core, b'"three"')
    with pytest.raises(Incompatible, match="which the instance was started with") as refusal:
        await life(taking, core)

    assert not isinstance(refusal.value, InputRefused)
    assert core.ended is None
    assert core.blocked is not None


class Shown(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    net: float = Field(serialization_alias="NET")

    @computed_field  # type: ignore[prop-decorator]  # as pydantic has it
    @property
    def gross(self) -> float:
        return self.net * 2


class Hiding(BaseModel):
    token: SecretStr


@dataclass
class Base:
    x: float


OUTPUTS: list[Any] = [
    (float, 3, b"3.0", None),
    (Base, Base(1), b'{"x":1.0}', None),
    (Shown, Shown(net=1), b'{"NET":1.0,"gross":2.0}', None),
    (Any, (1, 2), b"[1,2]", "would come back as"),
    (Any, datetime(2026, 1, 1, tzinfo=UTC), b'"2026-01-01T00:00:00Z"', "would come back as"),
    (int, "x", b'"x"', "takes an integer"),
    (Iterator[int], [1], b"[1]", "can be read only once"),
    (list[int], (number for number in [1]), b"[1]", "can be read only once"),
    (Any, Hiding(token=SecretStr("s3cret")), b'{"token":"**********"}', "is a secret"),
]


@pytest.mark.parametrize(
    ("annotation", "value", "output", "warning"), OUTPUTS, ids=[str(each[0]) for each in OUTPUTS]
)
async def test_an_output_is_for_others_to_read(
    annotation: object,
    value: object,
    output: bytes,
    warning: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is written by its aliases; that it would not come back equal is only warned of."""

    async def giving() -> Any:
        return value

    giving.__annotations__["return"] = annotation

    assert await life(workflow(giving), Core()) == Ended(Outcome.DONE, output)
    warnings = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert (warnings == []) if warning is None else (warning in "".join(warnings))


async def test_a_race_is_an_output() -> None:
    """The name and the value of the winner are a list in JSON."""

    @workflow
    async def racing() -> Any:
        return await race(first=one(), second=sleep("1h"))

    assert await life(racing, Core()) == Ended(Outcome.DONE, b'["first",1]')


async def test_an_output_that_nothing_holds_blocks_the_instance() -> None:
    """All work is done: other code may yet give what can be saved of it."""

    @workflow(name="giving")
    async def giving() -> Any:
        return [await one(), object()]

    @workflow(name="giving")
    async def mended() -> list[int]:
        return [await one()]

    core = Core()
    with pytest.raises(NotSerializable, match=r"workflow 'giving' gave .*\[1\] \(object\)"):
        await life(giving, core)
    blocked = core.blocked

    assert blocked is not None
    assert await life(mended, core) == Ended(Outcome.DONE, b"[1]")


async def test_an_output_that_is_too_large_blocks_the_instance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says where to put the data instead."""
    monkeypatch.setattr(workflows, "LIMIT", 5000)

    @workflow
    async def giving() -> str:
        return "x" * 5000

    core = Core()
    with pytest.raises(NotSerializable, match="save the data elsewhere"):
        await life(giving, core)

    assert core.ended is None
    assert core.blocked is not None
