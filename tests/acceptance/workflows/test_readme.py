"""The programs of examples/workflows/README.md, as a reader runs them."""

import asyncio
import json
import re
import sys
from asyncio.subprocess import PIPE
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.acceptance.workflows.launcher import ROOT, SUSPENDED, launching

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
