"""What `--help` says, and what is documented of it."""

import runpy

from tests.architecture.house import ROOT


def test_the_page_is_what_the_commands_say() -> None:
    """A change of the help is followed by a new page."""
    made = runpy.run_path(str(ROOT / "packages/runtara-cli/page.py"))

    assert (ROOT / "docs/command-line.md").read_text() == made["page"]()
