"""The package's README: its example runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "packages/runtara/README.md"


@pytest.mark.slow
def test_its_example_runs(tmp_path: Path) -> None:
    """It runs unchanged: a worker, and an order that the worker fulfils."""
    found = re.search(r"```python\n(# shop.py\n.*?)```", README.read_text(), re.DOTALL)
    assert found is not None
    (tmp_path / "shop.py").write_text(found[1])
    variables = {**os.environ, "RUNTARA_DATABASE_URL": "sqlite:shop.db"}

    worker = subprocess.Popen([sys.executable, "shop.py", "work"], cwd=tmp_path, env=variables)
    try:
        said = subprocess.run(
            [sys.executable, "shop.py", "order", "17"],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            check=True,
            timeout=120,
        )
    finally:
        worker.kill()
        worker.wait()

    assert said.stdout == b"charged 995 for 17\n"
