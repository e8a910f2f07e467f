"""The launcher and the sender of docs/decisions/0008, as they stand there."""

import asyncio
import re
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.sdk.workflow.launches import PATIENCE, ROOT
from tests.support.server_process import environment, running

from runtara_persistence import InstanceStatus, connect

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs/decisions/0008-workflow-keys-and-codec.md"

SHOP = """\
from runtara_sdk import promise, workflow


@workflow(hold="0s")
async def fulfil() -> str:
    return f"approved: {(await promise('approval', dict[str, bool]))['granted']}"
"""

PROGRAM = """\
import asyncio
import os
import sys
from asyncio import create_subprocess_exec
from datetime import timedelta
from uuid import uuid4

from runtara_persistence import Claim, CustomSignal, SendCustomSignal, SystemClock, connect


async def main() -> None:
    url = os.environ["DATABASE_URL"]
{block}

asyncio.run(main())
"""


@asynccontextmanager
async def program(
    folder: Path, variables: dict[str, str], *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run Python in a folder for the block's length at most."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=folder, env=environment(variables)
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until_completed(url: str) -> bytes | None:
    """Wait for the instance's end; give its output."""
    async with asyncio.timeout(PATIENCE), connect(url) as persistence:
        while True:
            found = await persistence.instances.get("order-17")
            if found is not None and found.status is InstanceStatus.COMPLETED:
                return found.output
            # A row tells nobody that it changes.
            await asyncio.sleep(0.05)


async def test_the_launcher_wakes_what_the_sender_has_sent_to(tmp_path: Path) -> None:
    """A suspended instance goes on and ends, with what was sent."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    launcher, sender = (PROGRAM.format(block=textwrap.indent(block, " " * 4)) for block in blocks)
    (tmp_path / "shop.py").write_text(SHOP)
    url = f"sqlite:{tmp_path}/core.db"
    run = ("-m", "runtara_sdk", "run", "shop:fulfil", "--instance-id", "order-17")
    async with running(tmp_path) as server:
        variables = {
            "DATABASE_URL": url,
            "RUNTARA_TENANT_ID": "acme",
            "RUNTARA_SERVER_ADDR": f"127.0.0.1:{server.port}",
            "RUNTARA_SKIP_CERT_VERIFICATION": "true",
        }
        async with program(tmp_path, variables, *run) as first:
            suspended = await first.wait()
        async with program(tmp_path, variables, "-c", sender) as sending:
            sent = await sending.wait()
        async with program(tmp_path, variables, "-c", launcher):
            output = await until_completed(url)

    assert (suspended, sent, output) == (75, 0, b'"approved: True"')
