"""The orders example as a user runs it: everything crashes, each order is charged once."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).parents[2] / "examples" / "orders"
# Far above what it needs; without a limit, a hang would be one of the whole suite.
TIMEOUT_S = 180


def crash_and_resume(*arguments: str, example: Path = EXAMPLE) -> tuple[int, dict[str, Any]]:
    """Run the command with --json; leave no process behind, whatever happens."""
    command = [sys.executable, str(example / "crash_and_resume.py"), "--json", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            output, _ = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, json.loads(output)


def failures(outcome: dict[str, Any]) -> list[str]:
    if "error" in outcome:
        return [outcome["error"]]
    return [check["claim"] for check in outcome["checks"] if not check["holds"]]


def test_each_order_of_the_committed_file_is_charged_exactly_once() -> None:
    """The main job on real input: seven kills of the import, the server and both."""
    code, outcome = crash_and_resume()

    assert failures(outcome) == []
    assert (code, outcome["ok"]) == (0, True)
    assert (outcome["orders"], outcome["charges"], outcome["rejected"]) == (300, 300, 112)
    assert outcome["attempts"] > 300
    assert len(outcome["lives"]) == 6
    assert len(outcome["lives"][-1]["replayed"]) > 200


def test_another_file_and_other_kills_by_another_seed(tmp_path: Path) -> None:
    """The proof does not hang on one lucky order of events; the folder is kept if asked for."""
    folder = tmp_path / "kept"

    code, outcome = crash_and_resume("--seed=2", "--orders=40", "--kills=3", f"--folder={folder}")

    assert failures(outcome) == []
    assert (code, outcome["charges"]) == (0, 40)
    assert (folder / "ledger.csv").read_text().count(",charged,") == 40
    assert not (folder / "ledger.unfinished").exists()


def test_the_proof_fails_if_each_life_makes_up_its_own_idempotency_keys(tmp_path: Path) -> None:
    """What the demonstration claims can be false: killed before the answer, it charges twice."""
    example = Path(shutil.copytree(EXAMPLE, tmp_path / "orders"))
    workflow = example / "import_orders.py"
    text = workflow.read_text().replace("import sys\n", "import os\nimport sys\n")
    workflow.write_text(text.replace('f"order/{order.id}"', 'f"{os.getpid()}/{order.id}"'))

    code, outcome = crash_and_resume(
        "--seed=14", "--orders=8", "--kills=1", f"--folder={tmp_path / 'kept'}", example=example
    )

    assert outcome["lives"][0]["killed"]["moment"] == "charged, no answer"
    assert (code, outcome["ok"], outcome["charges"]) == (1, False, 9)
    assert "each valid order was charged exactly once" in failures(outcome)
