"""Closes an instance's open launch because another run takes it, within a larger step."""

import sqlite3

from runtara_persistence import queries

_SQL = queries.load("runtara_persistence.sqlite", "superseding.sql")


def close_launch(connection: sqlite3.Connection, instance_id: str, at: str) -> None:
    """Close the open launch, if there is one, before the run that takes the instance begins."""
    key = {"instance_id": instance_id, "at": at}
    connection.execute(_SQL["close"], key)
    connection.execute(_SQL["release"], key)
