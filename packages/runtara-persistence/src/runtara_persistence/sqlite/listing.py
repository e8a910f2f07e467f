"""Lists of instances."""

import sqlite3

from runtara_domain.model import InstanceFilter, InstanceSummary
from runtara_persistence import queries
from runtara_persistence.sqlite import rows
from runtara_persistence.sqlite.moment import to_text

_QUERIES = queries.load("runtara_persistence.sqlite", "instances.sql")
# By what is asked for: of one tenant, in one status. Each has an index.
_PAGE = {
    (False, False): _QUERIES["page.any"],
    (True, False): _QUERIES["page.of_tenant"],
    (False, True): _QUERIES["page.in_status"],
    (True, True): _QUERIES["page.of_tenant_in_status"],
}
_COUNT = {
    (False, False): _QUERIES["count.any"],
    (True, False): _QUERIES["count.of_tenant"],
    (False, True): _QUERIES["count.in_status"],
    (True, True): _QUERIES["count.of_tenant_in_status"],
}
_SILENT = _QUERIES["silent"]

_NEWEST = "~"
"""Sorts behind every moment."""


def page(
    connection: sqlite3.Connection,
    which: InstanceFilter,
    after: InstanceSummary | None,
    limit: int,
) -> list[InstanceSummary]:
    """Carry out `instances.page`."""
    asked = {
        "tenant_id": which.tenant_id,
        "status": which.status,
        "created_at": _NEWEST if after is None else to_text(after.created_at),
        "instance_id": "" if after is None else after.instance_id,
        "limit": limit,
    }
    return [rows.summary(row) for row in connection.execute(_PAGE[_kind(which)], asked)]


def count(connection: sqlite3.Connection, which: InstanceFilter) -> int:
    """Carry out `instances.count`."""
    asked = {"tenant_id": which.tenant_id, "status": which.status}
    [found] = connection.execute(_COUNT[_kind(which)], asked).fetchone()
    return int(found)


def silent(connection: sqlite3.Connection, since: str, limit: int) -> list[InstanceSummary]:
    """Carry out `instances.silent`."""
    found = connection.execute(_SILENT, {"since": since, "limit": limit})
    return [rows.summary(row) for row in found]


def _kind(which: InstanceFilter) -> tuple[bool, bool]:
    return which.tenant_id is not None, which.status is not None
