"""READMEs say what is: settings, examples, the number of rules, the index of decisions."""

import importlib
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import get_args

from tests.architecture.house import PACKAGES, ROOT, import_name

from runtara_conformance import rules
from runtara_conformance.rule import RULES
from runtara_management_sdk import ManagementSettings
from runtara_sdk.workflow.api.scheduling import (
    DuplicateName,
    MissingName,
    OverlapName,
    declared,
)
from runtara_server.config import Settings

CHOICES = {
    "overlap": get_args(OverlapName),
    "missing": get_args(MissingName),
    "duplicate": get_args(DuplicateName),
}
"""What the options of a schedule take that are words."""
DATABASES = ("postgres", "sqlite")

_ROW = re.compile(r"^\| (?P<variables>`RUNTARA_[^|]+) \| (?P<default>[^|]+) \|", re.MULTILINE)


def rows() -> Iterator[tuple[str, str]]:
    """Give each variable of the table with its default."""
    page = (ROOT / "packages/runtara-server/README.md").read_text()
    for row in _ROW.finditer(page):
        for variable in re.findall("`(.+?)`", row["variables"]):
            yield variable, row["default"].strip()


def default_of(field: str) -> str:
    """Write a setting's default as the table does."""
    info = Settings.model_fields[field]
    if info.is_required():
        return "required"
    return "none" if info.default is None else str(info.default)


def test_each_variable_is_named_once_with_its_default() -> None:
    expected = {f"RUNTARA_{field.upper()}": default_of(field) for field in Settings.model_fields}

    assert sorted(rows()) == sorted(expected.items())


def test_the_management_clients_page_lists_its_settings() -> None:
    page = (ROOT / "packages/runtara-management-sdk/README.md").read_text()
    listed = [
        variable for row in _ROW.finditer(page) for variable in [row["variables"].strip("` ")]
    ]

    assert listed == [f"RUNTARA_{each.name.upper()}" for each in fields(ManagementSettings)]


def test_the_page_of_schedules_lists_what_code_may_declare() -> None:
    """The options of its table, and the words that each of them takes."""
    table = (ROOT / "docs/schedules.md").read_text().partition("| option |")[2].partition("\n\n")[0]
    taken: dict[str, list[str]] = {}
    for line in table.splitlines()[2:]:
        _, option, takes, *_ = line.split("|")
        name = option.strip(" `") or next(reversed(taken))
        taken.setdefault(name, []).extend(re.findall(r"`(\w+)`", takes))

    assert [*taken] == [*signature(declared).parameters]
    assert {name: tuple(taken[name]) for name in CHOICES} == CHOICES


def test_its_workflow_is_the_example_that_is_there() -> None:
    """What the first screen shows is a file that runs."""
    assert (ROOT / "examples/hello.py").read_text() in (ROOT / "README.md").read_text()


def test_the_number_of_conformance_rules_is_the_kits() -> None:
    """It is counted, not remembered."""
    for module in pkgutil.iter_modules(rules.__path__):
        importlib.import_module(f"{rules.__name__}.{module.name}")

    assert f"checks {len(RULES)} sentences" in (ROOT / "README.md").read_text()


def test_the_picture_names_the_nouns_of_ports_and_adapters() -> None:
    """A port that every adapter fits is a noun."""
    ports = {path.stem for path in (ROOT / "packages").glob("*/src/runtara_domain/ports/*.py")}
    adapters = {path.stem for path in (ROOT / "packages").glob("*/src/*/memory/*.py")}
    page = (ROOT / "docs/architecture.md").read_text()
    nouns = re.search(r"X is one of \w+ nouns: \*\*([^*]+)\*\*", page)

    assert nouns is not None
    assert set(re.findall(r"\w+", nouns[1])) == (ports & adapters) - {"__init__", "persistence"}


def test_the_table_of_packages_has_what_each_imports() -> None:
    """The table has the dependencies of their settings, without extras."""
    page = (ROOT / "docs/architecture.md").read_text()
    rows = re.findall(r"^\| `(runtara\S*)` \| .+ \| (.+) \| (.+) \|$", page, re.MULTILINE)
    listed = {name: {*f"{ours}, {others}".split(", ")} - {"none"} for name, ours, others in rows}

    assert listed == {path.name: _dependencies(path) for path in PACKAGES}


def test_every_folder_of_tests_has_its_row() -> None:
    table = (ROOT / "docs/architecture.md").read_text().partition("| folder | through |")[2]
    listed = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)))
    folders = [path.parent.name for path in (ROOT / "tests").glob("*/*.py")]

    assert {*listed} >= {*folders}


def test_a_readme_with_a_table_of_files_names_all_modules_and_folders() -> None:
    """Only those directly in the package count. A file in a folder names the folder, too."""
    unnamed = {
        package.name: missing
        for package in PACKAGES
        if "| file | holds |" in (page := (package / "README.md").read_text())
        if (missing := _parts(package) - {*re.findall(r"[`/]?(\w+)(?:\.py|/)", page)})
    }

    assert unnamed == {}


def _parts(package: Path) -> set[str]:
    """Name the modules and folders directly in a package."""
    found = (package / "src" / import_name(package)).iterdir()
    return {path.stem for path in found if path.suffix in ("", ".py") and path.stem[0] != "_"}


def _dependencies(package: Path) -> set[str]:
    """Name what a package imports, our packages without their prefix."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    names = re.findall(r"^[\w.-]+", "\n".join(project.get("dependencies", ())), re.MULTILINE)
    return {name.removeprefix("runtara-") for name in names}


def test_each_migration_has_its_row() -> None:
    """The page of stored formats says what each one adds, on either database."""
    page = (ROOT / "docs/stored-formats.md").read_text().partition("| PostgreSQL | SQLite |")[2]
    rows = re.findall(r"^\| ([\d, ]*) \| ([\d, ]*) ?\|", page, re.MULTILINE)
    listed = [re.findall(r"\d+", " ".join(column)) for column in zip(*rows, strict=True)]
    folder = ROOT / "packages/runtara-migrations/src/runtara_migrations/sql"
    names = [sorted(path.name[:3] for path in (folder / each).iterdir()) for each in DATABASES]

    assert [sorted(column) for column in listed] == names


def test_the_index_of_decisions_lists_every_record() -> None:
    """Each row has the number and title that the record begins with, and what amends it."""
    folder = ROOT / "docs/decisions"
    records = [(path.name, path.read_text()) for path in sorted(folder.glob("0*.md"))]
    index = (folder / "README.md").read_text()

    rows = re.findall(r"^\| (\d+) \| \[(.+)\]\((0.+\.md)\) \| (.+) \|$", index, re.MULTILINE)

    assert [(name, f"{number}. {title}", status) for number, title, name, status in rows] == [
        (name, re.findall(r"^# (.+)", text)[0], _status(text)) for name, text in records
    ]


def test_each_decision_has_its_status_date_and_parts() -> None:
    """A record says what was decided, why, and what was rejected."""
    parts = [
        r"^Status: accepted, 2026-\d\d-\d\d",
        "^## Context",
        "^## Decision",
        "^## Alternatives",
    ]
    lacking = {
        path.name: missing
        for path in (ROOT / "docs/decisions").glob("0*.md")
        if (missing := [part for part in parts if not re.search(part, path.read_text(), re.M)])
    }

    assert lacking == {}


def _status(record: str) -> str:
    """Name what amends a record, as its paragraph of the status says."""
    paragraph = re.findall(r"^Status: (?:.+\n)+", record, re.MULTILINE)[0]
    amending = re.findall(r"Amended by\s+((?:[,\s]|and|\[\d+\]\(\S+?\))+)", paragraph)
    numbers = re.findall(r"\[(\d+)\]", "".join(amending))
    return f"amended by {', '.join(numbers)}" if numbers else "accepted"
