"""User code passes the type checkers, and its mistakes don't."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CODE = Path(__file__).with_name("typed_code.py")

CHECKERS = {
    "mypy": ["mypy", "--strict", "--no-incremental"],
    "basedpyright": ["basedpyright", "--level", "error"],
}


@pytest.mark.parametrize("checker", sorted(CHECKERS))
def test_typed_code_has_the_errors_it_says(checker: str) -> None:
    """And no others; an ignored error that is none would be one of mypy's."""
    root = CODE.parents[3]
    command = [sys.executable, "-m", *CHECKERS[checker], str(CODE)]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True)

    assert run.returncode == 0, run.stdout
