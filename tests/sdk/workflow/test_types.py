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

CHECKERS = {
    "mypy": ["mypy", "--strict", "--no-incremental"],
    "basedpyright": ["basedpyright", "--level", "error"],
}


@pytest.mark.parametrize("checker", sorted(CHECKERS))
def test_typed_code_has_the_errors_it_says(checker: str) -> None:
    """It has no others. mypy reports an ignore comment without an error."""
    command = [sys.executable, "-m", *CHECKERS[checker], *map(str, CODE)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert run.returncode == 0, run.stdout
