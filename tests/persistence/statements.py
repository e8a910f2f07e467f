"""What SQLite is asked, seen from the driver; and a driver that fails on demand."""

import sqlite3
from typing import Any

import pytest


class Statements:
    """Every statement run on any connection opened since, but those of the driver itself."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """See all connections that are opened from now on."""
        connect = sqlite3.connect

        def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
            connection: sqlite3.Connection = connect(*arguments, **options)
            connection.set_trace_callback(self._see)
            return connection

        monkeypatch.setattr(sqlite3, "connect", traced)

    def _see(self, statement: str) -> None:
        # For each row whose trigger is looked at, Python reports the statement once more.
        if self.seen[-1:] != [statement]:
            self.seen.append(statement)

    def of(self, verb: str) -> list[str]:
        """Tell those that begin with a word."""
        return [statement for statement in self.seen if statement.startswith(verb)]


class Outage:
    """While it lasts, the version of a database can't be read."""

    def __init__(self) -> None:
        self.lasts = False

    def begin(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Reach all connections that are opened from now on."""
        outage = self
        connect = sqlite3.connect

        class Failing(sqlite3.Connection):
            def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
                if outage.lasts and "data_version" in statement:
                    raise sqlite3.OperationalError("disk I/O error")
                return super().execute(statement, *values)

        def failing(*arguments: Any, **options: Any) -> sqlite3.Connection:
            connection: sqlite3.Connection = connect(*arguments, **options, factory=Failing)
            return connection

        monkeypatch.setattr(sqlite3, "connect", failing)
