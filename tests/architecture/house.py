"""The packages of this repository, as they lie on the disk."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted((ROOT / "packages").glob("runtara*"))
GENERATED = ROOT / "packages/runtara-protocol/src/runtara_protocol/pb"


def root_settings() -> dict[str, Any]:
    """Read the settings all packages share."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def import_name(package: Path) -> str:
    """Tell what a package is imported as."""
    return package.name.replace("-", "_")


def modules(package: Path) -> list[Path]:
    """List a package's modules, but for generated ones."""
    files = sorted((package / "src").rglob("*.py"))
    return [file for file in files if not file.is_relative_to(GENERATED)]


def imported(module: Path) -> Iterator[str]:
    """Name every package a module imports from, wherever in it."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{module}: a relative import"
            yield node.module.partition(".")[0]


def functions(module: Path) -> Iterator[tuple[str, int]]:
    """Name every function of a module, with its lines."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1
