"""Every package has what a package needs."""

import re
import tomllib
from pathlib import Path

import pytest
from tests.architecture.house import PACKAGES, import_name, imported, modules, root_settings

every_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)


@every_package
def test_it_says_that_it_is_typed_and_what_it_is_for(package: Path) -> None:
    assert (package / "src" / import_name(package) / "py.typed").is_file()
    assert (package / "README.md").read_text().startswith(f"# {package.name}\n")


@every_package
def test_it_depends_on_those_of_ours_that_it_imports(package: Path) -> None:
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    extras = [one for extra in project.get("optional-dependencies", {}).values() for one in extra]
    declared = {re.split(r"[\[>=<; ]", one)[0] for one in [*project["dependencies"], *extras]}
    ours = {import_name(one) for one in PACKAGES} - {import_name(package)}

    needed = {name for module in modules(package) for name in imported(module)} & ours

    assert {name.replace("_", "-") for name in needed} <= declared


@every_package
def test_it_is_type_checked(package: Path) -> None:
    source = (package / "src").relative_to(package.parents[1])

    assert str(source) in root_settings()["tool"]["mypy"]["mypy_path"]
