"""Without authentication the server says what any program can do."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.server_process import running


@pytest.mark.parametrize(
    ("host", "level"), [("127.0.0.1", "info"), ("::1", "info"), ("0.0.0.0", "warning")]
)
async def test_it_warns_when_others_than_this_machine_reach_it(
    tmp_path: Path, host: str, level: str
) -> None:
    async with running(tmp_path, RUNTARA_QUIC_HOST=host) as server:
        await server.said("read and end every instance")
        [said] = [entry for entry in server.log if "authentication" in entry["event"]]

    assert said["level"] == level
    assert ("RUNTARA_QUIC_HOST" in str(said.get("remedy"))) == (level == "warning")


def test_the_help_says_so() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "runtara_server", "--help"], capture_output=True, text=True
    )

    assert "read and end every instance" in " ".join(told.stdout.split())
