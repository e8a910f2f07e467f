"""The end of a run's process: an ended one's is that of any Python program."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sdk.workflow.launches import PATIENCE, ROOT, Launcher, ended

from runtara_persistence import InstanceStatus

pytestmark = pytest.mark.slow

LATER = {"HANDLERS": "run_a_loop,reuse_a_loop,fail,leave"}


@pytest.mark.parametrize(("ending", "code"), [("done", 0), ("failed", 1)])
async def test_an_ended_run_ends_as_any_program(
    launcher: Launcher, tmp_path: Path, ending: str, code: int
) -> None:
    """Tasks are cancelled, threads awaited, handlers called, files flushed; the code stays."""
    result = await launcher.run("leaving_workflows:tidy", ending, **LATER)

    assert result[0] == code, result[2]
    notes = await launcher.noted(0)
    # When its frame is freed; an error keeps it.
    notes.remove("unwound")
    assert notes[0] == "over False False"
    assert sorted(notes[1:3]) == ["thread", "ticker"]
    assert notes[3:] == ["leaves", "fails", "no loop", "ran a loop", "at exit", "spans ['one']"]
    assert (tmp_path / "buffered").read_text() == "in the buffer"
    assert "a handler has failed" in result[2]


@pytest.mark.parametrize(("ending", "code"), [("suspended", 75), ("refused", 78)])
async def test_a_run_that_goes_on_elsewhere_calls_its_handlers(
    launcher: Launcher, ending: str, code: int
) -> None:
    """No frame of user code is unwound, and no thread awaited."""
    result = await launcher.run("leaving_workflows:tidy", ending, **LATER)

    assert result[0] == code, result[2]
    notes = [line for line in await launcher.noted(0) if line != "thread"]
    assert notes == ["leaves", "fails", "no loop", "ran a loop", "at exit", "spans ['one']"]


async def test_a_superseded_run_calls_no_handlers(launcher: Launcher) -> None:
    """Another process is at work already."""
    first = await launcher.start("leaving_workflows:tidy", "superseded", **LATER)
    await launcher.noted(2)
    second = await launcher.start("leaving_workflows:tidy")
    code, _, said = await ended(first)
    second.kill()
    await ended(second)

    assert code == 3, said
    notes = await launcher.noted(0)
    assert "at exit" not in notes
    assert "leaves" not in notes


async def test_a_handler_that_hangs_holds_a_suspended_run_for_ten_seconds(
    launcher: Launcher,
) -> None:
    """Then its process ends, with the code that it has."""
    code, _, said = await launcher.run("leaving_workflows:tidy", "suspended", HANDLERS="hang")

    assert code == 75
    assert "the atexit handlers have taken 10 s" in said
    assert [line for line in await launcher.noted(0) if line != "thread"] == ["hangs"]


async def test_a_signal_ends_what_hangs_at_the_end_with_the_runs_own_code(
    launcher: Launcher,
) -> None:
    """The instance has ended: nothing is to be run again."""
    process = await launcher.start("leaving_workflows:tidy", "done", HANDLERS="hang")
    assert (await launcher.noted(5))[-1] == "hangs"
    process.terminate()
    code, _, said = await ended(process)

    assert code == 0
    assert "run the instance again" not in said


async def test_the_result_comes_after_what_handlers_say(launcher: Launcher) -> None:
    """A launcher may read the last line."""
    code, output, _ = await launcher.run("leaving_workflows:tidy", "done", HANDLERS="say")

    assert code == 0
    assert output.splitlines()[0] == "said by a handler"
    assert output.splitlines()[-1].endswith('buffered"')


async def test_clean_up_that_asks_for_something_durable_holds_no_ended_run(
    launcher: Launcher,
) -> None:
    """Such clean-up blocks at its durable call, and the process ends all the same."""
    code, _, said = await launcher.run("leaving_workflows:untidy")

    assert code == 0, said


async def test_a_forked_process_ends_where_its_step_does(launcher: Launcher) -> None:
    """It ends as a program of its own would, and the run goes on unharmed."""
    hows = ["exit", "text", "raise", "_exit", "return", "await"]
    code, output, said = await launcher.run("leaving_workflows:forking", hows)

    assert code == 0, said
    assert json.loads(output) == [7, 7, 1, 1, 1, 1, 9, 9, 0, 0, 0, 1]
    assert (await launcher.instance()).output == output.strip().encode()


async def test_a_process_forked_between_steps_is_no_run(launcher: Launcher) -> None:
    """It ends, and neither saves nor ends anything."""
    code, output, said = await launcher.run(
        "leaving_workflows:forking_between", ["exit", "_exit", "raise"]
    )

    assert (code, json.loads(output)[:2]) == (0, [7, 9]), said
    assert (await launcher.instance()).status is InstanceStatus.COMPLETED


@pytest.mark.parametrize(
    ("kind", "numbers", "is_unbuffered"),
    [("pipe", (1, 2), ""), ("pipe", (1, 2), "1"), ("pipe", (1,), ""), ("disk", (1, 2), "")],
)
async def test_unread_outputs_harm_no_run(
    launcher: Launcher, kind: str, numbers: tuple[int, ...], is_unbuffered: str
) -> None:
    """What is printed to a broken pipe or a full disk is dropped; instance and exit code stay."""
    output = _broken_pipe() if kind == "pipe" else os.open("/dev/full", os.O_WRONLY)

    def replace() -> None:
        for number in numbers:
            os.dup2(output, number)

    code = await _run(launcher, "aloud", replace, is_unbuffered)
    os.close(output)

    instance = await launcher.instance()
    assert (code, instance.error, instance.output) == (0, None, b"17")


@pytest.mark.parametrize("numbers", [(0, 1, 2), (1,), (2,)])
async def test_outputs_that_are_closed_harm_no_run(
    launcher: Launcher, numbers: tuple[int, ...]
) -> None:
    """No file or connection gets the number that others write to."""

    def close() -> None:
        for number in numbers:
            os.close(number)

    code = await _run(launcher, "opening", close)

    instance = await launcher.instance()
    assert (code, instance.error, instance.output) == (0, None, b'"17"')


def _broken_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


async def _run(
    launcher: Launcher, workflow: str, prepare: Callable[[], None], is_unbuffered: str = ""
) -> int:
    target = f"tests.sdk.workflow.leaving_workflows:{workflow}"
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "runtara_sdk",
            "run",
            target,
            "--instance-id",
            launcher.instance_id,
        ),
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=launcher.environment(PYTHONUNBUFFERED=is_unbuffered),
        preexec_fn=prepare,
    )
    async with asyncio.timeout(PATIENCE):
        return await process.wait()


FORKED = """
import asyncio, ctypes, os, sys
from importlib import import_module
import_module("runtara_sdk.workflow.process.preloaded")
leaving = import_module("runtara_sdk.workflow.process.leaving")
assert len(os.listdir("/proc/self/task")) == 1
c = ctypes.CDLL(None)
note = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: os.write(1, b"its handler\\n") and None)
if os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
c.puts(b"in a buffer of C's")
if sys.argv[1] == "extended":
    ctypes.CDLL(sys.argv[2])
if sys.argv[1] != "plain":
    c.__cxa_atexit(note, None, None)
leaving.Door().leave(leaving.Leave(7, leaving.Manner.WHOLE))
"""


def library() -> str:
    """A library that Python finds, and that nothing here has loaded."""
    return str(next(Path(sys.base_prefix, "lib").rglob("lib-dynload/_test*.so")))


@pytest.mark.parametrize("kind", ["plain", "extended", "preloaded"])
def test_a_forked_run_ends_as_a_program_of_c_where_it_has_loaded_libraries(kind: str) -> None:
    """
    Their handlers are called; without them C's buffers are all there is to be flushed.

    What LD_PRELOAD names is loaded for its handlers, before all else.
    """
    command = [sys.executable, "-c", FORKED, kind, library()]
    more = {"LD_PRELOAD": "libc.so.6"} if kind == "preloaded" else {}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, **more},
    )

    assert done.returncode == 7, done.stderr
    handled = [] if kind == "plain" else ["its handler"]
    assert sorted(done.stdout.splitlines()) == ["in a buffer of C's", *handled]


RELOADED = """
import importlib, sys
from runtara_sdk.workflow.process import leaving
import colorsys
assert next(reversed(sys.modules)) == "colorsys"
leaving.spare()
import users
importlib.reload(colorsys)
assert next(reversed(sys.modules)) == "colorsys"
leaving.Door().leave(leaving.Leave(7, leaving.Manner.WHOLE))
"""


def test_a_library_that_is_reloaded_keeps_no_file_from_being_flushed(tmp_path: Path) -> None:
    """It was imported last before user code, and comes after it now."""
    code = "kept = open('buffered', 'w')\nkept.write('in the buffer')\n"
    (tmp_path / "users.py").write_text(code)
    command = [sys.executable, "-c", RELOADED]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False
    )

    assert done.returncode == 7, done.stderr
    assert (tmp_path / "buffered").read_text() == "in the buffer"
