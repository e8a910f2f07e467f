"""The programs of examples/workflows/README.md, as a reader runs them."""

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.acceptance.workflows.launcher import PATIENCE, ROOT, SUSPENDED, launching

from runtara_persistence import InstanceStatus, NewInstance, SystemClock
from runtara_sdk import Workflow

PAGE = ROOT / "examples/workflows/README.md"
TARGET = "examples.workflows.approval:approval"
INPUTS = re.findall(r"^\| `(\w+:\w+)` \| `([^`]+)`", PAGE.read_text(), re.MULTILINE)


async def test_the_pages_launcher_wakes_what_the_pages_value_is_sent_to(tmp_path: Path) -> None:
    """A suspended approval is paid, and what was only created is begun."""
    programs = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    async with launching(tmp_path, seed=0, kills=0) as launcher:
        invoice = tmp_path / "invoice.json"
        invoice.write_text(json.dumps({"number": "R-17", "amount": 1200}))
        run = ("-m", "runtara_sdk", "run", TARGET, "--instance-id", "r-17", "--input", str(invoice))
        code = await (await launcher.python(*run)).wait()
        assert code == SUSPENDED
        assert await (await launcher.python("-c", programs[1])).wait() == 0
        created = NewInstance("r-18", "acme", input=b'{"number": "R-18", "amount": 1}')
        await launcher.core.instances.create(created, at=SystemClock().now())
        loop = await launcher.python("-c", programs[0], TARGET)
        try:
            await launcher.until_status("r-17", InstanceStatus.COMPLETED)
            await launcher.until_status("r-18", InstanceStatus.SUSPENDED)
        finally:
            loop.kill()
            await loop.wait()

    assert launcher.world.done("payments") == [{"invoice": "R-17", "approved_by": "Ann"}]


async def test_the_pages_launcher_forgets_no_killed_instance(tmp_path: Path) -> None:
    """One whose process is killed is launched again, the one created first first; none is left."""
    programs = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    one_at_once = programs[0].replace("AT_ONCE = 10", "AT_ONCE = 1")
    async with launching(tmp_path, seed=0, kills=0) as launcher:
        for name in ("r-1", "r-2", "r-3"):
            created = NewInstance(name, "acme", input=b'{"number": "R-18", "amount": 1}')
            await launcher.core.instances.create(created, at=SystemClock().now())
        loop = await launcher.python("-c", one_at_once, TARGET)
        try:
            await launcher.until_known("r-1")
            for _ in range(2):
                os.kill(await _child_of(loop.pid), signal.SIGKILL)
            for name in ("r-1", "r-2", "r-3"):
                await launcher.until_status(name, InstanceStatus.SUSPENDED)
            await _until_childless(loop.pid)
        finally:
            loop.kill()
            await loop.wait()
        began = [await launcher.core.instances.get(name) for name in ("r-1", "r-2", "r-3")]

    starts = [one.started_at for one in began if one is not None and one.started_at is not None]
    assert len(starts) == 3
    assert starts == sorted(starts)


async def _child_of(pid: int) -> int:
    """Wait for a child of the process that lives, and give it."""
    async with asyncio.timeout(PATIENCE):
        # A process tells nobody that it has a child.
        while not (living := [one for one, state in _children(pid) if state != "Z"]):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return living[0]


async def _until_childless(pid: int) -> None:
    """Wait until the process has no children, ended ones that nobody reaps included."""
    async with asyncio.timeout(PATIENCE):
        # Nor that it has none.
        while _children(pid):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def _children(pid: int) -> list[tuple[int, str]]:
    ids = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [(int(one), _state(one)) for one in ids]


def _state(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:  # Reaped since.
        return "Z"


@pytest.mark.parametrize(("target", "given"), INPUTS)
def test_the_pages_inputs_are_taken(target: str, given: str) -> None:
    """By the workflows that they stand beside."""
    module, name = target.split(":")
    workflow: Workflow[..., Any] = getattr(import_module(f"examples.workflows.{module}"), name)

    assert workflow.arguments(given.encode())


async def test_the_pages_service_acts_once_a_key_and_undoes() -> None:
    """And tells of what it did."""
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
