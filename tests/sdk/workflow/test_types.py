"""User code passes the type checkers, and its mistakes don't."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
CODE = [
    ROOT / "tests" / path
    for path in ("sdk/workflow/typed_code.py", "runtara/typed_code.py", "runtara/sample.py")
]


def test_typed_code_has_the_errors_it_says() -> None:
    """It has no others. `make types` has mypy check the same files."""
    command = [sys.executable, "-m", "basedpyright", "--level", "error", *map(str, CODE)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert run.returncode == 0, run.stdout
