"""What a process does before it is known which instance it runs."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from tests.sdk.workflow.launches import PATIENCE, ROOT, launching

from runtara_persistence import InstanceStatus

PROGRAM = """
import asyncio, atexit, os, sys
from runtara_protocol.quic import client
from runtara_sdk.workflow.process import ahead
from runtara_sdk.workflow.process.command import main

variables = dict(os.environ)
ahead.prepare({name: os.environ[name] for name in os.environ if name.startswith("RUNTARA_S")})
[runner] = ahead._runners
atexit.register(lambda: print("left", len(client._prepared), len(ahead._runners)))
os.environ.clear()
os.environ.update(variables)
os.environ.update(item.split("=") for item in sys.argv[1:])
main(["run", "tests.sdk.workflow.test_ahead:greet", "--instance-id", "i-1"])
"""


if __name__ != "__main__":
    from runtara_sdk import workflow

    @workflow
    async def greet() -> str:
        return "hello"


@pytest.mark.parametrize(
    ("variable", "left"),
    [("A=b", "left 0 0"), ("RUNTARA_SERVER_NAME=other", "left 1 0"), ("PYTHONASYNCIODEBUG=1", "")],
)
async def test_a_run_goes_on_with_what_was_prepared(
    tmp_path: Path, variable: str, left: str
) -> None:
    """With another core it opens a connection of its own; a loop to debug is made anew."""
    async with launching(tmp_path) as launcher:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, variable),
            cwd=ROOT,
            stdout=PIPE,
            stderr=PIPE,
            env=launcher.environment(),
        )
        async with asyncio.timeout(PATIENCE):
            output, errors = await process.communicate()
        assert process.returncode == 0, errors
        assert (await launcher.instance()).status is InstanceStatus.COMPLETED
    assert left in output.decode()
    # What is said once a process is said in the run, not before it.
    assert b"any server that answers" in errors


def test_what_fails_ahead_fails_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """For example without a usable address: the run reports that."""
    from runtara_sdk.workflow.process import ahead

    monkeypatch.setenv("RUNTARA_SERVER_ADDR", "")
    ahead.prepare({"RUNTARA_SERVER_ADDR": "nowhere"})

    with ahead.runner() as runner:
        assert runner.run(asyncio.sleep(0, "ran")) == "ran"
    assert not ahead._runners
