import asyncio
import json
import os
import re
import shlex
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

from tests.support.server_process import HOST, running

ROOT = Path(__file__).parents[2]
README = ROOT / "packages/runtara-server/README.md"
COMMAND = re.search(r"^echo '(.*)' \| python (.*)$", README.read_text(), re.MULTILINE)


async def begun(port: int) -> Process:
    """Run the README's workflow, as the README says."""
    assert COMMAND is not None
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *shlex.split(COMMAND[2])),
        cwd=ROOT / "examples",
        env=os.environ
        | {
            "PYTHONUNBUFFERED": "1",
            "RUNTARA_TENANT_ID": "dev",
            "RUNTARA_SERVER_ADDR": f"{HOST}:{port}",
            "RUNTARA_SKIP_CERT_VERIFICATION": "true",
        },
        stdin=PIPE,
        stdout=PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(COMMAND[1].encode())
    process.stdin.close()
    return process


async def test_the_readmes_workflow_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    """Killed in its second charge, it charges the first no more, and ends with all receipts."""
    async with running(tmp_path) as server:
        killed = await begun(server.port)
        assert killed.stdout is not None
        before = [await killed.stdout.readline(), await killed.stdout.readline()]
        killed.kill()
        await killed.wait()

        again = await begun(server.port)
        output, _ = await again.communicate()

    *charged, result = output.decode().splitlines()
    assert before == [b"charging order-17/0\n", b"charging order-17/1\n"]
    assert charged == ["charging order-17/1", "charging order-17/2"]
    assert json.loads(result) == [f"receipt for order-17/{number}" for number in range(3)]
    assert again.returncode == 0
