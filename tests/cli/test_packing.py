"""What is packed of a file, a folder, a module and a wheel, and what the command says of it."""

import io
import os
import zipfile
from pathlib import Path

import pytest

from runtara_cli.packing import NotPackable, Packed, pack

FLOW = "from runtara_sdk import workflow\n\n@workflow\nasync def {0}() -> None: ...\n"


def names(packed: Packed) -> list[str]:
    """List the files of a packed zip."""
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        return sorted(archive.namelist())


def put(folder: Path, **files: str) -> None:
    """Write modules: `a__b` is `a/b.py`."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_file_takes_along_what_it_imports_of_its_folder(tmp_path: Path) -> None:
    """It takes no other file of the folder. The same code gives the same bytes."""
    put(tmp_path, flow=f"import helper\n{FLOW.format('run')}", helper="", other="")

    packed = pack(str(tmp_path / "flow.py"))
    os.utime(tmp_path / "flow.py", (1, 1))

    assert names(packed) == ["flow.py", "helper.py"]
    assert [(one.name, one.target) for one in packed.workflows] == [("run", "flow:run")]
    assert set(packed.files) == {tmp_path / "flow.py", tmp_path / "helper.py"}
    assert pack(str(tmp_path / "flow.py")).content == packed.content


def test_a_file_of_a_package_is_imported_as_a_part_of_it(tmp_path: Path) -> None:
    """Its name is the dotted one, and its package comes along."""
    put(tmp_path, shop__flow=FLOW.format("run"))
    (tmp_path / "shop/__init__.py").write_text("")

    packed = pack(str(tmp_path / "shop/flow.py"))

    assert names(packed) == ["shop/__init__.py", "shop/flow.py"]
    assert packed.workflows[0].target == "shop.flow:run"


def test_a_folder_is_taken_whole_but_for_what_is_hidden(tmp_path: Path) -> None:
    """Its `src` if it has one. The command lists requirements that are not met."""
    put(tmp_path, src__shop__flow=FLOW.format("run"), src__shop__data="", tests__test_flow="")
    (tmp_path / "src/shop/prices.json").write_text("{}")
    (tmp_path / "src/.secret").write_text("")
    (tmp_path / "pyproject.toml").write_text(
        '[project]\ndependencies = ["click>=8", "nothing-of-this-name>=1", "click>=99",'
        " \"not-here; python_version < '3'\"]\n"
    )

    packed = pack(str(tmp_path))

    assert names(packed) == ["shop/data.py", "shop/flow.py", "shop/prices.json"]
    assert packed.workflows[0].target == "shop.flow:run"
    assert packed.lacking == ("nothing-of-this-name>=1", "click>=99")


def test_a_module_is_found_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module is in the current folder, or its `src`."""
    put(tmp_path, src__shop__flow=FLOW.format("run"), src__shop__other=FLOW.format("other"))
    monkeypatch.chdir(tmp_path)

    assert names(pack("shop.flow")) == ["shop/flow.py"]


def test_a_wheel_is_taken_as_it_is(tmp_path: Path) -> None:
    """Its workflows are found, and what its metadata asks for."""
    wheel = tmp_path / "shop-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("shop/__init__.py", FLOW.format("run"))
        archive.writestr("shop-1.dist-info/METADATA", "Name: shop\nRequires-Dist: no-such (>=1)\n")

    packed = pack(str(wheel))

    assert packed.content == wheel.read_bytes()
    assert packed.workflows[0].target == "shop:run"
    assert packed.lacking == ("no-such (>=1)",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "has no function decorated with @workflow"),
        ("import nothing_like_this", "No module named 'nothing_like_this'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        (FLOW.format("a") + "\n@workflow(name='a')\nasync def b() -> None: ...\n", "one name"),
    ],
)
def test_what_can_not_be_deployed_says_why(tmp_path: Path, text: str, said: str) -> None:
    """If its import fails, the error has the traceback."""
    put(tmp_path, flow=text)

    with pytest.raises(NotPackable, match=said):
        pack(str(tmp_path / "flow.py"))
