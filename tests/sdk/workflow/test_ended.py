"""Running an instance that has ended: it gives the same ending, and none of its code runs."""

import signal

import pytest
from tests.sdk.workflow.launches import Launcher, ended
from tests.sdk.workflow.memory_store import Core, life
from tests.sdk.workflow.probe import probe

from runtara_persistence import SignalType
from runtara_sdk import Ended, Incompatible, Outcome, continue_as_new, step, workflow

pytestmark = pytest.mark.slow


@step
async def note(text: str) -> str:
    probe.seen.append(text)
    return text


@workflow(name="noting")
async def noting(text: str) -> str:
    return await note(text)


@workflow(name="other")
async def other(text: str) -> str:
    return await note(text)


@workflow
async def agent(turn: int) -> None:
    await note(str(turn))
    await continue_as_new(turn + 1)


@pytest.mark.parametrize(
    "end",
    [
        Ended(Outcome.DONE, b'"done"'),
        Ended(Outcome.FAILED, error="ValueError: no"),
        Ended(Outcome.CANCELLED, error="by an operator"),
    ],
    ids=lambda end: end.outcome,
)
@pytest.mark.parametrize("given", [None, b'"one"'])
async def test_what_has_ended_is_not_run(end: Ended, given: bytes | None) -> None:
    """This holds however it ended, and its input may be given once more."""
    core = Core()
    await life(noting, core, b'"one"')
    core.ended = end

    again = await life(noting, core, given)

    assert (again, probe.seen) == (end, ["one"])


async def test_what_has_ended_reports_nothing_to_others() -> None:
    """Another input or workflow under its id is refused, as while it was open."""
    core = Core()
    await life(noting, core, b'"one"')

    with pytest.raises(Incompatible, match='was started with input "one", not with "two"'):
        await life(noting, core, b'"two"')
    with pytest.raises(Incompatible, match="is one of workflow 'noting', not of 'other'"):
        await life(other, core)
    assert probe.seen == ["one"]


async def test_what_ended_before_its_first_start_says_how() -> None:
    """There is nothing to compare it with."""
    end = Ended(Outcome.CANCELLED)

    assert await life(noting, Core(ended=end)) == end


async def test_what_has_restarted_names_its_successor_again() -> None:
    """A workflow's own output that names an instance stays an output."""
    core = Core()
    first = await life(agent, core, b"1")

    again = await life(agent, core)
    core.ended = Ended(Outcome.DONE, b'{"restarted_as": "i-1~3"}')
    returned = await life(agent, core)

    assert again == first
    assert again is not None
    assert (again.outcome, again.successor) == (Outcome.RESTARTED, "i-1~2")
    assert returned == core.ended


async def test_a_run_of_what_is_done_prints_its_output(launcher: Launcher) -> None:
    """It ends with 0, so a launcher need not know that the instance has ended."""
    first = await launcher.run("counting", 1)
    again = await launcher.run("counting", 1)
    another = await launcher.run("counting", 2)

    assert (first[:2], again[:2]) == ((0, '["<0>"]\n'), (0, '["<0>"]\n'))
    assert f"instance '{launcher.instance_id}' has ended already (done)" in again[2]
    assert (another[0], "was started with input 1, not with 2" in another[2]) == (64, True)
    assert await launcher.noted(2) == ["ten 0", "label 0"]


async def test_a_run_of_what_has_failed_gives_its_error(launcher: Launcher) -> None:
    """It ends with 1."""
    assert (await launcher.run("broken", 1))[0] == 1
    code, output, said = await launcher.run("broken")

    assert (code, output, "ZeroDivisionError: " in said) == (1, "", True)
    assert await launcher.noted(1) == ["ten 1"]


async def test_a_run_of_what_is_cancelled_ends_as_that(launcher: Launcher) -> None:
    """Its clean-up was its last code to run."""
    assert (await launcher.run("cleaning"))[0] == 75
    await launcher.tell(SignalType.CANCEL)

    codes = [(await launcher.run("cleaning"))[0] for _ in range(2)]

    assert codes == [130, 130]
    assert await launcher.noted(1) == ["label 0"]


async def test_what_is_ended_from_outside_ends_so(launcher: Launcher) -> None:
    """The run ends as soon as its process calls the core."""
    process = await launcher.start("counting", 2, PACE="1")
    await launcher.noted(1)
    await launcher.terminate("stopped by an operator")
    code, _, said = await ended(process)

    assert (code, "stopped by an operator" in said) == (130, True), said
    assert await launcher.noted(1) == ["ten 0"]


async def test_the_same_line_goes_on_with_the_successor(launcher: Launcher) -> None:
    """This holds after a kill in any of the instances, and when all have ended."""
    process = await launcher.start("agent", 1, PACE="1")
    await launcher.noted(2)
    process.kill()
    killed = await ended(process)
    codes = [await launcher.run("agent", 1, PACE="0") for _ in range(2)]

    assert killed[0] == -signal.SIGKILL
    assert [code[:2] for code in codes] == [(0, "3\n"), (0, "3\n")], codes
    assert f"'{launcher.instance_id}' goes on as '{launcher.instance_id}~2'" in codes[0][2]
    assert await launcher.noted(4) == ["ten 1", "ten 2", "ten 2", "ten 3"]
