"""Builds records of images, launches, environments and limits from their rows."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from runtara_persistence import stored

if TYPE_CHECKING:
    import asyncpg

    from runtara_domain.model.limits import Hold, Limit
    from runtara_domain.model.stored_environments import Environment
    from runtara_domain.model.stored_images import Image
    from runtara_domain.model.stored_launches import Launch

# The records are imported when one is built: most commands that read get one kind or two.


def image(row: asyncpg.Record) -> Image:
    """Build an image from its columns."""
    from runtara_domain.model.stored_images import Image, RunnerType

    return Image(
        image_id=row["image_id"],
        tenant_id=row["tenant_id"],
        name=row["name"],
        version=row["version"],
        runner_type=RunnerType.of(row["runner_type"]),
        created_at=row["created_at"],
        description=row["description"],
        sha256=row["sha256"],
        size_bytes=row["size_bytes"],
        is_current=row["is_current"],
        deleted_at=row["deleted_at"],
        metadata=stored.metadata(row["metadata"]),
        binary_path=row["binary_path"] or None,
        problem=row["problem"],
    )


def launch(row: asyncpg.Record) -> Launch:
    """Build a launch; the columns have the names of its fields."""
    from runtara_domain.model.stored_launches import Launch

    return Launch(**row)


def environment(row: asyncpg.Record) -> Environment:
    """Build an environment from its columns, one of which is the number of its open launches."""
    from runtara_domain.model.stored_environments import Environment, EnvironmentKind

    return Environment(
        environment_id=row["environment_id"],
        kind=EnvironmentKind(row["kind"]),
        machine=row["machine"],
        boot_id=row["boot_id"],
        version=row["version"],
        capacity=row["capacity"],
        open_launches=row["open_launches"],
        started_at=row["started_at"],
        lease_until=row["lease_until"],
        clock_offset_ms=row["clock_offset_ms"],
        is_draining=row["is_draining"],
        closed_at=row["closed_at"],
        tenant_id=row["tenant_id"],
        workflows=tuple(json.loads(row["workflows"])),
    )


def limit(row: asyncpg.Record) -> Limit:
    """Build a limit from its columns."""
    from runtara_domain.model.limits import Limit, Scope

    period = row["rate_period_ms"]
    return Limit(
        Scope(row["scope"]),
        row["tenant_id"],
        row["name"],
        row["max_concurrent"],
        row["per_environment"],
        row["rate"],
        None if period is None else timedelta(milliseconds=period),
    )


def hold(row: asyncpg.Record) -> Hold:
    """Build a hold from its columns."""
    from runtara_domain.model.limits import Hold, Scope

    return Hold(
        Scope(row["scope"]), row["tenant_id"], row["name"], row["reason"], row["created_at"]
    )
