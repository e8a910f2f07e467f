"""What `--help` says, what is documented of it, and what is imported for it."""

import json
import runpy
import subprocess
import sys

import pytest
from tests.architecture.house import ROOT

HEAVY = {
    *("aioquic", "asyncio", "cryptography", "google", "pydantic", "sqlite3"),
    *("runtara_domain", "runtara_environment", "runtara_management_sdk", "runtara_sdk"),
}
MOST_MODULES = 260
"""Those of Python itself and click are about 200."""

_COUNTED = """
import json, sys
from runtara_cli.__main__ import main
try:
    main()
finally:
    sys.stderr.write(json.dumps(sorted(sys.modules)))
"""


def test_the_page_is_what_the_commands_say() -> None:
    """Whoever changes help makes the page anew."""
    made = runpy.run_path(str(ROOT / "packages/runtara-cli/page.py"))

    assert (ROOT / "docs/command-line.md").read_text() == made["page"]()


@pytest.mark.parametrize("arguments", [("--help",), ("list", "--help"), ("strat",)])
def test_the_first_byte_waits_for_few_imports(arguments: tuple[str, ...]) -> None:
    """Neither an event loop nor a client is imported before a command needs it."""
    run = subprocess.run(
        [sys.executable, "-c", _COUNTED, *arguments], capture_output=True, text=True
    )

    modules = json.loads(
        run.stderr.splitlines()[-1].rpartition("[")[1] + run.stderr.rpartition("[")[2]
    )
    assert HEAVY.isdisjoint(name.partition(".")[0] for name in modules)
    assert len(modules) <= MOST_MODULES
