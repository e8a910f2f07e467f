"""The benchmark of the environment runs, and takes down a figure for all that it measures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
FEW = "--images quick --rounds 2 --alive 4 --sleepers 200 --rest-seconds 2 --waking 8"


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_it_measures(database: str, tmp_path: Path) -> None:
    """All its sections run on a small scale."""
    figures = tmp_path / "figures.json"
    command = (sys.executable, "-m", "benchmarks.environment", "--database", database, *FEW.split())
    subprocess.run([*command, "--json", str(figures)], cwd=ROOT, check=True, timeout=110)

    found = json.loads(figures.read_text())
    assert set(found["launches"]) == {"floor", "quick started", "quick signalled", "quick due"}
    assert all(len(seconds) == 2 for seconds in found["launches"].values())
    assert min(found["cpu"]["launch"]) > 0
    assert len(found["alive"]["pss"]) == 4
    assert found["sleepers"]["processes"] == 0
    assert found["waking"]["over"] > 0
