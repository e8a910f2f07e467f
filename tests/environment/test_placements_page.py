"""The page of placements: what it has readers type makes a cluster of two machines."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.environment.test_ray_two_machines import database
from tests.support.machines import HERE, THERE, OtherMachine, other_machine

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/placements.md").read_text()
BLOCKS = re.findall(r"^```(?:sh|python)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]


class Reader:
    """Types the page's blocks; all it starts ends with it."""

    def __init__(self, folder: Path, there: OtherMachine, url: str) -> None:
        self._folder, self._there = folder, there
        self._mark = f"RUNTARA_PAGE_READER={os.getpid()}"
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RUNTARA_", "COVERAGE_")) and name != "PYTHONDONTWRITEBYTECODE"
        }
        self._variables = {
            **kept,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "RUNTARA_DATABASE_URL": url,
            "RUNTARA_RAY_DATA_DIR": str(folder / "nodes"),
            # Port 8002 may be another test's.
            "RUNTARA_ENV_QUIC_PORT": "8317",
            "RUNTARA_ENVIRONMENT_ADDR": "127.0.0.1:8317",
            **dict([self._mark.split("=")]),
        }

    def type(self, *blocks: str, there: bool = False) -> None:
        """Have a shell run these on a machine; returns when it has."""
        argv = ["bash", "-e", "-c", "\n".join(blocks)]
        with (self._folder / "typed.log").open("ab") as log:
            subprocess.run(
                self._there.command(*argv) if there else argv,
                cwd=self._folder,
                env=self._variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=True,
                start_new_session=True,
            )

    def python(self, program: str) -> str:
        """Run a program; gives what it prints."""
        return subprocess.run(
            [sys.executable, "-c", program],
            env=self._variables,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def said(self) -> str:
        """Give all that the shells' programs have said."""
        return (self._folder / "typed.log").read_text()

    def end(self) -> None:
        """Kill what was started."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if self._mark.encode() in (entry / "environ").read_bytes():
                        os.kill(int(entry.name), signal.SIGKILL)
                except OSError:
                    continue


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    with ExitStack() as stack:
        there = stack.enter_context(other_machine())
        reader = Reader(tmp_path, there, stack.enter_context(database()))
        stack.callback(reader.end)
        yield reader


def test_the_walk_through_runs_on_both_machines(reader: Reader) -> None:
    """It prints where each of its workflows has run."""
    token, head, node, programs, flow = BLOCKS
    reader.type(token, head)
    reader.type(token, node, there=True)
    reader.type(token, programs)
    until = time.monotonic() + 60
    while '"runtara_environment.runtime"' not in reader.said():
        assert time.monotonic() < until, reader.said()
        time.sleep(0.2)

    printed = reader.python(flow)

    assert printed == f"completed: 4\nmachines: {[HERE, THERE]}\n", reader.said()
