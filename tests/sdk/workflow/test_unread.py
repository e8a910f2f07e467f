"""A step's work is done once, whatever becomes of its result."""

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr
from tests.sdk.workflow.memory_store import Core, life, lives
from tests.sdk.workflow.probe import probe

from runtara_sdk import (
    Ended,
    NotSerializable,
    Outcome,
    StateUnreadable,
    Step,
    StepFailed,
    step,
    workflow,
)
from runtara_sdk.workflow.engine import records


@dataclass
class Parcel:
    weight: float = 0


class Token(BaseModel):
    value: SecretStr | None = None


def giving(value: object, annotation: object) -> Step[[], Any]:
    """A step that gives a value, under an annotation that may be another type's."""
    probe.made.clear()

    async def make() -> Any:
        probe.made.append(value)
        return value

    make.__annotations__["return"] = annotation
    return step(make)


async def result(step_: Step[[], Any], core: Core, **options: Any) -> object:
    """What a workflow gets of a step in one life."""
    seen: list[object] = []

    @workflow(name="making")
    async def making() -> None:
        seen.append(await step_())

    await life(making, core, **options)
    return seen[0] if seen else None


@pytest.mark.parametrize("value", [sum([]), True, 3], ids=repr)
async def test_an_int_is_a_float_where_one_is_annotated(value: int) -> None:
    """This holds live, on replay, and where the process dies between the two."""
    make, core = giving(value, float), Core()

    live = await result(make, core)
    core.ended = None
    again = await result(make, core)

    assert (live, again) == (value, value)
    assert type(live) is type(again) is float
    assert [value] == probe.made


async def test_a_death_behind_the_save_changes_no_value() -> None:
    """It does not repeat the work either."""
    make, core = giving([Parcel(), Parcel(2)], list[Parcel]), Core()

    died = await result(make, core, dies=lambda call, is_done: call == "save make#1" and is_done)
    again = await result(make, core)

    assert died is None
    assert again == [Parcel(0.0), Parcel(2.0)]
    assert [type(parcel.weight) for parcel in again] == [float, float]
    assert len(probe.made) == 1


async def test_a_result_of_another_type_waits_for_code_that_reads_it() -> None:
    """It is saved as it is, the run ends, and a new annotation takes it: nothing is done again."""
    core = Core()

    with pytest.raises(NotSerializable, match=r"make#1 gave \(1, 2\).*is not repeated"):
        await result(giving((1, 2), list[str]), core)
    with pytest.raises(StateUnreadable, match=r"make#1 is no dict"):
        await result(giving(None, dict[str, int]), core)
    found = await result(giving(None, tuple[int, int]), core)
    core.ended = None
    again = await result(giving(None, tuple[int, int]), core)

    assert found == again == (1, 2)
    assert probe.made == []


async def test_the_same_code_reads_what_it_had_left_unread(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """To run it again says that what comes back will do, and the log says what came back."""
    make, core = giving((1, 2), Any), Core()

    with pytest.raises(NotSerializable, match="would come back as"):
        await result(make, core)

    assert await result(make, core) == [1, 2]
    assert probe.made == [(1, 2)]
    assert "make#1: the saved result was never read" in caplog.text
    assert "as [1, 2]" in caplog.text


async def test_what_is_unread_cannot_be_caught() -> None:
    """Otherwise the work would go on with nothing, and a replay with something."""
    make, core = giving((1, 2), Any), Core()
    caught: list[BaseException] = []

    @workflow
    async def making() -> None:
        try:
            await make()
        except BaseException as error:
            caught.append(error)
            raise

    with pytest.raises(NotSerializable):
        await life(making, core)

    assert caught == []


@pytest.mark.parametrize(
    ("value", "annotation", "why"),
    [
        (Token(value=SecretStr("s3cret")), Token, r"\.value \(SecretStr\) is a secret"),
        ({"token": SecretStr("s3cret")}, Any, r"\['token'\] \(SecretStr\) is a secret"),
        (object(), Any, "has no JSON form"),
        ([lambda: 1], list[Any], r"\[0\] \(function\) exists only in this process"),
        ((number for number in [1]), Any, "can be read only once"),
        ("\udc80", str, "has no JSON form"),
        (10**5000, int, "has no JSON form"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isprintable() else "",
)
async def test_a_result_that_nothing_holds_is_a_failure(
    value: object, annotation: object, why: str
) -> None:
    """The failure is saved with the reason: the work is done, and is not done again."""
    make, core = giving(value, annotation), Core()
    caught: list[StepFailed] = []

    @workflow
    async def making() -> None:
        try:
            await make()
        except StepFailed as failed:
            caught.append(failed)

    await life(making, core)
    core.ended = None
    await life(making, core)

    assert len(probe.made) == 1
    assert [failed.cause for failed in caught] == [
        "runtara_sdk.workflow.errors.NotSerializable"
    ] * 2
    assert caught[0].message == caught[1].message
    with pytest.raises(StepFailed, match=why):
        raise caught[0]


async def test_a_result_that_is_more_than_the_core_keeps_is_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The failure says where to put the data instead."""
    monkeypatch.setattr(records, "LIMIT", 5000)
    make, core = giving("x" * 5000, str), Core()

    @workflow
    async def making() -> None:
        await make()

    ended = await lives(making, core)

    assert ended.outcome is Outcome.FAILED
    assert "a state takes at most" in ended.error
    assert len(probe.made) == 1


async def test_an_external_effect_is_not_in_doubt_for_its_result() -> None:
    """Its result is saved unread, behind its intent."""
    made: list[int] = []

    @step(effect="external")
    async def charge() -> Any:
        made.append(1)
        return (1, 2)

    @workflow
    async def charging() -> Any:
        return await charge()

    core = Core()
    with pytest.raises(NotSerializable):
        await life(charging, core)

    assert await life(charging, core) == Ended(Outcome.DONE, b"[1,2]")
    assert made == [1]


async def test_a_doubt_that_shows_is_reported_before_the_effect() -> None:
    """A secret that must be there is one; one that may be there is taken while it is not."""
    certain, possible = giving(None, SecretStr), giving(Token(), Token)

    with pytest.raises(
        NotSerializable, match="what make#1 gives can't be saved: SecretStr is a secr"
    ):
        await result(certain, Core())
    assert probe.made == []

    assert await result(possible, Core()) == Token()
