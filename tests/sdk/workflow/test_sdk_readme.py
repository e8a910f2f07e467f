"""The README's programs: run as it says, and type-checked."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.sdk.workflow.launches import PATIENCE, ROOT
from tests.support.server_process import ServerProcess, environment, running

pytestmark = pytest.mark.slow

PAGE = ROOT / "packages/runtara-sdk/README.md"
ORDER = b'{"id": "17", "cents": 990}'
INSTANCE = ("--instance-id", "order-17")


@pytest.fixture
def programs(tmp_path: Path) -> list[Path]:
    """The python blocks in their order: workflow, approval, a framework's tasks, client."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    paths = [tmp_path / name for name in ("orders.py", "approve.py", "settle.py", "client.py")]
    for path, block in zip(paths, blocks, strict=True):
        path.write_text(block)
    return paths


async def python(
    folder: Path, server: ServerProcess, *arguments: str, given: bytes = b""
) -> tuple[int | None, list[str]]:
    """Run Python in the folder against the server: its exit code, and the lines it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment(
            {
                "RUNTARA_DATABASE_URL": f"sqlite:{folder}/core.db",
                "RUNTARA_INSTANCE_ID": "by-hand",
                "RUNTARA_TENANT_ID": "dev",
                "RUNTARA_SERVER_ADDR": f"127.0.0.1:{server.port}",
                "RUNTARA_SKIP_CERT_VERIFICATION": "true",
            }
        ),
    )
    async with asyncio.timeout(PATIENCE):
        output, _ = await process.communicate(given)
    return process.returncode, output.decode().splitlines()


async def test_the_programs_do_what_the_page_says(tmp_path: Path, programs: list[Path]) -> None:
    """Suspended at first, done once it is approved; what was charged is not charged again."""
    run = ("-m", "runtara_sdk", "run", "orders:fulfil", *INSTANCE)
    async with running(tmp_path) as server:
        first = await python(tmp_path, server, *run, "--input", "-", given=ORDER)
        approved = await python(tmp_path, server, "approve.py")
        second = await python(tmp_path, server, *run)
        by_hand = await python(tmp_path, server, "client.py")

    assert first[0] == 75
    assert [line.split()[:2] for line in first[1]] == [["charging", "17"]]
    assert approved == (0, ["approved"])
    assert second == (0, ['"parcel for 17, receipt for 17"'])
    assert by_hand == (0, [f"working on step-{number}" for number in range(3)])


def test_the_programs_pass_mypy(programs: list[Path]) -> None:
    """Strictly, as a user's would."""
    checked = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--config-file", ROOT / "pyproject.toml"),
            *programs,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout
