"""A file's name tells it from its neighbours."""

from tests.architecture.house import ROOT


def test_no_two_test_files_of_a_folder_differ_by_an_s() -> None:
    """A name that a reader remembers leads to one file."""
    modules = {file.with_suffix("") for file in (ROOT / "tests").rglob("*.py")}

    assert [name for name in sorted(modules) if name.with_name(f"{name.name}s") in modules] == []
