"""From one number on, migrations only add: programs of the version before go on working."""

import re
from collections.abc import Iterator, Sequence

import pytest

from runtara_migrations.ledger import Migration, packaged

FIRST_THAT_ONLY_ADDS = {"postgres": 7, "sqlite": 3}

_ADDED = re.compile(r"CREATE (TABLE|INDEX|TRIGGER|FUNCTION|OR REPLACE FUNCTION|VIEW)\b")
_NEW_TABLE = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)")
_UNIQUE_INDEX = re.compile(r"CREATE UNIQUE INDEX .*? ON (?:ONLY )?(\w+)")
_DROPPED_TRIGGER = re.compile(r"DROP TRIGGER (?:IF EXISTS )?(\w+)(?: ON \w+)?$")
_WRITTEN = re.compile(r"(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)")
_ALTERED = re.compile(r"ALTER TABLE (\w+) (.*)")
_ADDED_COLUMN = re.compile(r"ADD (?:COLUMN )?(?:IF NOT EXISTS )?\w+ .*")
_SETTING = re.compile(r"(SET|RESET) \(.*\)|ALTER (COLUMN )?\w+ SET (STORAGE|STATISTICS|DEFAULT) .*")
_WIDENED = re.compile(r"ALTER TABLE images DROP CONSTRAINT|DROP INDEX")
"""All that a block may do: let a table hold rows that it refused before."""
_CONSTRAINT = re.compile(r"ADD (CONSTRAINT|CHECK|UNIQUE|PRIMARY|FOREIGN|EXCLUDE)\b")


def narrowings(sql: str, new_tables: Sequence[str] = ()) -> list[str]:
    """
    Tell the statements of a migration that an older program may not bear.

    new_tables: those of earlier migrations that only add; a program before them doesn't use them.
    """
    statements = list(_statements(sql))
    tables = {*new_tables, *tables_made_in(sql)}
    return [each for each in statements if not _only_adds(each, statements, tables)]


def tables_made_in(sql: str) -> list[str]:
    """Tell the tables that a migration creates."""
    return [match[1] for each in _statements(sql) if (match := _NEW_TABLE.match(each))]


def _statements(sql: str) -> Iterator[str]:
    """Take a migration apart, on one line each; bodies of functions and triggers are left out."""
    plain = re.sub(r"--[^\n]*", "", sql)
    plain = re.sub(r"DO \$\$(.*?)\$\$", _block, plain, flags=re.DOTALL)
    plain = re.sub(r"\$(\w*)\$.*?\$\1\$", "''", plain, flags=re.DOTALL)
    plain = re.sub(r"\bBEGIN\b.*?;\s*END\b", "", plain, flags=re.DOTALL)
    for statement in plain.split(";"):
        if words := statement.split():
            yield " ".join(words)


def _block(match: re.Match[str]) -> str:
    """Stand for a block by what it executes, in a form of its own."""
    executed = re.findall(r"EXECUTE format\('(.*?)'", match[1])
    rest = re.sub(r"EXECUTE format\('.*?'", "", match[1])
    written = re.search(r"\b(EXECUTE|INSERT|UPDATE|DELETE|ALTER|CREATE|DROP|TRUNCATE)\b", rest)
    only_widens = written is None and all(map(_WIDENED.match, executed))
    return "CREATE VIEW widening" if only_widens else "DO narrowing"


def _only_adds(statement: str, statements: Sequence[str], new_tables: set[str]) -> bool:
    if match := _ALTERED.match(statement):
        return match[1] in new_tables or all(map(_change_only_adds, _changes(match[2])))
    if match := _UNIQUE_INDEX.match(statement):
        return match[1] in new_tables
    if match := _DROPPED_TRIGGER.match(statement):
        return any(re.match(rf"CREATE TRIGGER {match[1]}\b", each) for each in statements)
    if match := _WRITTEN.match(statement):
        return match[1] in new_tables
    return _ADDED.match(statement) is not None


def _changes(actions: str) -> Iterator[str]:
    """Take the actions of ALTER TABLE apart at the commas outside parentheses."""
    depth, action = 0, ""
    for letter in actions:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            yield action.strip()
            action = ""
        else:
            action += letter
    yield action.strip()


def _change_only_adds(action: str) -> bool:
    if _CONSTRAINT.match(action):
        return False
    if _ADDED_COLUMN.fullmatch(action):
        is_optional = "NOT NULL" not in action or " DEFAULT " in action
        return is_optional and not re.search(r"\b(CHECK|UNIQUE|PRIMARY KEY)\b", action)
    return _SETTING.fullmatch(action) is not None


ONLY_ADDING = [
    (database, migration)
    for database, first in FIRST_THAT_ONLY_ADDS.items()
    for migration in packaged(database)
    if migration.version >= first
]


@pytest.mark.parametrize(
    ("database", "migration"), ONLY_ADDING, ids=[f"{d}-{m.name}" for d, m in ONLY_ADDING]
)
def test_a_migration_only_adds(database: str, migration: Migration) -> None:
    """A landed migration breaks no program of the version before it."""
    before = [
        table
        for other, each in ONLY_ADDING
        if other == database and each.version < migration.version
        for table in tables_made_in(each.sql)
    ]

    assert narrowings(migration.sql, before) == []


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE instances",
        "DROP INDEX idx_instances_created",
        "DROP TYPE signal_type",
        "DROP FUNCTION runtara_notify_of_signal",
        "DROP TRIGGER runtara_notify_of_signal ON pending_signals",
        "ALTER TABLE instances DROP COLUMN stderr",
        "ALTER TABLE instances RENAME COLUMN error TO reason",
        "ALTER TABLE instances RENAME TO workflows",
        "ALTER INDEX idx_instances_created RENAME TO idx_instances_new",
        "ALTER TABLE instances ALTER COLUMN error SET NOT NULL",
        "ALTER TABLE instances ALTER COLUMN created_at DROP DEFAULT",
        "ALTER TABLE instances ALTER COLUMN attempt TYPE bigint",
        "ALTER TABLE instances ADD COLUMN queue TEXT NOT NULL",
        "ALTER TABLE instances ADD COLUMN queue TEXT, ADD COLUMN place INTEGER NOT NULL",
        "ALTER TABLE instances ADD COLUMN queue TEXT CHECK (queue <> '')",
        "ALTER TABLE instances ADD CONSTRAINT short CHECK (length(error) < 10)",
        "ALTER TABLE instances ADD UNIQUE (tenant_id, checkpoint_id)",
        "ALTER TYPE instance_status ADD VALUE 'blocked'",
        "CREATE UNIQUE INDEX one_each ON instances (tenant_id)",
        "CREATE TABLE a (x int); DELETE FROM instances",
        "UPDATE instances SET error = NULL",
        "TRUNCATE instance_events",
    ],
)
def test_what_an_older_program_may_not_bear_is_found(sql: str) -> None:
    """Each kind of statement that takes away or narrows is refused."""
    assert narrowings(f"-- Why\n{sql};") != []


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE a (x int NOT NULL, UNIQUE (x)); CREATE UNIQUE INDEX b ON a (x)",
        "CREATE TABLE a (x int); INSERT INTO a VALUES (1); ALTER TABLE a DROP COLUMN x",
        "CREATE INDEX a ON instances (greatest(sleep_until, wake_claim_until)) WHERE x",
        "ALTER TABLE instances ADD COLUMN a TEXT, ADD COLUMN b NUMERIC(3, 1) NOT NULL DEFAULT 0",
        "ALTER TABLE instances SET (fillfactor = 80)",
        "ALTER TABLE checkpoints ALTER COLUMN state SET STORAGE EXTERNAL",
        "CREATE FUNCTION f() RETURNS trigger AS $$ BEGIN DELETE FROM a; END $$",
        "DROP TRIGGER t ON instances; CREATE TRIGGER t AFTER INSERT ON instances EXECUTE f()",
        "CREATE TRIGGER t AFTER INSERT ON instances BEGIN UPDATE a SET x = 1; DELETE FROM b; END",
    ],
)
def test_what_every_older_program_bears_is_let_pass(sql: str) -> None:
    """What a program doesn't name can't disturb the program."""
    assert narrowings(f"-- It would DROP TABLE a;\n{sql};") == []
