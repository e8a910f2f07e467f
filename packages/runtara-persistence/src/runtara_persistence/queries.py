"""
Named queries of a .sql file: each begins with a line `-- name: method.part`.

A line `-- include: name` is replaced by the text of that name in the folder's `fragments.sql`. A
comma or semicolon at the end of the line stays behind the text.
"""

import re
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path

_HEADER = re.compile(r"^-- name:(.*)$", re.MULTILINE)
_INCLUDE = re.compile(r"^( *)-- include: ([a-z_]+)([,;]?)$", re.MULTILINE)
_NAME = re.compile(r"[a-z_]+(\.[a-z_]+)*")


_FOLDER = Path(__file__).parents[1]
"""Not by importlib.resources: its import takes longer than reading all of an adapter's files."""


class Queries(dict[str, str]):
    """
    The queries of one text, by name.

    A text that has other parts than named queries raises ValueError; an unknown name, KeyError.
    """

    def __init__(self, text: str, *, source: str) -> None:
        super().__init__()
        self._source = source
        for name, query in _split(text, source):
            if name in self:
                raise ValueError(f"{source}: two queries are named {name!r}")
            self[name] = query

    def __missing__(self, name: str) -> str:
        raise KeyError(f"{self._source} has no query {name!r}, only {', '.join(self)}")


class File(Mapping[str, str]):
    """
    The queries of a file, which is read at once, and divided when the first one is asked for.

    So a module has the queries of its own version, even if the files are replaced while it runs.
    """

    def __init__(self, package: str, file: str) -> None:
        self._source = f"{package}/sql/{file}"
        self._text = _read(package, file)
        self._fragments_text = _read(package, "fragments.sql")

    def __getitem__(self, name: str) -> str:
        return self._queries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._queries)

    def __len__(self) -> int:
        return len(self._queries)

    @cached_property
    def _queries(self) -> Queries:
        return Queries(include(self._text, _fragments(self._fragments_text)), source=self._source)


@cache
def load(package: str, file: str) -> File:
    """Give the queries of a file in a package's folder `sql`, with the included fragments."""
    return File(package, file)


@cache
def _fragments(text: str) -> Queries:
    return Queries(text, source="fragments.sql")


def _read(package: str, file: str) -> str:
    return _FOLDER.joinpath(*package.split("."), "sql", file).read_text(encoding="utf-8")


def include(text: str, fragments: Queries) -> str:
    """
    Replace the lines that name fragments by the fragments; fragments may include others.

    Raises KeyError for an unknown name.
    """

    def fragment(line: re.Match[str]) -> str:
        indent, name, end = line.groups()
        return textwrap.indent(include(fragments[name], fragments), indent) + end

    return _INCLUDE.sub(fragment, text)


def _split(text: str, source: str) -> Iterator[tuple[str, str]]:
    preamble, *parts = _HEADER.split(text)
    if preamble.strip():
        raise ValueError(f"{source}: text before the first name")
    for header, body in zip(parts[::2], parts[1::2], strict=True):
        name, query = header.strip(), body.strip().removesuffix(";")
        if not _NAME.fullmatch(name):
            raise ValueError(f"{source}: {name!r} is no name of a query")
        if not query:
            raise ValueError(f"{source}: {name!r} is empty")
        yield name, query
