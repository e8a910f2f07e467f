"""Programs that read the types of our records at run time, such as pydantic, can resolve them."""

from collections.abc import Iterator
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

import pytest
from tests.architecture.house import PACKAGES, modules


def listing(package: Path) -> Iterator[str]:
    """Name the modules of a package that list what is public."""
    for file in modules(package):
        if "\n__all__ = " in file.read_text():
            parts = file.relative_to(package / "src").with_suffix("").parts
            yield ".".join(parts).removesuffix(".__init__")


LISTING = [name for package in PACKAGES for name in listing(package)]


def is_resolved(kind: type) -> bool:
    """Whether the types of a class's fields have values at run time."""
    try:
        get_type_hints(kind)
    except NameError:
        return False
    return True


@pytest.mark.parametrize("name", LISTING)
def test_the_types_of_the_fields_of_public_records_are_there_at_run_time(name: str) -> None:
    """Their modules import them; `if TYPE_CHECKING` is for functions only."""
    module = import_module(name)
    public = {one: getattr(module, one) for one in module.__all__}
    records = {one: kind for one, kind in public.items() if isinstance(kind, type)}

    assert [
        one for one, kind in records.items() if is_dataclass(kind) and not is_resolved(kind)
    ] == []


def test_the_records_of_the_core_are_looked_at() -> None:
    assert {"runtara_domain.model", "runtara_persistence", "runtara_sdk"} <= set(LISTING)
