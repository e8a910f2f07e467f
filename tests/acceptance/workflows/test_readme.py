"""The programs of examples/workflows/README.md, as a reader runs them."""

import json
import re
from pathlib import Path

from tests.acceptance.workflows.launcher import ROOT, SUSPENDED, launching

from runtara_persistence import InstanceStatus

PAGE = ROOT / "examples/workflows/README.md"
TARGET = "examples.workflows.approval:approval"


async def test_the_pages_launcher_wakes_what_the_pages_value_is_sent_to(tmp_path: Path) -> None:
    """A suspended approval is paid."""
    programs = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    async with launching(tmp_path, seed=0, kills=0) as launcher:
        invoice = tmp_path / "invoice.json"
        invoice.write_text(json.dumps({"number": "R-17", "amount": 1200}))
        run = ("-m", "runtara_sdk", "run", TARGET, "--instance-id", "r-17", "--input", str(invoice))
        code = await (await launcher.python(*run)).wait()
        assert code == SUSPENDED
        assert await (await launcher.python("-c", programs[1])).wait() == 0
        loop = await launcher.python("-c", programs[0], TARGET)
        try:
            await launcher.until_status("r-17", InstanceStatus.COMPLETED)
        finally:
            loop.kill()
            await loop.wait()

    assert launcher.world.done("payments") == [{"invoice": "R-17", "approved_by": "Ann"}]
