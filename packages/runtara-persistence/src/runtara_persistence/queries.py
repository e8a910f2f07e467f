"""
Named queries of a .sql file: each begins with a line `-- name: method.part`.

A line `-- include: name` is replaced by the text of that name in the folder's `fragments.sql`. A
comma or semicolon at the end of the line stays behind the text.
"""

import re
import textwrap
from collections.abc import Iterator
from functools import cache
from importlib import resources

_HEADER = re.compile(r"^-- name:(.*)$", re.MULTILINE)
_INCLUDE = re.compile(r"^( *)-- include: ([a-z_]+)([,;]?)$", re.MULTILINE)
_NAME = re.compile(r"[a-z_]+(\.[a-z_]+)*")


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


def load(package: str, file: str) -> Queries:
    """Read the queries of a file in a package's folder `sql`, with the included fragments."""
    text = include(_read(package, file), _fragments(package))
    return Queries(text, source=f"{package}/sql/{file}")


@cache
def _fragments(package: str) -> Queries:
    return Queries(_read(package, "fragments.sql"), source=f"{package}/sql/fragments.sql")


def _read(package: str, file: str) -> str:
    return resources.files(package).joinpath("sql", file).read_text(encoding="utf-8")


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
