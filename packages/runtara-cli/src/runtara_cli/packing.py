"""Packs a folder, a file, a module or a wheel as a Python image, and finds its workflows."""

import io
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from runtara_domain.record import record

_PROGRAM = Path(__file__).with_name("discovery.py")
_LEFT_OUT = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "env"})
_EPOCH = (1980, 1, 1, 0, 0, 0)


class NotPackable(Exception):
    """The named code can't be deployed; the message says which code can."""


@record
class Workflow:
    """A workflow that was found: its name, MODULE:FUNCTION, and the schedule that it declares."""

    name: str
    target: str
    schedule: Mapping[str, object] | None = None


@record
class Packed:
    """
    Code, ready to be deployed.

    content: a zip or a wheel; the same code gives the same bytes. files: those that it was made of,
    to be watched. lacking: requirements of its metadata that the interpreter doesn't meet.
    """

    content: bytes
    workflows: tuple[Workflow, ...]
    files: tuple[Path, ...]
    lacking: tuple[str, ...] = ()


def pack(source: str, python: str = sys.executable) -> Packed:
    """
    Pack named code; raises NotPackable.

    source: a wheel; a .py file, with the modules that it imports from its folder; a folder (its
    `src`, if it has one), without hidden files and virtual environments; or a module that can be
    imported from the current folder. python: the interpreter that will run the code.
    """
    path = Path(source)
    if path.suffix == ".whl" and path.is_file():
        return _wheel(path, python)
    if path.is_dir():
        return _folder(path.absolute(), python)
    return _imported(*located(source), python)


def located(source: str) -> tuple[Path, str]:
    """Return the folder from which a .py file or a module is imported, and its name."""
    path = Path(source)
    if path.is_file() and path.suffix == ".py":
        return _module_of(path.absolute())
    if re.fullmatch(r"\w+(\.\w+)*", source) and not path.exists():
        return _named(source)
    raise NotPackable(
        f"there is no Python file, folder, wheel or module {source!r}: name one that exists"
    )


def sources(source: str) -> list[Path]:
    """List the files that `pack` would begin with, without importing any; none if it is nothing."""
    path = Path(source)
    if path.is_dir():
        folder = path.absolute()
        return [*_below(_root(folder)), folder / "pyproject.toml"]
    if path.is_file():
        return [path.absolute()]
    try:
        root, module = _named(source)
    except NotPackable:
        return []
    return [_file(root, module)]


def _wheel(path: Path, python: str) -> Packed:
    with TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)
        except (zipfile.BadZipFile, OSError) as error:
            raise NotPackable(f"{path} is no wheel: {error}") from error
        root = Path(folder).resolve()
        modules = _modules(file.relative_to(root) for file in sorted(root.rglob("*.py")))
        asked = [
            line.partition(":")[2].strip()
            for metadata in root.glob("*.dist-info/METADATA")
            for line in metadata.read_text(encoding="utf-8").splitlines()
            if line.startswith("Requires-Dist:")
        ]
        found = _discovered(root, modules, python, asked)
    return Packed(path.read_bytes(), *_required(found, str(path)), (path,), _lacking(found))


def _folder(folder: Path, python: str) -> Packed:
    root = _root(folder)
    files = sorted(_below(root))
    modules = _modules(file.relative_to(root) for file in files if file.suffix == ".py")
    modules = [name for name in modules if _mentions_workflow(root, name)]
    found = _discovered(root, modules, python, _project_requirements(folder))
    project = folder / "pyproject.toml"
    watched = (*files, project) if project.is_file() else tuple(files)
    return Packed(_zipped(root, files), *_required(found, str(folder)), watched, _lacking(found))


def _imported(root: Path, module: str, python: str) -> Packed:
    found = _discovered(root, [module], python)
    workflows = _required(found, module)
    files = [root / name for name in found["files"]]
    if (root / "site-packages").name in root.parts:
        files = [file for file in files if file.relative_to(root).parts[0] == module.split(".")[0]]
    return Packed(_zipped(root, files), *workflows, tuple(files))


def _module_of(file: Path) -> tuple[Path, str]:
    """Return the folder from which a file is imported, and its module's name."""
    parts = [] if file.stem == "__init__" else [file.stem]
    folder = file.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    if not all(part.isidentifier() for part in parts):
        raise NotPackable(f"{file.name!r} can't be imported: a module's name is an identifier")
    return folder, ".".join(parts)


def _named(module: str) -> tuple[Path, str]:
    """Find a module's folder: in the current folder, or among installed packages."""
    for entry in [os.getcwd(), f"{os.getcwd()}/src", *sys.path]:
        base = Path(entry, *module.split("."))
        if base.with_suffix(".py").is_file() or (base / "__init__.py").is_file():
            return Path(entry).absolute(), module
    raise NotPackable(f"there is no file, folder or module {module!r} in {Path.cwd()}")


def _below(folder: Path) -> Iterable[Path]:
    for entry in folder.iterdir():
        if entry.name.startswith(".") or entry.name in _LEFT_OUT or entry.suffix == ".pyc":
            continue
        if entry.is_dir():
            if not (entry / "pyvenv.cfg").exists():
                yield from _below(entry)
        elif entry.is_file():
            yield entry


def _modules(files: Iterable[Path]) -> list[str]:
    found = []
    for file in files:
        parts = [*file.parts[:-1], *([] if file.stem == "__init__" else [file.stem])]
        if parts and all(part.isidentifier() for part in parts):
            found.append(".".join(parts))
    return found


def _mentions_workflow(root: Path, module: str) -> bool:
    """Return whether a module may define a workflow: others are not imported to find out."""
    return b"workflow" in _file(root, module).read_bytes()


def _root(folder: Path) -> Path:
    return folder / "src" if (folder / "src").is_dir() else folder


def _file(root: Path, module: str) -> Path:
    base = root.joinpath(*module.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


def _project_requirements(folder: Path) -> Sequence[str]:
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise NotPackable(f"{folder / 'pyproject.toml'}: {error}") from error
    asked = project.get("project", {}).get("dependencies", [])
    return [one for one in asked if isinstance(one, str)]


def _zipped(root: Path, files: Sequence[Path]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            entry = zipfile.ZipInfo(file.relative_to(root).as_posix(), _EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())
    return made.getvalue()


def _discovered(
    root: Path, modules: Sequence[str], python: str, requirements: Sequence[str] = ()
) -> dict[str, Any]:
    command = [python, str(_PROGRAM), str(root), *modules, "--", *requirements]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise NotPackable(f"{python} can't be run: {error.strerror}") from error
    lines = ended.stdout.splitlines()
    try:
        found: dict[str, Any] = json.loads(lines[-1])
    except (IndexError, ValueError) as error:
        raise NotPackable(f"{python} has ended with {ended.returncode}: {ended.stderr}") from error
    return found


def _required(found: dict[str, Any], source: str) -> tuple[tuple[Workflow, ...]]:
    if "problem" in found:
        lacking = "".join(f"\nIt needs {one}, which is not installed." for one in found["lacking"])
        raise NotPackable(f"{source} can't be imported:\n{found['problem'].rstrip()}{lacking}")
    workflows = tuple(Workflow(**one) for one in found["workflows"])
    if not workflows:
        raise NotPackable(f"{source} has no function decorated with @workflow")
    names = [one.name for one in workflows]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        targets = ", ".join(one.target for one in workflows if one.name in twice)
        raise NotPackable(f"{source} has several workflows of one name: {targets}")
    return (workflows,)


def _lacking(found: dict[str, Any]) -> tuple[str, ...]:
    return tuple(found["lacking"])
