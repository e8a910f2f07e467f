"""
Named queries of a .sql file: each begins with a line `-- name: method.part`.

A line `-- include: name` is replaced by the text of that name in `fragments.sql`, the folder's or
that of `transactions/sql`. A comma or semicolon at the end of the line stays behind the text.

The files of `transactions/sql` are for both databases. They are written for PostgreSQL, but with
parameters by name: `:instance_id`. SQLite gets the same text without what it neither has nor needs:
casts (`::text`), the collation "C", which is its own, and locks of rows (`FOR UPDATE`), because one
step writes at a time. The cast of a column to `bytea` stays, because SQLite's column may hold text.
`= ANY (:names)` becomes a look-up in a JSON array, and `IS DISTINCT FROM` its short form. Where
that is not enough, a query or fragment has two texts, of which each says its database: `-- name:
method.part for sqlite`. A query that only one database needs has one such text: the other database
does not execute it.
"""

import re
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

_HEADER = re.compile(r"^-- name:(.*)$", re.MULTILINE)
_INCLUDE = re.compile(r"^( *)-- include: ([a-z_]+)([,;]?)$", re.MULTILINE)
_NAME = re.compile(r"[a-z_]+(\.[a-z_]+)*( for (postgres|sqlite))?")

_OPAQUE = r"""(?P<opaque>'[^']*'|"[^"]*"|--[^\n]*)"""
"""Texts and comments, in which nothing is replaced."""
_PARAMETER = re.compile(_OPAQUE + r"|(?<!:):(?P<name>[a-z_][a-z_0-9]*)")
_NOT_SQLITE = re.compile(
    r"""(?P<collation> COLLATE "C")|"""
    + _OPAQUE
    + r"|(?P<bytes>(?<![:\w.])[a-z_.]+)::bytea\b|(?P<cast>::[a-z_0-9]+(\[\])?)"
    r"|(?P<lock>\n *FOR (NO KEY )?(UPDATE|SHARE|KEY SHARE)( OF [a-z_]+)?( SKIP LOCKED)?\b)"
    r"|IS (?P<same>NOT )?(?P<null_safe>DISTINCT FROM)"
    r"|= ANY \(:(?P<array>[a-z_]+)(::text\[\])?\)"
)

_SHARED = "runtara_persistence.transactions"
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
        self._database = package.rpartition(".")[2]
        self._fragments = _fragment_texts(self._database)

    def __getitem__(self, name: str) -> str:
        return self._queries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._queries)

    def __len__(self) -> int:
        return len(self._queries)

    @cached_property
    def _queries(self) -> Queries:
        fragments = _fragments(self._database, *self._fragments)
        return Queries(include(self._text, fragments), source=self._source)


class Positional(NamedTuple):
    """A query with the parameters `$1`, `$2`, ... and their names in this order."""

    text: str
    names: tuple[str, ...]


class Statement:
    """A query of both databases; its text for one of them is made at first use."""

    def __init__(self, *, postgres: str | None, sqlite: str | None) -> None:
        self._postgres, self._sqlite = postgres, sqlite

    @cached_property
    def postgres(self) -> Positional | None:
        """The text for PostgreSQL; None if only SQLite needs the query."""
        return None if self._postgres is None else _positional(self._postgres)

    @cached_property
    def sqlite(self) -> str | None:
        """The text for SQLite, with parameters by name; None if only PostgreSQL needs the query."""
        return None if self._sqlite is None else _for_sqlite(self._sqlite)


class Statements(Mapping[str, Statement]):
    """The queries of a file in `transactions/sql`, read and divided as a `File`."""

    def __init__(self, file: str) -> None:
        self._source = f"{_SHARED}/sql/{file}"
        self._text = _read(_SHARED, file)
        self._fragments = {each: _fragment_texts(each) for each in ("postgres", "sqlite")}

    def __getitem__(self, name: str) -> Statement:
        return self._statements[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._statements)

    def __len__(self) -> int:
        return len(self._statements)

    @cached_property
    def _statements(self) -> dict[str, Statement]:
        queries = Queries(self._text, source=self._source)
        names = dict.fromkeys(name.partition(" for ")[0] for name in queries)
        return {
            name: Statement(
                postgres=self._of(queries, name, "postgres"),
                sqlite=self._of(queries, name, "sqlite"),
            )
            for name in names
        }

    def _of(self, queries: Queries, name: str, database: str) -> str | None:
        text = queries.get(f"{name} for {database}", queries.get(name))
        if text is None:
            return None
        return include(text, _fragments(database, *self._fragments[database]))


def _positional(text: str) -> Positional:
    names: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        name = found["name"]
        return found[0] if name is None else f"${names.setdefault(name, len(names) + 1)}"

    return Positional(_PARAMETER.sub(number, text), tuple(names))


def _for_sqlite(text: str) -> str:
    return _NOT_SQLITE.sub(_in_sqlite, text)


def _in_sqlite(found: re.Match[str]) -> str:
    if found["array"] is not None:
        return f"IN (SELECT value FROM json_each(:{found['array']}))"
    if found["bytes"] is not None:
        return f"CAST({found['bytes']} AS BLOB)"
    if found["null_safe"] is not None:
        return "IS NOT" if found["same"] is None else "IS"
    return found["opaque"] or ""


@cache
def shared(file: str) -> Statements:
    """Give the queries of a file that both databases share."""
    return Statements(file)


@cache
def load(package: str, file: str) -> File:
    """Give the queries of a file in a package's folder `sql`, with the included fragments."""
    return File(package, file)


def _fragment_texts(database: str) -> tuple[str, str]:
    own = _read(f"runtara_persistence.{database}", "fragments.sql")
    return own, _read(_SHARED, "fragments.sql")


@cache
def _fragments(database: str, own: str, common: str) -> Queries:
    """Return an adapter's own fragments and the common ones, as its database takes them."""
    found = Queries(own, source="fragments.sql")
    for name, text in Queries(common, source="fragments.sql").items():
        base, _, only = name.partition(" for ")
        if only not in ("", database):
            continue
        if base in found:
            raise ValueError(f"fragments.sql: two fragments of {database} are named {base!r}")
        found[base] = _for_sqlite(text) if database == "sqlite" else text
    return found


@cache
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
