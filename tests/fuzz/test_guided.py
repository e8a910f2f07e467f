import subprocess
import sys
from pathlib import Path

import pytest
from tests.fuzz.requests import VALID

SECONDS = 60
ROOT = Path(__file__).parents[2]


@pytest.mark.long
@pytest.mark.parametrize("target", ["frames", "router"])
def test_no_input_is_found_that_does_what_none_should(target: str, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, request in enumerate(VALID):
        (corpus / str(number)).write_bytes(request)

    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.fuzz.guided", target),
            *(f"-max_total_time={SECONDS}", f"-artifact_prefix={tmp_path}/", str(corpus)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-5000:]
