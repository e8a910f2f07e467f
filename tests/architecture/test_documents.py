"""Documents name what there is: links, files, variables, commands, and names of the code."""

import ast
import importlib.util
import re
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from textwrap import indent

from tests.architecture.house import ROOT

from runtara_cli.cli import runtara
from runtara_environment.config import EnvironmentSettings
from runtara_server.config import Settings

HISTORY = ("CHANGELOG.md", "docs/glossary.md")
"""Documents that name what was renamed or removed."""
FOREIGN = {
    *("as_completed", "epoll_pwait", "remote_apply", "remote_write"),
    *("temp_store", "_connection_worker_thread", "__frame_handlers"),
    *("DeprecationWarning", "QueueHandler", "SystemCallFilter"),
    *("MADV_POPULATE_WRITE", "CLONE_PARENT"),
}
"""Names of other people's programs that no code of ours has."""
INVENTED = {"old_name"}
"""Names that examples make up."""
ONE_PROGRAM = ("docs/environment.md",)
"""Documents whose blocks together are a program, which another test runs."""
NO_CODE = (".md", ".lock", ".svg", ".db", ".csv", ".png")

_FENCED = re.compile(r"^\s*```.*?^\s*```", re.DOTALL | re.MULTILINE)
_PYTHON = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
_QUOTED = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
_FILE = re.compile(r"(?:[\w.*-]+/)*[\w*-]+\.(?:py|sql|proto|service|svg|md)")
_NAME = re.compile(
    r"\b(?:[A-Z][a-z]+(?:[A-Z][a-z]+)+|_*[a-z]+(?:_[a-z0-9]+)+|[A-Z]+(?:_[A-Z]+)+)\b"
)
_DOTTED = re.compile(r"\bruntara_[a-z_]+(?:\.\w+)+")
_COMMAND = re.compile(r"(?:^|[`(&|]|uv run )runtara ([a-z]+)\b(?![.=])", re.MULTILINE)
_MODULE = re.compile(r"python -m ([a-z_.]*[a-z])")
_TARGET = re.compile(r"(?:^|`)make ([a-z]+)\b", re.MULTILINE)


@cache
def files() -> tuple[str, ...]:
    """Name the files of the repository."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return tuple(name for name in listed.stdout.splitlines() if (ROOT / name).is_file())


@cache
def words_of_the_code() -> frozenset[str]:
    """Collect the words of all files that are no documents, and the names of settings."""
    texts = [
        (ROOT / name).read_text(errors="replace")
        for name in files()
        if not name.endswith(NO_CODE) and name != "tests/architecture/test_documents.py"
    ]
    settings = [*EnvironmentSettings.model_fields, *Settings.model_fields]
    return frozenset(word for text in texts for word in re.findall(r"\w+", text)) | {
        f"RUNTARA_{field.upper()}" for field in settings
    }


def documents() -> Iterator[tuple[str, str]]:
    """Give each document with its text."""
    for name in files():
        if name.endswith(".md"):
            yield name, (ROOT / name).read_text()


def quoted(text: str) -> list[str]:
    """List what stands in backticks, outside of blocks of code."""
    return _QUOTED.findall(_FENCED.sub("", text))


def is_known_name(name: str) -> bool:
    return name in FOREIGN | INVENTED or name in words_of_the_code()


def is_in_its_module(name: str) -> bool:
    """Tell whether a dotted name is a module, or a word in the module before its last dot."""
    path, _, last = name.replace(".", "/").rpartition("/")
    around = (f"/src/{path}.py", f"/src/{path}/__init__.py")
    modules = [ROOT / each for each in files() if each.endswith(around)]
    own = (f"/src/{path}/{last}.py", f"/src/{path}/{last}/__init__.py")
    is_module = any(each.endswith(own) for each in files())
    return is_module or any(re.search(rf"\b{last}\b", each.read_text()) for each in modules)


def imported_by(block: str) -> Iterator[tuple[str, str]]:
    """Give the names that a block imports from our packages; raises SyntaxError if it is none."""
    inner = block if block.startswith(" ") else indent(block, "    ")
    for node in ast.walk(ast.parse(f"async def page():\n{inner}")):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("runtara"):
            yield from ((str(node.module), each.name) for each in node.names)


def is_dead(document: str, path: str, anchor: str) -> bool:
    """Tell whether a link leads to no file or folder, or to no heading of it."""
    target = (ROOT / document).parent / path if path else ROOT / document
    if not anchor or not target.is_file():
        return not target.exists()
    headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
    return anchor not in {
        re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings
    }


def test_links_lead_to_files_folders_or_headings() -> None:
    """Links to other sites are not followed."""
    dead = [
        (document, path, anchor)
        for document, text in documents()
        for path, anchor in _LINK.findall(text)
        if "://" not in path and is_dead(document, path, anchor)
    ]

    assert dead == []


def test_files_in_backticks_exist() -> None:
    """A path is whole, or the end of one; `*` stands for any part of a name."""
    unknown = [
        (name, path)
        for name, text in documents()
        if name not in HISTORY
        for word in quoted(text)
        if _FILE.fullmatch(path := word.strip())
        if not any(fnmatch(f"/{each}", f"*/{path}") for each in files())
    ]

    assert unknown == []


def test_names_in_backticks_are_in_the_code() -> None:
    """Words with an underscore or inner capitals: functions, classes, constants, variables."""
    unknown = [
        (document, name)
        for document, text in documents()
        if document not in HISTORY
        for word in quoted(text)
        for name in _NAME.findall(_FILE.sub("", word))
        if not is_known_name(name)
    ]

    assert unknown == []


def test_dotted_names_in_backticks_are_in_their_modules() -> None:
    """A package, a module in it, and what that module has."""
    unknown = [
        (document, name)
        for document, text in documents()
        if document not in HISTORY
        for word in quoted(text)
        for name in _DOTTED.findall(word)
        if not is_in_its_module(name)
    ]

    assert unknown == []


def test_examples_are_python_and_import_what_there_is() -> None:
    """A block may begin inside of a function, and `...` may stand for a body."""
    unknown = [
        (document, f"{module}.{name}")
        for document, text in documents()
        if document not in ONE_PROGRAM
        for block in _PYTHON.findall(text)
        for module, name in imported_by(block)
        if not is_in_its_module(f"{module}.{name}")
    ]

    assert unknown == []


def test_commands_exist() -> None:
    """These are commands of `runtara`, modules that `python -m` runs, and targets of `make`."""
    commands = {*runtara.list_commands(None)}  # type: ignore[arg-type]
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    unknown = [
        (name, said)
        for name, text in documents()
        for said, is_there in [
            *((each, each in commands) for each in _COMMAND.findall(text)),
            *((each, importlib.util.find_spec(each) is not None) for each in _MODULE.findall(text)),
            *((each, each in targets) for each in _TARGET.findall(text)),
        ]
        if not is_there
    ]

    assert unknown == []
