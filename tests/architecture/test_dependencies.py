"""docs/dependencies.md lists what our packages need at run time, with its licence."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution

from packaging.requirements import Requirement
from tests.architecture.house import PACKAGES, ROOT

PAGE = ROOT / "docs/dependencies.md"
ALLOWED = re.compile(r"^(MIT|Apache|BSD|3-Clause BSD|ISC|PSF|Mozilla Public)")


def licence(found: Distribution) -> str:
    """Give a distribution's licence in the words of its metadata, shortened to the name."""
    facts = found.metadata.json
    if expression := facts.get("license_expression"):
        return str(expression)
    approved = "License :: OSI Approved :: "
    named = [one.rpartition(" :: ")[2] for one in facts["classifier"] if one.startswith(approved)]
    return ", ".join(named) or str(facts.get("license", "unknown")).splitlines()[0]


def needed() -> Iterator[tuple[str, str]]:
    """Find what is installed for our packages without their extras, and what that needs in turn."""
    ours = {package.name for package in PACKAGES}
    ahead: list[str] = []
    for package in PACKAGES:
        project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
        ahead += project["dependencies"]
    seen: set[str] = set()
    while ahead:
        requirement = Requirement(ahead.pop())
        name = requirement.name.lower().replace("_", "-")
        elsewhere = requirement.marker and not requirement.marker.evaluate({"extra": ""})
        if name in seen or name in ours or elsewhere:
            continue
        seen.add(name)
        found = distribution(name)
        yield name, licence(found)
        ahead += found.requires or []


def test_the_page_lists_each_dependency_with_its_licence() -> None:
    rows = "".join(f"| {name} | {terms} |\n" for name, terms in sorted(needed()))

    assert PAGE.read_text().endswith(f"| package | licence |\n|---|---|\n{rows}")


def test_each_licence_lets_apache_licensed_software_use_it() -> None:
    assert [one for one in needed() if not ALLOWED.match(one[1])] == []
