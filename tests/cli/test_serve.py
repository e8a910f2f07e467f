"""`runtara serve`: a worker of a file's workflows, on a database without servers."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.test_direct import run
from tests.support.server_process import environment

from runtara_cli import codes

pytestmark = pytest.mark.slow

SHOP = """
from runtara_sdk import workflow

@workflow
async def greet(name: str) -> str:
    return f"hello {name}"
"""


def test_a_worker_runs_what_is_started_on_its_database(tmp_path: Path) -> None:
    """Started before or after it has come; SIGTERM ends it well."""
    (tmp_path / "shop.py").write_text(SHOP)
    url = f"sqlite:{tmp_path}/core.db"
    worker = subprocess.Popen(
        [sys.executable, "-m", "runtara_cli", "serve", "shop.py", "--database-url", url,
         "--tenant", "t"],
        cwd=tmp_path,
        env=environment({}),
    )  # fmt: skip
    with worker:
        while run("start", "greet", '"you"', "--id", "g", "--tenant", "t",
                  "--database-url", url).exit_code != codes.DONE:  # fmt: skip
            assert worker.poll() is None
        ended = run("wait", "g", "--timeout", "60s", "--database-url", url)
        worker.send_signal(signal.SIGTERM)

    assert (ended.exit_code, ended.stdout) == (codes.DONE, '"hello you"\n'), ended.output
    assert worker.returncode == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [("x = 1\n", "no function decorated"), ("import no_such_module\n", "no_such_module")],
)
def test_what_can_not_be_served_is_said_to_be_so(tmp_path: Path, text: str, said: str) -> None:
    """The error comes before anything is opened."""
    (tmp_path / "odd.py").write_text(text)
    result = run("serve", str(tmp_path / "odd.py"))
    sys.modules.pop("odd", None)

    assert (result.exit_code, said in result.stderr) == (codes.USAGE, True)
