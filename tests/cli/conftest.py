"""An environment to give commands to: a process of its own, on SQLite, in a folder of its own."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.environment.conftest import Here
from tests.support.server_process import environment

from runtara_cli.cli import runtara
from runtara_persistence.memory import MemoryPersistence

PATIENCE = "60s"

SHOP = """
from runtara_sdk import Retry, promise, step, timeout, workflow

@step
async def fetch(order: str) -> list[str]:
    print("fetching", order, flush=True)
    return [f"{order}/1", f"{order}/2"]

@step(retry=Retry(attempts=2, on=OSError, wait="1ms"))
async def charge(item: str) -> str:
    print("charging", item, flush=True)
    raise OSError("the bank is closed")

@workflow
async def fulfil(order: str) -> list[str]:
    return await fetch(order)

@workflow
async def pay(order: str) -> str:
    return await charge(order)

@workflow(name="approval", suspend_after="10ms")
async def approve(order: str) -> str:
    async with timeout("7d"):
        approved = await promise("approved", bool)
    await fetch(order)
    return "paid" if approved else "refused"
"""


@dataclass(frozen=True)
class Location:
    """A folder in which commands are given, and what an environment there is known by."""

    folder: Path
    variables: dict[str, str]

    def run(self, *arguments: str, stdin: str = "") -> Result:
        """Give a command, as in a pipe."""
        names = {name: None for name in os.environ if name.startswith("RUNTARA_")}
        return CliRunner().invoke(
            runtara, list(arguments), input=stdin, env=names | dict(self.variables)
        )

    def done(self, *arguments: str, stdin: str = "") -> str:
        """Give a command that succeeds; gives what it has printed."""
        result = self.run(*arguments, stdin=stdin)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *arguments: str) -> list[dict[str, Any]]:
        """Give a command with --json; gives its results."""
        return [json.loads(line) for line in self.done(*arguments, "--json").splitlines()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Location]:
    """An environment with the workflows of SHOP, which are in `shop.py`."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "shop.py").write_text(SHOP)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "runtara_environment", "--dev"],
            cwd=folder,
            env=environment({"RUNTARA_CORE_ADDR": "127.0.0.1:0", "RUNTARA_ENV_QUIC_PORT": "0"}),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        variables = {}
        for line in process.stdout:
            if export := re.match(r"export (\w+)=(.*)", line):
                variables[export[1]] = export[2]
            if "RUNTARA_TENANT_ID" in variables:
                break
        one = Location(folder, variables)
        one.done("deploy", str(folder / "shop.py"))
        yield one
    finally:
        process.terminate()
        with process:
            process.wait(60)
        os.kill(
            Here(folder / ".runtara/environment", MemoryPersistence()).spawner_pid(),
            signal.SIGKILL,
        )
