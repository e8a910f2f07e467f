"""Commands that are modules of their own, given as the module's own command is."""

import subprocess
import sys
from pathlib import Path

from tests.support.server_process import environment

from runtara_cli.dev_file import DevFile


def give(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Give a command in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "runtara_cli", *arguments],
        cwd=folder,
        env=environment({}),
        capture_output=True,
        text=True,
    )


def test_a_database_is_migrated(tmp_path: Path) -> None:
    """Options, output and exit codes are the module's."""
    done = give(tmp_path, "migrate", "sqlite:core.db")
    misused = give(tmp_path, "migrate", "mysql://x")

    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "up to date")
    assert (misused.returncode, "runtara_migrations" in misused.stderr) == (2, True)


def test_an_instance_is_run_at_the_core_of_the_nearest_dev_folder(tmp_path: Path) -> None:
    """The variables of that folder need not be exported."""
    (tmp_path / ".runtara").mkdir()
    (tmp_path / "below").mkdir()
    (tmp_path / "ca.pem").write_text("no certificate")
    dev = DevFile("127.0.0.1:2", "127.0.0.1:1", str(tmp_path / "ca.pem"), "dev", "sqlite:x", 1)
    dev.write(tmp_path / ".runtara")
    (tmp_path / "below/show.py").write_text(
        "import os\nfrom runtara_sdk import workflow\n"
        "print(os.environ['RUNTARA_SERVER_ADDR'], os.environ['RUNTARA_TENANT_ID'])\n"
        "@workflow\nasync def run() -> None: ...\n"
    )

    ran = give(tmp_path / "below", "run", "show:run", "--instance-id", "i")
    told = give(tmp_path / "below", "run", "--help")

    assert (ran.returncode != 0, ran.stdout) == (True, "127.0.0.1:1 dev\n")
    assert (told.returncode, "MODULE:FUNCTION" in told.stdout) == (0, True)
