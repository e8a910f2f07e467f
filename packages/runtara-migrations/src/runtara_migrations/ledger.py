"""The migrations of this program, the migrations applied to a database, and their comparison."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FILE_NAME = re.compile(r"(?P<version>[0-9]{3})_[a-z0-9_]+\.sql")


class MigrationError(Exception):
    """The schema could not be brought up to date; the message has the reason and the migration."""


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
        """The row that a ledger has for this migration."""
        return Entry(self.version, self.name, hashlib.sha256(self.sql.encode()).hexdigest())


@cache
def packaged(database: str) -> tuple[Migration, ...]:
    """Read the migrations that come with this program for a kind of database."""
    # Not by importlib.resources: its import takes longer than reading the files.
    return read_folder(Path(__file__).with_name("sql") / database)


def read_folder(folder: Path) -> tuple[Migration, ...]:
    """
    Read a folder of migrations, in order of number.

    Raises MigrationError if a file is not named `NNN_verb_what.sql`, or a number is taken twice.
    """
    migrations: dict[int, Migration] = {}
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        match = _FILE_NAME.fullmatch(file.name)
        if match is None:
            raise MigrationError(
                f"Migration {file.name}: the name takes the form NNN_verb_what.sql; rename the file"
            )
        version = int(match["version"])
        if version in migrations:
            raise MigrationError(
                f"Migrations {migrations[version].name} and {file.name} have the same number:"
                " renumber the newer one"
            )
        sql = file.read_bytes().decode()
        migrations[version] = Migration(version, file.name.removesuffix(".sql"), sql)
    return tuple(migrations.values())


def pending(known: Sequence[Migration], applied: Iterable[Entry]) -> list[Migration]:
    """
    Return the known migrations that a database still lacks, in order.

    Applied migrations above the newest known number belong to a newer program, and are ignored:
    they only add what an older program need not know. Raises MigrationError if an applied migration
    up to that number is unknown or differs from the known one, or if one was left out.
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
            " were: either the file was added out of order (give it the next number), or its row in"
            " the table runtara_migrations was deleted (insert the row again)"
        )
    return waiting


def _check(entry: Entry, migration: Migration | None) -> None:
    if migration is None:
        raise MigrationError(
            f"Migration {entry.name} was applied to this database, but its file is missing:"
            " reinstall runtara-migrations"
        )
    if migration.entry != entry:
        raise MigrationError(
            f"Migration {migration.name} differs from migration {entry.name}, which was applied to"
            " this database: its file was edited or renamed; restore the file, and put the change"
            " into a new migration"
        )
