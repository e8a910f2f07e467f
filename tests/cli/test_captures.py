"""The docs' pictures of commands are what a script has drawn, of commands that there are."""

import html
import re
import runpy
from pathlib import Path

import click
import pytest
from tests.architecture.house import ROOT

from runtara_cli.cli import runtara

SCRIPT = runpy.run_path(str(ROOT / "packages/runtara-cli/captures.py"))
FOLDER = ROOT / "docs/captures"
STABLE = ("errors", "explain", "list")
_SPAN = re.compile(r"\d+(\.\d)? [smhd]\b( \d+ [smh]\b)?")


def shown(file: Path) -> list[str]:
    """Give the texts of a picture, without times."""
    texts = re.findall(r"<text class[^>]*>(.*?)</text>", file.read_text())
    joined = " ".join(html.unescape(each).replace("\xa0", " ").strip() for each in texts)
    return _SPAN.sub("TIME", joined).split()


def test_the_docs_show_all_of_them() -> None:
    page = (ROOT / "docs/command-line.md").read_text()
    drawn = {file.stem for file in FOLDER.iterdir()}

    assert set(re.findall(r"\(captures/(\w+)\.svg\)", page)) == drawn
    assert drawn == {"dev", *SCRIPT["CAPTURES"]}


@pytest.mark.parametrize("name", [name for name in SCRIPT["CAPTURES"] if name != "errors"])
def test_what_is_drawn_are_commands(name: str) -> None:
    texts = " ".join(shown(FOLDER / f"{name}.svg"))
    for command in SCRIPT["CAPTURES"][name]:
        assert f"$ {command}" in texts
        found = runtara.get_command(click.Context(runtara), command.split()[1])
        assert found is not None


@pytest.mark.long
def test_the_pictures_are_what_the_script_draws(tmp_path: Path) -> None:
    """Times may differ. Other pictures show processes, whose order varies."""
    SCRIPT["write"](tmp_path)

    for name in STABLE:
        assert shown(tmp_path / f"{name}.svg") == shown(FOLDER / f"{name}.svg")
