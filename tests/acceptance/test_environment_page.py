import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.postgres import empty_database

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/environment.md"
ALONE = ("runtara-domain", "runtara-migrations[postgres]", "runtara-persistence[postgres]")

EXPECTED = """\
created: True
['order-17'] 1 pending
0 None 0 0
pause stands: True
first to approve: True
hint: instance 'order-17' has not begun, and does not wait for 'approval' yet
claim again by itself: False
it was pending
reopened after run 0
blocked: ['its code is gone']
pruned: 0
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with runtara-persistence and what it depends on, and nothing else."""
    folder = tmp_path_factory.mktemp("alone") / "venv"
    packages = [str(ROOT / "packages" / name) for name in ALONE]
    _uv("venv", "--python", sys.executable, str(folder))
    _uv("pip", "install", "--python", str(folder / "bin/python"), *packages)
    return folder / "bin/python"


def _uv(*arguments: str) -> None:
    subprocess.run(["uv", "--quiet", *arguments], check=True, cwd=ROOT)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The page's blocks, in their order, as one program."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    program = tmp_path / "environment.py"
    program.write_text("".join(blocks))
    return program


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path}/core.db"
    else:
        with empty_database() as address:
            yield address


def test_the_page_runs_on_persistence_alone(python: Path, program: Path, url: str) -> None:
    """Ten calls, an example each, in an environment without the server and QUIC."""
    run = subprocess.run(
        [python, program],
        env={"PATH": os.environ["PATH"], "RUNTARA_DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, run.stdout) == (0, EXPECTED), run.stderr


def test_persistence_brings_neither_the_server_nor_quic(python: Path) -> None:
    """What an environment installs is what it uses."""
    probe = (
        "import importlib.util as u;"
        "print([n for n in ('runtara_server', 'runtara_protocol', 'aioquic') if u.find_spec(n)])"
    )

    found = subprocess.run([python, "-c", probe], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"
