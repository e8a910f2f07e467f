"""What a mutant is, and how one comes to life."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.mutants import syntax

ROOT = Path(__file__).parents[2]

_QUERY = re.compile(r"^-- name: ([^\n]+)\n(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)
# What a mutant of a query need not repeat: white space and comments.
_SPACE = r"(?:\s|--(?! include: )[^\n]*\n)+"


@dataclass(frozen=True)
class Mutant:
    """
    A small wrong patch of our own code. wrong: what it does wrong, in a sentence.

    file: from its package's top module on. inside: the function or class, by its dotted name, or
    the named query of a .sql file; "" is the whole module. old: code that stands there exactly
    once, whatever its layout, and is replaced by new.
    caught_by: the tests of which each must fail with it.
    """

    wrong: str
    file: str
    inside: str
    old: str
    new: str
    caught_by: tuple[str, ...]

    @property
    def source(self) -> Path:
        """The file it is a patch of."""
        package = Path(self.file).parts[0].replace("_", "-")
        return ROOT / "packages" / package / "src" / self.file

    def patched(self) -> str:
        """Give the file's text with the patch; raises LookupError unless it fits exactly once."""
        if self.file.endswith(".sql"):
            return self._patched_query()
        return syntax.patched(self.source.read_text(), self.inside, self.old, self.new)

    def bring_to_life(self, folder: Path) -> None:
        """Copy all our packages into a folder, this file patched."""
        copy_packages(folder)
        (folder / self.file).write_text(self.patched())

    def _query(self) -> re.Match[str]:
        queries = _QUERY.finditer(self.source.read_text())
        found = [query for query in queries if query[1] == self.inside]
        if len(found) != 1:
            raise LookupError(f"{self.file} has {len(found)} queries named {self.inside!r}")
        return found[0]

    def _patched_query(self) -> str:
        query = self._query()
        old = re.compile(_SPACE.join(map(re.escape, self.old.split())))
        patched, count = old.subn(lambda _: self.new, query[2])
        if count != 1:
            raise LookupError(f"{self.inside} holds {count} times, not once: {self.old!r}")
        text = query.string
        return text[: query.start(2)] + patched + text[query.end(2) :]


def copy_packages(folder: Path) -> None:
    """Copy all our packages into one folder, to stand in PYTHONPATH."""
    for source in sorted((ROOT / "packages").glob("*/src/*/")):
        if source.name.isidentifier():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / source.name, ignore=ignored)
