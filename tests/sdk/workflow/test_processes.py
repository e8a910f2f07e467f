"""Workflows as processes: killed, suspended, sent values, and run again."""

import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
from asyncio.subprocess import PIPE
from contextlib import closing

import pytest
from tests.sdk.workflow.launches import Launcher, ended
from tests.support.server_process import ServerProcess

from runtara_persistence import InstanceStatus, SignalType
from runtara_sdk.workflow.engine.start import START

pytestmark = pytest.mark.slow


async def test_a_killed_workflow_goes_on_with_the_step_it_was_at(launcher: Launcher) -> None:
    """No finished step runs again; the one under way does."""
    process = await launcher.start("counting", 3, PACE="0.3")
    await launcher.noted(3)
    process.kill()
    await ended(process)
    code, output, said = await launcher.run("counting", PACE="0")

    assert (code, output) == (0, '["<0>","<10>","<20>"]\n'), said
    assert await launcher.noted(7) == [
        "ten 0",
        "label 0",
        "ten 1",
        "ten 1",
        "label 10",
        "ten 2",
        "label 20",
    ]
    assert (await launcher.instance()).output == b'["<0>","<10>","<20>"]'


async def test_a_long_sleep_ends_the_process(launcher: Launcher) -> None:
    """It ends with 75; the instance is asleep until its time, and goes on in the next process."""
    first = await launcher.run("napping", 0.5)
    asleep = await launcher.instance()
    codes = [first[0]]
    while codes[-1] == 75:
        codes.append((await launcher.run("napping"))[0])

    assert first[0] == 75, first
    assert asleep.sleep_until is not None
    assert f"suspended: run it again at {asleep.sleep_until:%Y-%m-%d %H:%M}" in first[2]
    assert (asleep.status, asleep.sleep_until is not None) == (InstanceStatus.SUSPENDED, True)
    assert codes[-1] == 0
    assert await launcher.noted(2) == ["ten 1", "label 2"]


async def test_a_cancelled_sleeper_is_due_and_cleans_up(launcher: Launcher) -> None:
    """The clean-up is durable, and comes before the acknowledgement; the process ends with 130."""
    assert (await launcher.run("cleaning"))[0] == 75
    assert (await launcher.instance()).status is InstanceStatus.SUSPENDED
    await launcher.tell(SignalType.CANCEL)
    code, _, said = await launcher.run("cleaning")

    assert code == 130, said
    assert await launcher.noted(1) == ["label 0"]
    assert (await launcher.instance()).status is InstanceStatus.CANCELLED


async def test_a_promise_is_what_was_sent_first(launcher: Launcher) -> None:
    """The first value stands, whether it was sent before or while the workflow waits."""
    process = await launcher.start("asking", "approval")
    await launcher.until_known()
    await launcher.send("approval", b"4")
    await launcher.send("approval", b"5")

    assert (await ended(process))[:2] == (0, "40\n")


async def test_a_pause_stops_at_the_next_step_and_a_resume_goes_on(launcher: Launcher) -> None:
    """The step under way ends; the process too, with 75."""
    process = await launcher.start("counting", 3, PACE="0.5")
    await launcher.noted(1)
    await launcher.tell(SignalType.PAUSE)
    code, _, said = await ended(process)
    paused = await launcher.instance()
    await launcher.tell(SignalType.RESUME)

    assert code == 75, said
    assert "suspended: it is paused" in said
    assert (paused.status, paused.sleep_until) == (InstanceStatus.SUSPENDED, None)
    assert await launcher.noted(1) == ["ten 0"]
    assert (await launcher.run("counting"))[0] == 0


async def test_a_superseded_process_exits_at_once(launcher: Launcher) -> None:
    """It ends with 3, though a step of it is under way."""
    first = await launcher.start("counting", 2, PACE="20")
    await launcher.noted(1)
    second = await launcher.start("counting", PACE="0")

    assert (await ended(second))[0] == 0
    assert (await ended(first))[0] == 3


async def test_branches_go_on_after_a_kill(launcher: Launcher) -> None:
    """Each branch goes on with its own steps."""
    process = await launcher.start("fanning", 4, PACE="0.2")
    await launcher.noted(4)
    process.kill()
    await ended(process)
    code, output, said = await launcher.run("fanning", PACE="0")

    assert (code, output) == (0, '["<0>","<10>","<20>","<30>"]\n'), said


async def test_a_blocked_loop_is_named_with_its_stack(launcher: Launcher) -> None:
    """The log has the frames of user code alone, and the run goes on."""
    code, output, said = await launcher.run("blocking")

    assert (code, output) == (0, "10\n")
    assert "blocked for a second" in said
    assert "time.sleep(1.6)" in said
    assert said.count('File "') == 1


async def test_an_agent_that_restarts_itself_runs_on(launcher: Launcher) -> None:
    """Its instances run one after the other in one process."""
    code, output, said = await launcher.run("agent", 1)

    assert (code, output) == (0, "3\n"), said
    first = await launcher.instance()
    assert first.output == f'{{"restarted_as": "{launcher.instance_id}~2"}}'.encode()
    assert (await launcher.instance("~3")).output == b"3"


async def test_a_failure_is_printed_with_the_frames_of_user_code(launcher: Launcher) -> None:
    """The process ends with 1."""
    code, _, said = await launcher.run("broken", 1)
    error = (await launcher.instance()).error

    assert code == 1
    assert error is not None
    assert error.startswith("ZeroDivisionError: ")
    assert "process_workflows.py" in error
    assert "runtara_sdk/workflow" not in error
    assert error in said


async def test_a_process_that_is_to_end_lets_its_step_end(launcher: Launcher) -> None:
    """After SIGTERM what came of it is saved, no other step begins, and the process ends with 4."""
    process = await launcher.start("counting", 1, PACE="0.5")
    await launcher.noted(1)
    process.terminate()
    code, _, said = await ended(process)
    left = await launcher.noted(1)
    again = await launcher.run("counting", 1)

    assert (code, "run the instance again" in said) == (4, True)
    assert left == ["ten 0"]
    assert again[:2] == (0, '["<0>"]\n')
    assert await launcher.noted(2) == ["ten 0", "label 0"]


async def test_an_interrupted_process_can_be_run_again(launcher: Launcher) -> None:
    """It ends with 4, and the instance has not failed."""
    process = await launcher.start("counting", 1, PACE="20")
    await launcher.noted(1)
    process.send_signal(signal.SIGINT)
    code, _, said = await ended(process)

    assert (code, "run the instance again" in said) == (4, True)
    assert (await launcher.instance()).status is InstanceStatus.RUNNING


async def test_an_interrupt_runs_no_clean_up(launcher: Launcher) -> None:
    """A second signal ends even a process whose loop is blocked, and nothing is unwound."""
    process = await launcher.start("blocked_with_clean_up")
    await launcher.noted(1)
    while process.returncode is None:
        process.send_signal(signal.SIGINT)
        await asyncio.wait([asyncio.create_task(process.wait())], timeout=0.1)
    code, _, said = await ended(process)

    assert (code, "run the instance again" in said) == (4, True)
    assert await launcher.noted(1) == ["blocked"]


async def test_a_process_that_a_step_forks_can_be_terminated(launcher: Launcher) -> None:
    """The handlers of the run's process are not those of the forked one."""
    assert (await launcher.run("forking"))[:2] == (0, "-15\n")


async def test_the_result_is_the_last_line_of_the_output(launcher: Launcher) -> None:
    assert (await launcher.run("printing", "first", PYTHONUNBUFFERED=""))[:2] == (
        0,
        'first\n"the result"\n',
    )


async def test_what_was_printed_before_a_kill_is_in_the_output(launcher: Launcher) -> None:
    """A log shows each line at once, as a terminal does."""
    ended = await launcher.run("printing_until_killed", "first", PYTHONUNBUFFERED="")

    assert ended[:2] == (-9, "first\n")


async def test_an_unread_output_changes_no_exit_code(launcher: Launcher) -> None:
    """The instance is done, and the exit code says so to a launcher."""
    reader, writer = os.pipe()
    os.close(reader)
    launcher.output = writer
    code, _, said = await launcher.run("printing", "first", PYTHONUNBUFFERED="")
    os.close(writer)

    assert code == 0, said


async def test_what_cannot_be_asked_for_is_a_matter_of_usage(launcher: Launcher) -> None:
    """The command ends with 64 and says what to do; the instance stays as it is."""
    assert (await launcher.run("counting", 1))[0] == 0
    no_address = await launcher.run("counting", None, RUNTARA_SERVER_ADDR="x")
    another = await launcher.run("counting", None, RUNTARA_TENANT_ID="t-2")
    no_tenant = await launcher.run("counting", None, RUNTARA_TENANT_ID="")

    assert (no_address[0], "RUNTARA_SERVER_ADDR" in no_address[2]) == (64, True)
    assert (another[0], "give its --tenant-id or RUNTARA_TENANT_ID" in another[2]) == (64, True)
    assert (no_tenant[0], "--tenant-id may be given instead" in no_tenant[2]) == (64, True)


async def test_a_command_line_that_is_none_is_a_matter_of_usage() -> None:
    """The command ends with 64, and never with argparse's 2."""
    for arguments in ([], ["run"], ["run", "x:y", "--nothing"], ["run", "x:y", "--input", "none"]):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "runtara_sdk", *arguments), stdout=PIPE, stderr=PIPE
        )
        code, _, said = await ended(process)

        # Of the last the module is looked for first.
        assert code == (64 if arguments[-1:] != ["none"] else 78), said


async def test_an_input_that_does_not_fit_fails_the_instance(launcher: Launcher) -> None:
    """The process ends with 65, and the database has what is wrong with the input."""
    code, _, said = await launcher.run("napping", ["a day"])
    again = await launcher.run("napping")

    instance = await launcher.instance()
    assert code == 65, said
    assert "InputRefused: the input does not fit workflow 'napping'" in said
    assert instance.status is InstanceStatus.FAILED
    assert instance.error is not None
    assert "the input does not fit workflow 'napping'" in instance.error
    assert (again[0], "the input does not fit" in again[2]) == (1, True)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("nothing", "the module has no 'nothing'"),
        ("missing_workflows:nothing", "there is no module"),
        ("agent", "is one of workflow 'cleaning', not of 'agent'"),
    ],
)
async def test_code_that_is_not_the_instances_blocks_it(
    launcher: Launcher, target: str, reason: str
) -> None:
    """The process ends with 78, the database has the reason, and code that fits goes on."""
    assert (await launcher.run("cleaning"))[0] == 75

    code, _, said = await launcher.run(target)
    blocked = await launcher.instance()
    goes_on = await launcher.run("cleaning")

    assert (code, reason in said) == (78, True), said
    assert (blocked.status, blocked.sleep_until) == (InstanceStatus.SUSPENDED, None)
    assert blocked.error is not None
    assert reason in blocked.error
    assert goes_on[0] == 75
    assert (await launcher.instance()).error is None


async def test_code_that_is_not_there_makes_no_instance(
    launcher: Launcher, shared_server: ServerProcess
) -> None:
    """An instance that the core does not know can't be blocked."""

    def instances() -> set[tuple[str]]:
        with closing(sqlite3.connect(shared_server.folder / "core.db")) as database:
            return set(database.execute("SELECT instance_id FROM instances"))

    before = instances()
    code, _, said = await launcher.run("nothing")

    assert (code, instances()) == (78, before), said


@pytest.mark.parametrize(("workflow", "frame"), [("leaving", "sys.exit(3)"), ("interrupting", "")])
async def test_code_that_ends_the_process_blocks_the_instance(
    launcher: Launcher, workflow: str, frame: str
) -> None:
    """
    The process ends with 78 and says what to do, whatever code it asked for; nothing is
    unwound.
    """
    code, _, said = await launcher.run(workflow)

    assert code == 78
    assert "\nthe workflow's code has ended the process: return" in said
    assert frame in said
    assert said.count('File "') == 1
    assert await launcher.noted(0) == []
    instance = await launcher.instance()
    assert (instance.status, instance.sleep_until) == (InstanceStatus.SUSPENDED, None)


async def test_an_unexpected_error_is_no_failure_of_the_instance(
    launcher: Launcher, shared_server: ServerProcess
) -> None:
    """After an exit code of 1 a launcher would never run it again."""
    assert (await launcher.run("cleaning"))[0] == 75
    with closing(sqlite3.connect(shared_server.folder / "core.db")) as database, database:
        database.execute(
            "UPDATE checkpoints SET state = ? WHERE instance_id = ? AND checkpoint_id = ?",
            (b'{"kind": "start", "value": {}}', launcher.instance_id, START),
        )
    code, _, said = await launcher.run("cleaning")

    assert (code, "please report it; the instance has not ended" in said) == (4, True)
    assert "KeyError: 'format'" in said


async def test_a_saga_killed_at_random_books_and_undoes_once(launcher: Launcher) -> None:
    """This holds whenever its processes die; effects that a crash left open are asked about."""
    chance = random.Random(17)
    codes: list[int] = []
    while codes[-1:] != [0]:
        process = await launcher.start("trip", ["Oslo", "Bergen", "Narvik", "Alta"])
        # Before, between and behind all that it does; imports alone take half a second.
        killing = asyncio.get_running_loop().call_later(
            0.3 + 0.5 * chance.random(), process.kill if len(codes) < 8 else int
        )
        code, output, said = await ended(process)
        killing.cancel()
        codes.append(code)
        assert code in (0, 75, -9), said

    notes = await launcher.noted(0)
    assert -9 in codes
    booked = [line.split()[2] for line in notes if "booked" in line.split()[1]]
    undone = [line.split()[2] for line in notes if "undone" in line.split()[1]]
    assert sorted(booked) == sorted(undone) == ["Alta", "Bergen", "Narvik", "Oslo"], notes
    assert [one.split()[0] for one in json.loads(output)] == undone
