"""The commands of examples/workflows/README.md, as a reader types them."""

import asyncio
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.acceptance.workflows.launched import PATIENCE, ROOT
from tests.acceptance.workflows.world import world
from tests.environment.conftest import Here
from tests.support.server_process import environment

from runtara_persistence.memory import MemoryPersistence
from runtara_sdk import Workflow

PAGE = ROOT / "examples/workflows/README.md"
INPUTS = re.findall(r"^\| `(\w+:\w+)` \| `([^`]+)`", PAGE.read_text(), re.MULTILINE)


def commands(*words: str) -> list[str]:
    """Give the page's command that begins so."""
    line = re.search(rf"^uv run ({' '.join(words)} .*)$", PAGE.read_text(), re.MULTILINE)
    assert line is not None
    return shlex.split(line[1])[1:]


class Folder:
    """A folder like the repository's root, in which a reader types what the page says."""

    def __init__(self, path: Path, service_url: str) -> None:
        self.path, self._service_url = path, service_url
        (path / "examples").mkdir()
        (path / "examples/workflows").symlink_to(ROOT / "examples/workflows")
        self.process = self._begin(commands("runtara", "dev"), path / "printed")

    def _begin(self, arguments: list[str], printed: Path) -> "subprocess.Popen[bytes]":
        shown = [one.replace("http://127.0.0.1:8080", self._service_url) for one in arguments]
        with printed.open("wb") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "runtara_cli", *shown],
                cwd=self.path,
                env=environment({}),
                stdout=file,
                stderr=file,
            )

    def run(self, *words: str) -> str:
        """Type a command of the page; gives what it prints."""
        printed = self.path / "told"
        with self._begin(commands("runtara", *words), printed) as process:
            code = process.wait(PATIENCE)
        assert code == 0, printed.read_text()
        return printed.read_text()

    def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something, asking again and again."""
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            assert self.process.poll() is None, (self.path / "printed").read_text()
            assert time.monotonic() < deadline, (self.path / "printed").read_text()
            time.sleep(0.05)

    def close(self) -> None:
        """End all that was started."""
        with self.process as process:
            process.terminate()
        folder = next(self.path.glob(".runtara/**/spawner.log")).parent
        os.kill(Here(folder, MemoryPersistence()).spawner_pid(), signal.SIGKILL)


def test_what_the_page_says_to_type_pays_an_invoice(tmp_path: Path) -> None:
    """The instance is launched, and woken by the decision."""
    with world() as served:
        folder = Folder(tmp_path, served.url)
        try:
            folder.until(lambda: "Ctrl-C" in (tmp_path / "printed").read_text())
            folder.run("start")
            folder.until(lambda: bool(served.done("requests")))
            shown = folder.run("show")
            folder.run("send")
            paid = folder.run("wait")
        finally:
            folder.close()

    assert "r-17" in shown
    assert served.done("requests") == [{"invoice": "R-17"}]
    assert served.done("payments") == [{"invoice": "R-17", "approved_by": "Ann"}]
    assert paid.strip()


@pytest.mark.parametrize(("target", "given"), INPUTS)
def test_the_pages_inputs_are_taken(target: str, given: str) -> None:
    """The workflow of a row accepts the row's input."""
    module, name = target.split(":")
    workflow: Workflow[..., Any] = getattr(import_module(f"examples.workflows.{module}"), name)

    assert workflow.arguments(given.encode())


async def test_the_pages_service_acts_once_a_key_and_undoes() -> None:
    """It also lists what it did."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "examples.workflows.service", "0"), cwd=ROOT, stdout=PIPE
    )
    try:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip().partition("=")[2]
        key = {"Idempotency-Key": "k"}
        async with httpx.AsyncClient(base_url=url) as client:
            posted = [
                (await client.post("/emails", json={"to": "Ann"}, headers=key)).json()
                for _ in range(2)
            ]
            found = [(await client.get(f"/emails/{one}")).status_code for one in ("k", "other")]
            undone = [(await client.delete("/bookings/hotel")).status_code for _ in range(2)]
    finally:
        process.kill()
        await process.wait()

    assert (posted, found, undone) == ([{"number": 1}] * 2, [200, 404], [200, 404])
