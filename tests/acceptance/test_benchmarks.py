"""The benchmarks of what users have run, and take down a figure for all they measure."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "benchmark",
    [
        "steps --seconds 0.01 --no-floors --ours embedded --peers",
        "orders --orders 2 --systems embedded",
    ],
)
def test_it_measures(benchmark: str, tmp_path: Path) -> None:
    """It runs on a small scale, without other systems."""
    name, *options = benchmark.split()
    figures = tmp_path / "figures.json"
    command = ("-m", f"benchmarks.{name}", *options, "--rounds", "1", "--loads", "2")
    subprocess.run([sys.executable, *command, "--json", str(figures)], cwd=ROOT, check=True)

    [figure] = json.loads(figures.read_text())["2"]["embedded"]
    assert figure > 0
