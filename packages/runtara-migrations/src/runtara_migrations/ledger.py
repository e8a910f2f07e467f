"""The migrations there are, those a database has had, and whether the two agree."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

_FILE_NAME = re.compile(r"(?P<version>[0-9]{3})_[a-z0-9_]+\.sql")


class MigrationError(Exception):
    """The schema was not brought up to date; the message says why and names the migration."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A migration as the ledger of a database records it."""

    version: int
    name: str
    checksum: str


@dataclass(frozen=True, slots=True)
class Migration:
    """A numbered file of SQL."""

    version: int
    name: str
    sql: str

    @property
    def entry(self) -> Entry:
        """What the ledger keeps of it."""
        return Entry(self.version, self.name, hashlib.sha256(self.sql.encode()).hexdigest())


@cache
def packaged(database: str) -> tuple[Migration, ...]:
    """Read the migrations that come with this program for a kind of database."""
    return read_folder(resources.files("runtara_migrations").joinpath("sql", database))


def read_folder(folder: Traversable) -> tuple[Migration, ...]:
    """
    Read a folder of migrations, in order of number.

    Raises MigrationError if a file is not named `NNN_verb_what.sql`, or a number is taken twice.
    """
    migrations: dict[int, Migration] = {}
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        match = _FILE_NAME.fullmatch(file.name)
        if match is None:
            raise MigrationError(f"Migration {file.name} is not named NNN_verb_what.sql")
        version = int(match["version"])
        if version in migrations:
            raise MigrationError(f"Migrations {migrations[version].name} and {file.name} clash")
        sql = file.read_bytes().decode()
        migrations[version] = Migration(version, file.name.removesuffix(".sql"), sql)
    return tuple(migrations.values())


def pending(known: Sequence[Migration], applied: Iterable[Entry]) -> list[Migration]:
    """
    Return what a database still needs, in order.

    What it has had beyond the newest known one is taken to be of a newer program, and to only have
    added what this one need not know. Raises MigrationError if it has had another than the known
    ones up to that, or not so.
    """
    entries = {entry.version: entry for entry in applied}
    by_version = {migration.version: migration for migration in known}
    newest = max(by_version, default=0)
    for entry in entries.values():
        if entry.version <= newest:
            _check(entry, by_version.get(entry.version))
    waiting = [migration for migration in known if migration.version not in entries]
    if waiting and waiting[0].version < max(entries, default=0):
        raise MigrationError(
            f"Migration {waiting[0].name} was never applied to this database, though later ones"
            " were: the file was added out of order, or its row in runtara_migrations is gone"
        )
    return waiting


def _check(entry: Entry, migration: Migration | None) -> None:
    if migration is None:
        raise MigrationError(f"Migration {entry.name} was applied, but its file is missing")
    if migration.entry != entry:
        raise MigrationError(
            f"Migration {migration.name} is not what was applied to this database as {entry.name}:"
            " its file was edited or renamed; put it back and add a new one instead"
        )
