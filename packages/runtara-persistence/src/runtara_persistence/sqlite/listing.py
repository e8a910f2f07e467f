"""Lists of instances."""

import sqlite3

from runtara_domain.model import InstanceFilter, InstanceSummary
from runtara_persistence import queries
from runtara_persistence.sqlite import rows
from runtara_persistence.sqlite.moment import to_text

_QUERIES = queries.load("runtara_persistence.sqlite", "instances.sql")
# By what is asked for: each has an index, and looks through what it finds for the rest.
_KINDS = (
    "of_parent",
    "blocked",
    "of_workflow",
    "any",
    "of_tenant",
    "in_status",
    "of_tenant_in_status",
)
_PAGE = {kind: _QUERIES[f"page.{kind}"] for kind in _KINDS}
_COUNT = {kind: _QUERIES[f"count.{kind}"] for kind in _KINDS}
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
        **_asked(which),
        "created_at": _NEWEST if after is None else to_text(after.created_at),
        "instance_id": "" if after is None else after.instance_id,
        "limit": limit,
    }
    return [rows.summary(row) for row in connection.execute(_PAGE[_kind(which)], asked)]


def count(connection: sqlite3.Connection, which: InstanceFilter) -> int:
    """Carry out `instances.count`."""
    [found] = connection.execute(_COUNT[_kind(which)], _asked(which)).fetchone()
    return int(found)


def silent(connection: sqlite3.Connection, since: str, limit: int) -> list[InstanceSummary]:
    """Carry out `instances.silent`."""
    found = connection.execute(_SILENT, {"since": since, "limit": limit})
    return [rows.summary(row) for row in found]


def _kind(which: InstanceFilter) -> str:
    if which.parent_id is not None:
        return "of_parent"
    if which.blocked:
        return "blocked"
    if which.workflow is not None:
        return "of_workflow"
    if which.tenant_id is not None:
        return "of_tenant" if which.status is None else "of_tenant_in_status"
    return "any" if which.status is None else "in_status"


def _asked(which: InstanceFilter) -> dict[str, object]:
    return {
        "tenant_id": which.tenant_id,
        "status": which.status,
        "workflow": which.workflow,
        "parent_id": which.parent_id,
        "blocked": which.blocked,
    }
