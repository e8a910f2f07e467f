"""A file's name tells it from its neighbours."""

from tests.architecture.house import ROOT


def test_no_two_test_files_of_a_folder_differ_by_an_s() -> None:
    """A reader who remembers a name finds the one file it is the name of."""
    modules = {file.with_suffix("") for file in (ROOT / "tests").rglob("*.py")}

    assert [name for name in sorted(modules) if name.with_name(f"{name.name}s") in modules] == []
