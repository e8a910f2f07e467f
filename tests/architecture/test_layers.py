"""Imports point inward only, and each new package needs a contract."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.architecture.house import PACKAGES, ROOT, import_name, imported, modules, root_settings

DOMAIN = ROOT / "packages/runtara-domain"
# One module each, or imported by no other package.
FLAT = {"runtara_conformance"}


def contracts() -> list[dict[str, object]]:
    found: list[dict[str, object]] = root_settings()["tool"]["importlinter"]["contracts"]
    return found


def test_every_contract_is_kept() -> None:
    lint = Path(sys.executable).with_name("lint-imports")

    run = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True)

    assert run.returncode == 0, run.stdout


def test_every_package_is_looked_at() -> None:
    looked_at = root_settings()["tool"]["importlinter"]["root_packages"]

    assert sorted(looked_at) == [import_name(package) for package in PACKAGES]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_the_layers_inside_every_package_are_named_exhaustively(package: Path) -> None:
    name = import_name(package)

    named = [one for one in contracts() if name in str(one.get("containers", ""))]

    assert name in FLAT or named
    assert all(one.get("exhaustive") is True for one in named)


@pytest.mark.parametrize("module", modules(DOMAIN), ids=lambda module: module.stem)
def test_the_domain_imports_the_standard_library_only(module: Path) -> None:
    assert set(imported(module)) <= sys.stdlib_module_names | {"runtara_domain"}
