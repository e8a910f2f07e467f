"""Lists of instances."""

from datetime import datetime

from runtara_domain.model import InstanceFilter, InstanceSummary
from runtara_persistence import queries
from runtara_persistence.postgres import rows
from runtara_persistence.postgres.database import Database

_QUERIES = queries.load("runtara_persistence.postgres", "listing.sql")
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


async def page(
    database: Database, which: InstanceFilter, after: InstanceSummary | None, limit: int
) -> list[InstanceSummary]:
    """Carry out `instances.page`."""
    place = (None, None) if after is None else (after.created_at, after.instance_id)
    found = await database.read("list instances", _PAGE[_kind(which)], *place, limit, *_of(which))
    return [rows.summary(row) for row in found]


async def count(database: Database, which: InstanceFilter) -> int:
    """Carry out `instances.count`."""
    [row] = await database.read_much("count instances", _COUNT[_kind(which)], *_of(which))
    return int(row["count"])


async def silent(database: Database, since: datetime, limit: int) -> list[InstanceSummary]:
    """Carry out `instances.silent`."""
    found = await database.read("find silent instances", _SILENT, since, limit)
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


def _of(which: InstanceFilter) -> list[object]:
    narrowing = [which.tenant_id, which.status, which.workflow]
    match _kind(which):
        case "of_parent":
            return [*narrowing, which.parent_id, which.blocked]
        case "blocked" | "of_workflow":
            return [*narrowing]
        case _:
            return [value for value in (which.tenant_id, which.status) if value is not None]
