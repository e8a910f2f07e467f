"""`runtara dev` as the README's reader uses it: from an empty folder, with nothing to export."""

import json
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.architecture.house import ROOT
from tests.environment.conftest import Here
from tests.support.server_process import environment

from runtara_persistence.memory import MemoryPersistence

pytestmark = pytest.mark.slow

README = (ROOT / "README.md").read_text()
QUICK = "from runtara_sdk import workflow\n\n@workflow\nasync def quick() -> str: return 'one'\n"
PATIENCE = 60


def readme(command: str) -> list[str]:
    """Give a command of the README that has these words, as it is there."""
    found = re.search(rf"^.*uv run (runtara {command}.*?)(?: +#.*)?$", README, re.MULTILINE)
    assert found is not None
    return shlex.split(found[1])[1:]


class Folder:
    """A folder with the README's workflow and a quick one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "examples").mkdir()
        (path / "examples/hello.py").write_text((ROOT / "examples/hello.py").read_text())
        (path / "quick.py").write_text(QUICK)
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "runtara_cli", *arguments],
            cwd=self.path,
            env=environment({}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *arguments: str) -> str:
        """Give a command; gives what it prints."""
        with self.begin(*arguments) as process:
            printed, told = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, told.decode()
        return printed.decode()

    def develop(self) -> None:
        """Start `runtara dev` as the README says, and wait until it has loaded the workflows."""
        with (self.path / "printed").open("wb") as printed:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "runtara_cli", *readme("dev"), "quick.py"],
                cwd=self.path,
                env=environment({}),
                stdout=printed,
                stderr=subprocess.STDOUT,
            )
        self.says("runtara start hello '\"JSON\"' --wait")
        self.says("Ctrl-C")

    def says(self, text: str) -> None:
        """Wait until `runtara dev` has printed something."""
        until(lambda: text in (self.path / "printed").read_text())

    def kill(self) -> None:
        """End `runtara dev` by SIGKILL."""
        assert self.process is not None
        with self.process as process:
            process.kill()

    def asked(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask the database of `runtara dev`."""
        with closing(sqlite3.connect(self.path / ".runtara/core.db", timeout=30)) as database:
            return database.execute(statement).fetchall()


def until(is_so: Callable[[], bool]) -> None:
    """Wait for something, asking again and again."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    one = Folder(tmp_path_factory.mktemp("project"))
    one.develop()
    try:
        yield one
    finally:
        assert one.process is not None
        with one.process as process:
            process.terminate()
        data_dir = one.path / ".runtara/environment"
        os.kill(Here(data_dir, MemoryPersistence()).spawner_pid(), signal.SIGKILL)
        assert one.process.returncode == 0


def test_new_instances_get_the_code_of_a_changed_file(folder: Folder) -> None:
    """One that can't be imported is said to be so, and the version before is kept."""
    file = folder.path / "quick.py"
    first = folder.run("start", "quick", "--wait")
    file.write_text(QUICK.replace("one", "two"))
    folder.says("quick version 2")
    second = folder.run("start", "quick", "--wait")
    file.write_text("x = = 1\n")
    folder.says("the previous version stays deployed")

    assert [first, second] == ['"one"\n', '"two"\n']
    assert "SyntaxError" in (folder.path / "printed").read_text()


def test_a_second_one_names_the_process_of_the_first(folder: Folder) -> None:
    assert folder.process is not None
    with folder.begin("dev", "quick.py") as second:
        _, told = second.communicate(timeout=PATIENCE)

    assert second.returncode == 1
    assert f"process {folder.process.pid} on " in told.decode()
    assert "other commands in this folder use them" in told.decode()


def test_the_readmes_instance_goes_on_whatever_is_killed(folder: Folder) -> None:
    """Its process and `runtara dev` itself; what was charged is not charged again."""
    with folder.begin(*readme("start")) as waiting:
        has_charged = "SELECT 1 FROM checkpoints WHERE checkpoint_id = 'charge#1'"
        until(lambda: bool(folder.asked(has_charged)))
        (handle,) = folder.asked("SELECT handle FROM launches WHERE closed_at IS NULL")[0]
        os.kill(json.loads(handle)["pid"], signal.SIGKILL)
        folder.run("start", "hello", '"order-18"', "--id", "order-18")
        printed, _ = waiting.communicate(timeout=PATIENCE)
    has_fetched = "SELECT 1 FROM checkpoints WHERE instance_id = 'order-18'"
    until(lambda: bool(folder.asked(has_fetched)))
    folder.kill()
    # What a crash leaves is sound: an environment that comes within minutes goes on with it.
    folder.run("audit", "--database-url", "sqlite:.runtara/core.db")
    (folder.path / "quick.py").write_text(QUICK)
    folder.develop()
    after = folder.run("wait", "order-18")
    folder.run("audit", "--database-url", "sqlite:.runtara/core.db")
    charged = folder.asked(
        "SELECT instance_id, count(*) FROM checkpoints WHERE checkpoint_id LIKE 'charge#_'"
        " GROUP BY 1 ORDER BY 1 = 'order-18'"
    )

    assert json.loads(printed) == [f"receipt for order-17/{number}" for number in range(3)]
    assert json.loads(after) == [f"receipt for order-18/{number}" for number in range(3)]
    assert [count for _, count in charged] == [3, 3]
