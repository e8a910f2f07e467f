"""Lists of instances."""

from datetime import datetime

from runtara_domain.model import InstanceFilter, InstanceSummary
from runtara_persistence import queries
from runtara_persistence.postgres import rows
from runtara_persistence.postgres.database import Database

_QUERIES = queries.load("runtara_persistence.postgres", "listing.sql")
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


def _kind(which: InstanceFilter) -> tuple[bool, bool]:
    return which.tenant_id is not None, which.status is not None


def _of(which: InstanceFilter) -> list[str]:
    return [value for value in (which.tenant_id, which.status) if value is not None]
