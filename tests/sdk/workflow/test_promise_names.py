"""A promise's name counts the values that came and the waits still open, not those given up."""

import asyncio
import json
import re

import pytest
from tests.sdk.workflow.launches import ROOT
from tests.sdk.workflow.memory_store import Core, life, lives

from runtara_sdk import Ended, Outcome, SignalType, promise, race, sleep, timeout, workflow


@workflow(suspend_after="10s")
async def in_rounds(count: int) -> list[str]:
    found = []
    for _ in range(count):
        try:
            async with timeout("0.05s"):
                found.append(await promise("done", str))
        except TimeoutError:
            found.append("-")
    return found


def signals(core: Core, prefix: str = "promise:") -> dict[str, str]:
    """What is saved of the promises' names, by key."""
    return {
        key: json.loads(state)["signal"]
        for key, state in core.states.items()
        if key.rpartition("/")[2].startswith(prefix)
    }


async def test_a_wait_that_is_given_up_is_for_the_same_name_again() -> None:
    """A value sent to the name after three rounds is received in the fourth, on every replay."""
    core = Core(clock_runs=True)
    running = asyncio.create_task(life(in_rounds, core, b"5"))
    # A dictionary has no event.
    while "promise:done#3" not in core.states:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await core.send("done", b'"yes"')
    ended = await running
    assert ended is not None
    found = json.loads(ended.output)
    core.ended = None

    assert found.count("yes") == 1
    assert found.index("yes") in (3, 4)
    assert set(signals(core).values()) <= {"done", "done#2"}
    assert list(signals(core).values())[:3] == ["done"] * 3
    assert await life(in_rounds, core) == ended


async def test_a_value_that_came_between_two_rounds_is_heard_in_the_next() -> None:
    """The value stands, so the next wait receives it."""
    core = Core(clock_runs=True)
    first = asyncio.create_task(life(in_rounds, core, b"1"))
    assert (await first) == Ended(Outcome.DONE, b'["-"]')
    core.ended = None
    core.states["~workflow"] = core.states["~workflow"].replace(b'"input": 1', b'"input": 2')
    await core.send("done", b'"yes"')

    assert await life(in_rounds, core) == Ended(Outcome.DONE, b'["-","yes"]')


async def test_waits_at_once_and_after_values_have_names_of_their_own() -> None:
    """Each gets the lowest number that none of the others has."""

    @workflow
    async def asking() -> list[str]:
        both = await asyncio.gather(promise("a", str), promise("a", str))
        return [*both, await promise("a", str), await promise("b/c", str)]

    values = {"a": b'"1"', "a#2": b'"2"', "a#3": b'"3"', "b%2Fc": b'"4"'}
    core = Core(sent=values)

    assert await life(asking, core) == Ended(Outcome.DONE, b'["1","2","3","4"]')
    assert sorted(signals(core).values()) == sorted(values)


async def test_the_loser_of_a_race_is_waited_for_again() -> None:
    """The next race waits for it under the same name."""

    @workflow(suspend_after="0s")
    async def racing() -> list[str]:
        return [
            (await race(said=promise("word", str), late=sleep("1h")))[0],
            (await race(said=promise("word", str), late=sleep("1d")))[0],
        ]

    core = Core()
    await life(racing, core)
    core.now = core.wake or core.now
    await life(racing, core)
    await core.send("word", b'"x"')

    assert await lives(racing, core) == Ended(Outcome.DONE, b'["late","said"]')
    assert list(signals(core).values()) == ["word", "word"]


async def test_records_of_before_count_as_they_did() -> None:
    """Each wait had a name of its own then, whether or not a value came."""
    core = Core(clock_runs=True, sent={"done": b'"lost"', "done#3": b'"yes"'})
    begun = {"workflow": "in_rounds", "format": 1, "input": 4}
    core.states["~workflow"] = json.dumps({"kind": "start", "value": begun}).encode()
    for number in (1, 2):
        at, deadline = 2 * number - 1, f"2026-01-01T00:00:0{number}+00:00"
        until = {"kind": "until", "at": at, "value": deadline}
        cancelled = {"kind": "struck", "at": at + 1, "value": f"timeout#{number}"}
        core.states[f"timeout#{number}"] = json.dumps(until).encode()
        core.states[f"promise:done#{number}"] = json.dumps(cancelled).encode()

    assert await life(in_rounds, core) == Ended(Outcome.DONE, b'["-","-","yes","-"]')
    assert json.loads(core.states["promise:done#3"])["signal"] == "done#3"
    assert json.loads(core.states["promise:done#4"])["signal"] == "done#4"


async def test_a_cancelled_wait_says_its_name() -> None:
    """Its record has the name, as that of a received value does."""

    @workflow(suspend_after="10s")
    async def asking() -> str:
        return await promise("word", str)

    core = Core(told=SignalType.CANCEL)

    assert await life(asking, core) == Ended(Outcome.CANCELLED)
    assert signals(core) == {"promise:word#1": "word"}


@pytest.fixture
def page() -> str:
    """Give the SDK's README, each paragraph as one line."""
    return " ".join((ROOT / "packages/runtara-sdk/README.md").read_text().split())


async def test_the_races_signal_is_called_as_the_readme_says(page: str) -> None:
    """A value sent to the name in the page is received by the race in the page."""
    found = re.search(r"`(first, value = await race\(.*?\))` saves", page)
    named = re.search(r"`([^`]+)` in the race above", page)
    assert found is not None
    assert named is not None
    names: dict[str, object] = {"promise": promise, "race": race, "sleep": sleep, "Decision": bool}
    exec(f"async def racing():\n    {found[1]}\n    return first", names)
    racing = names["racing"]
    assert callable(racing)
    core = Core(sent={named[1]: b"true"})

    assert await life(workflow(racing), core) == Ended(Outcome.DONE, b'"approved"')
