"""Describes one instance, with the core's and the environments' data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runtara_environment.management_handlers.translation import (
    SIGNALS,
    STATUSES,
    milliseconds,
    optional_milliseconds,
    waiting,
)
from runtara_protocol.pb import environment_pb2 as pb

if TYPE_CHECKING:
    from runtara_domain.model import Instance
    from runtara_domain.model.instance_views import InstanceView

_SECRET = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|PRIVATE|API_?KEY", re.IGNORECASE)
_MASK = "***"


def view(
    seen: InstanceView, *, obstacle: str | None = None, brief: bool = False
) -> pb.GetInstanceStatusResponse:
    """
    Describe an instance, without input, output, stderr and env if briefly.

    obstacle: why its image can't be run in this environment.
    """
    response = _state(seen.instance)
    response.waiting_for.extend(waiting(seen.awaits))
    response.MergeFrom(_launching(seen, obstacle))
    if seen.progress is not None:
        response.progress = seen.progress
    if not brief:
        response.MergeFrom(
            pb.GetInstanceStatusResponse(
                output=seen.instance.output,
                input=seen.input,
                stderr=seen.instance.stderr,
                env={
                    name: _MASK if _SECRET.search(name) else value
                    for name, value in seen.env.items()
                },
            )
        )
    return response


def _state(one: Instance) -> pb.GetInstanceStatusResponse:
    """Return the core's data of an instance."""
    return pb.GetInstanceStatusResponse(
        found=True,
        instance_id=one.instance_id,
        tenant_id=one.tenant_id,
        status=STATUSES[one.status],
        checkpoint_id=one.checkpoint_id,
        created_at_ms=milliseconds(one.created_at),
        started_at_ms=optional_milliseconds(one.started_at),
        finished_at_ms=optional_milliseconds(one.finished_at),
        heartbeat_at_ms=optional_milliseconds(one.last_activity_at),
        error=one.error if one.blocked_reason is None else one.blocked_reason,
        memory_peak_bytes=one.memory_peak_bytes,
        cpu_usage_usec=one.cpu_usage_usec,
        code_version=one.code_version,
        run=one.run,
        blocked=one.blocked_reason is not None,
        parent_id=one.parent_id,
        wake_at_ms=optional_milliseconds(one.sleep_until),
    )


def _launching(seen: InstanceView, obstacle: str | None) -> pb.GetInstanceStatusResponse:
    """Return the environments' data of an instance."""
    stored = seen.image
    kind, why = _not_launched(seen, obstacle) or (None, None)
    return pb.GetInstanceStatusResponse(
        image_id=stored.image_id if stored else "",
        image_name=stored.name if stored else "",
        version=stored.version if stored else None,
        workflow=seen.instance.workflow or (stored.workflow if stored else None),
        retry_count=max(seen.attempt, 0),
        max_retries=max(seen.max_attempts, 0),
        launches=seen.launches,
        crashes=seen.crashes,
        next_launch_ms=optional_milliseconds(seen.next_launch_at),
        not_launched=why,
        not_launched_kind=kind,
        pending_signal=SIGNALS[seen.pending_signal] if seen.pending_signal else None,
        queue=seen.queue,
        priority=seen.priority,
    )


def _not_launched(seen: InstanceView, obstacle: str | None) -> tuple[str, str] | None:
    """Return why a due instance is not launched: the kind and a sentence; None without reason."""
    if seen.held_by is not None:
        why = f" ({seen.held_by.reason})" if seen.held_by.reason else ""
        name = seen.held_by.name or seen.held_by.tenant_id
        return "hold", f"held: {seen.held_by.scope} {name}{why}"
    if seen.bounded_by is not None:
        bound = seen.bounded_by
        return "limit", f"the limit of {bound.scope} {bound.name or bound.tenant_id} is reached"
    if seen.image is not None and seen.image.problem is not None:
        return "image", f"its image can't be run: {seen.image.problem}"
    if (
        obstacle is not None
        and seen.instance.launch_id is None
        and not seen.instance.state.is_final
    ):
        return "environment", f"this environment can't run its image: {obstacle}"
    return None
