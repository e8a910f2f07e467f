"""Checks that a PostgreSQL database of the Rust server can be taken over."""

from collections.abc import Mapping

from runtara_migrations.ledger import MigrationError

MADE_BY_1_4_1 = frozenset({1, 2, 3, 4, 5})
_OF_THE_ENVIRONMENT = frozenset({20250101000000, 20250105000000})


def check_adoptable(ledger: Mapping[int, bool]) -> None:
    """
    Raise MigrationError, with what to do, unless the Rust server 1.4.1 left this database.

    ledger: the versions in its table `_sqlx_migrations`, and whether each succeeded.
    """
    failed = sorted(version for version, succeeded in ledger.items() if not succeeded)
    missing = MADE_BY_1_4_1 - ledger.keys()
    unknown = ledger.keys() - MADE_BY_1_4_1 - _OF_THE_ENVIRONMENT
    if failed:
        raise MigrationError(
            f"{_MADE} but its migrations {_list(failed)} failed: repair it with the Rust server"
        )
    if missing:
        raise MigrationError(
            f"{_MADE} but lacks that server's migrations {_list(missing)}: bring it to version"
            " 1.4.1 with the Rust server first"
        )
    if unknown:
        raise MigrationError(
            f"{_MADE} in a version newer than 1.4.1 (it has the migrations {_list(unknown)}): use a"
            " newer version of runtara-migrations"
        )


_MADE = "This database was made by the Rust server (it has a table _sqlx_migrations),"


def _list(versions: frozenset[int] | set[int] | list[int]) -> str:
    return ", ".join(str(version) for version in sorted(versions))
