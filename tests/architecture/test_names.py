"""A name leads to one thing."""

import importlib
import pkgutil
import sys

import pytest
from tests.architecture.house import PACKAGES, ROOT, import_name


def test_no_two_test_files_of_a_folder_differ_by_an_s() -> None:
    """A name that a reader remembers leads to one file."""
    modules = {file.with_suffix("") for file in (ROOT / "tests").rglob("*.py")}

    assert [name for name in sorted(modules) if name.with_name(f"{name.name}s") in modules] == []


@pytest.mark.parametrize("package", [import_name(package) for package in PACKAGES])
def test_no_module_takes_the_place_of_a_public_name(package: str) -> None:
    """The first import of a module binds its name in its package, over what the package offers."""
    public = importlib.import_module(package)
    modules = {found.name for found in pkgutil.iter_modules(public.__path__)}
    names = modules & set(getattr(public, "__all__", ()))

    assert [name for name in names if f"{package}.{name}" not in sys.modules] == []
