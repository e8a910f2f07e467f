"""The glossary's former names stand nowhere else."""

import re
import subprocess
from collections.abc import Iterator

from tests.architecture.house import ROOT

GLOSSARY = "docs/glossary.md"
KEPT = ("tests/fixtures/", "tests/architecture/test_words.py", "uv.lock", GLOSSARY)
"""Files that name former names: data of former versions, this test, other people's packages."""
STORED = {"struck"}
"""Words of stored data: as text they are written in quotes or after `!`."""
ENGLISH = {"Changed", "Refused", "Current", "Turns"}
"""Names that also begin sentences: sought only in statements that raise, catch or import them."""

_ROW = re.compile(r"^\| (?P<name>[^|]+) \| (?P<formerly>[^|]+) \|$")


def former_names() -> Iterator[str]:
    """Name what the glossary's tables of changed names have in their last column."""
    _, _, changed = (ROOT / GLOSSARY).read_text().partition("| name | formerly |")
    for line in changed.splitlines():
        if row := _ROW.match(line):
            yield from re.findall(r"`([^`]+)`", row["formerly"])


def pattern(name: str) -> str:
    """Return the expression that finds a former name; `…` stands for anything in a line."""
    text = re.escape(name).replace("…", ".*").replace(r"\(", r"\([^)\n]*\b", 1)
    if name in STORED:
        return rf"(?<![!`\"'])\b{text}\b(?![`\"'])"
    if name in ENGLISH:
        return rf"^\s*(?:class|raise|except|from|import)\b[^\"']*\b{text}\b"
    whole = text
    if name[0].isalpha():
        whole = rf"(?<![A-Za-z]){whole}"
    if name[-1].isalpha():
        whole = rf"{whole}(?![A-Za-z])"
    return f"(?i:{whole})" if name.isalpha() and name.islower() else whole


def found_in(text: str, names: list[str]) -> list[str]:
    """Name the lines of a text that have a former name."""
    lowered = text.lower()
    # Most files have none: to look for the letters first takes a second instead of twenty.
    named = [name for name in names if name.partition("(")[0].lower() in lowered]
    if not named:
        return []
    sought = re.compile("|".join(map(pattern, named)))
    return [line.strip() for line in text.splitlines() if sought.search(line)]


def test_no_former_name_is_left() -> None:
    """Names, comments, documents and errors use one word for one thing."""
    names = list(former_names())
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    read = [
        (name, (ROOT / name).read_text(errors="replace"))
        for name in tracked
        if not name.startswith(KEPT) and (ROOT / name).is_file()
    ]

    assert len(names) > 40
    assert {name: lines for name, text in read if (lines := found_in(text, names))} == {}


def test_former_names_are_found_in_code_and_prose() -> None:
    """The word of stored data is no finding, nor is an option of another call."""
    names = list(former_names())

    code = 'raise NotSaveable(x)\n# Strikes\n@workflow(name="a", hold=1)\nfrom a import B, Refused'
    stored = 'key = f"{call}!struck"\n{"kind": "struck"}\nlimits(hold=1)\n# Refused at once.'

    assert len(found_in(code, names)) == 4
    assert found_in(stored, names) == []
