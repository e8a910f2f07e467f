"""Named queries of a .sql file: each begins with a line `-- name: method.part`."""

import re
from collections.abc import Iterator
from importlib import resources

_HEADER = re.compile(r"^-- name:(.*)$", re.MULTILINE)
_NAME = re.compile(r"[a-z_]+(\.[a-z_]+)*")


class Queries:
    """
    The queries of one text, by name.

    A text that isn't made of named queries raises ValueError, an unknown name KeyError: both when
    the module that asks is imported.
    """

    def __init__(self, text: str, *, source: str) -> None:
        self._source = source
        self._texts: dict[str, str] = {}
        for name, query in _split(text, source):
            if name in self._texts:
                raise ValueError(f"{source}: two queries are named {name!r}")
            self._texts[name] = query

    def __getitem__(self, name: str) -> str:
        try:
            return self._texts[name]
        except KeyError:
            known = ", ".join(self._texts)
            raise KeyError(f"{self._source} has no query {name!r}, only {known}") from None


def load(package: str, file: str) -> Queries:
    """Read the queries of a file in the folder `sql` of a package."""
    text = resources.files(package).joinpath("sql", file).read_text(encoding="utf-8")
    return Queries(text, source=f"{package}/sql/{file}")


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
