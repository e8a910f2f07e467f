"""Promises: what is sent first stands, whatever it is."""

import json

import pytest
from tests.sdk.workflow.memory_store import Core, life
from tests.sdk.workflow.probe import probe

from runtara_sdk import Ended, NotSerializable, Outcome, SignalType, promise, sleep, step, workflow


@step
async def note(text: str) -> str:
    probe.seen.append(text)
    return text


@workflow(suspend_after="0s")
async def asking_twice() -> int:
    try:
        number = await promise("number", int | None)
    except NotSerializable as error:
        await note(str(error))
        number = await promise("another number", int)
    try:
        await sleep("1d")
    finally:
        await note(f"clean-up with {number}")
    return number or 0


async def test_a_value_of_another_type_raises_on_every_replay() -> None:
    """A later cancel is raised where the workflow is then, not at that promise."""
    core = Core(sent={"number": b'"x"', "another number": b"7"})
    asleep = await life(asking_twice, core)
    await core.tell(SignalType.CANCEL)
    ended = await life(asking_twice, core)

    assert (asleep, ended) == (Ended(Outcome.SUSPENDED), Ended(Outcome.CANCELLED))
    assert probe.seen[0].startswith("promise 'number' takes integer | null, and was sent \"x\": ")
    assert probe.seen[1:] == ["clean-up with 7"]


async def test_the_frames_of_the_user_alone_show_what_was_sent() -> None:
    """The traceback has no errors of what the layer tried before."""

    @workflow
    async def asking() -> int:
        return await promise("number", int)

    ended = await life(asking, Core(sent={"number": json.dumps({"n": 1}).encode()}))

    assert ended is not None
    assert ended.error.count('File "') == 1
    assert "cause of" not in ended.error


async def test_a_promise_that_no_value_could_be_saved_of_ends_the_run() -> None:
    """The value stands until the annotation is mended."""

    class Opaque: ...

    @workflow
    async def asking() -> object:
        return await promise("number", Opaque)

    core = Core(sent={"number": b"1"})
    with pytest.raises(NotSerializable, match="Opaque"):
        await life(asking, core)

    assert core.ended is None
