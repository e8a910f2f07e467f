"""Builds records of images, launches, environments and limits from their rows."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from runtara_domain.model.limits import Hold, Limit, Scope
from runtara_domain.model.stored_environments import Environment, EnvironmentKind
from runtara_domain.model.stored_images import Image, RunnerType
from runtara_domain.model.stored_launches import Launch
from runtara_persistence import stored
from runtara_persistence.sqlite.rows import from_optional, from_text


def image(row: Sequence[Any]) -> Image:
    """Build an image from its columns, in the order of the fragment `image`."""
    image_id, tenant_id, name, version, runner_type, created_at, description, *rest = row
    sha256, size_bytes, is_current, deleted_at, metadata, binary_path, problem = rest
    return Image(
        image_id=image_id,
        tenant_id=tenant_id,
        name=name,
        version=version,
        runner_type=RunnerType.of(runner_type),
        created_at=from_text(created_at),
        description=description,
        sha256=sha256,
        size_bytes=size_bytes,
        is_current=bool(is_current),
        deleted_at=from_optional(deleted_at),
        metadata=stored.metadata(metadata),
        binary_path=binary_path or None,
        problem=problem,
    )


def launch(row: Sequence[Any]) -> Launch:
    """Build a launch from its columns, in the order of the fragment `launch`."""
    launch_id, instance_id, environment_id, number, created_at, *rest = row
    image_id, runner, placement, started_at, closed_at, run, cause, *figures = rest
    exit_code, exit_signal, memory_peak_bytes, cpu_usage_usec, stderr, verdict = figures
    return Launch(
        launch_id=launch_id,
        instance_id=instance_id,
        environment_id=environment_id,
        number=number,
        created_at=from_text(created_at),
        image_id=image_id,
        runner=runner,
        placement=placement,
        started_at=from_optional(started_at),
        closed_at=from_optional(closed_at),
        run=run,
        cause=cause,
        exit_code=exit_code,
        exit_signal=exit_signal,
        memory_peak_bytes=memory_peak_bytes,
        cpu_usage_usec=cpu_usage_usec,
        stderr=stderr,
        verdict=verdict,
    )


def environment(row: Sequence[Any]) -> Environment:
    """Build an environment from its columns, one of which is the number of its open launches."""
    environment_id, kind, tenant_id, machine, boot_id, version, capacity, workflows, *rest = row
    started_at, lease_until, clock_offset_ms, is_draining, closed_at, open_launches = rest
    return Environment(
        environment_id=environment_id,
        kind=EnvironmentKind(kind),
        machine=machine,
        boot_id=boot_id,
        version=version,
        capacity=capacity,
        open_launches=open_launches,
        started_at=from_text(started_at),
        lease_until=from_text(lease_until),
        clock_offset_ms=clock_offset_ms,
        is_draining=bool(is_draining),
        closed_at=from_optional(closed_at),
        tenant_id=tenant_id,
        workflows=tuple(json.loads(workflows)),
    )


def limit(row: Sequence[Any]) -> Limit:
    """Build a limit from its columns, in the order of the record's fields."""
    scope, tenant_id, name, max_concurrent, per_environment, rate, period_ms = row
    period = None if period_ms is None else timedelta(milliseconds=period_ms)
    return Limit(Scope(scope), tenant_id, name, max_concurrent, per_environment, rate, period)


def hold(row: Sequence[Any]) -> Hold:
    """Build a hold from its columns, in the order of the record's fields."""
    scope, tenant_id, name, reason, created_at = row
    return Hold(Scope(scope), tenant_id, name, reason, from_text(created_at))


def silences(silence: timedelta, lost_silence: timedelta) -> dict[str, str]:
    """Return the parameters of statements that ask when instances fall silent."""
    return {
        "silence": f"+{silence.total_seconds():.3f} seconds",
        "lost_silence": f"+{lost_silence.total_seconds():.3f} seconds",
    }
