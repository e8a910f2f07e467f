"""Nothing is so long that it can't be read in one go."""

from pathlib import Path

import pytest
from tests.architecture.house import PACKAGES, functions, modules

LONGEST_MODULE = 400
LONGEST_FUNCTION = 45

every_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)


@every_package
def test_no_module_is_over_400_lines(package: Path) -> None:
    lengths = {str(file): len(file.read_text().splitlines()) for file in modules(package)}

    assert {name: count for name, count in lengths.items() if count > LONGEST_MODULE} == {}


@every_package
def test_no_function_is_over_45_lines(package: Path) -> None:
    lengths = {
        f"{file}:{name}": count for file in modules(package) for name, count in functions(file)
    }

    assert {name: count for name, count in lengths.items() if count > LONGEST_FUNCTION} == {}
