"""Records of what operators see of instances: all that is known, and lists."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.model.children import ENDED
from runtara_domain.model.images import Image
from runtara_domain.model.instances import Instance, InstanceSummary
from runtara_domain.model.limits import Hold, Limit
from runtara_domain.status import InstanceStatus, SignalType

MAX_LISTED_ERROR = 1024
"""Characters of an error that a list shows."""

LONGEST_LINE = 1000
"""So many that come first in a queue are counted."""

_DECISION = re.compile(r"!decision#[0-9.]+\Z")
"""Ends the custom signal by which an operator settles whether an effect has happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceView:
    """
    All that is known of an instance.

    image: also one that is deleted. launches: how many there were. crashes: in a row without
    progress. next_launch_at: when back-off or delay are over; None if there is none. env: as it was
    started with. wake_at: when it is due by itself. held_by, bounded_by: a hold that covers it, and
    a limit under which no launch is free, while it has no open launch and is not finished.
    queue_wait: that it is due, and waits for a slot in its queue. progress: what the workflow
    reported last, None if nothing. attempt, max_attempts: the columns of the Rust server.
    """

    instance: Instance
    input: bytes | None = None
    image: Image | None = None
    launches: int = 0
    crashes: int = 0
    next_launch_at: datetime | None = None
    priority: int = 0
    queue: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: timedelta | None = None
    stop_at: datetime | None = None
    stop_reason: str | None = None
    pending_signal: SignalType | None = None
    held_by: Hold | None = None
    bounded_by: Limit | None = None
    attempt: int = 1
    max_attempts: int = 3
    progress: bytes | None = None
    queue_wait: "Awaited | None" = None

    @property
    def awaits(self) -> "tuple[Awaited, ...]":
        """What the instance waits for: a slot in its queue, or what its run reported."""
        if self.queue_wait is not None and self.held_by is None:
            return (self.queue_wait,)
        return awaited(self.instance.waits)


class InstanceOrder(StrEnum):
    """In which order a list shows instances; ties by id."""

    CREATED_DESC = "created_at_desc"
    CREATED_ASC = "created_at_asc"
    FINISHED_DESC = "finished_at_desc"
    """Only finished ones."""
    FINISHED_ASC = "finished_at_asc"
    """Only finished ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceQuery:
    """
    Which instances a list shows; None means any.

    Times: from the one, inclusive, to before the other. error_contains: a text in the error.
    workflow: an instance whose workflow is not known counts as one of its image's name.
    """

    tenant_id: str | None = None
    status: InstanceStatus | None = None
    image_id: str | None = None
    image_name_prefix: str | None = None
    workflow: str | None = None
    queue: str | None = None
    parent_id: str | None = None
    error_contains: str | None = None
    blocked: bool | None = None
    created_since: datetime | None = None
    created_until: datetime | None = None
    finished_since: datetime | None = None
    finished_until: datetime | None = None

    def __post_init__(self) -> None:
        for name, text in (
            ("tenant_id", self.tenant_id),
            ("image_id", self.image_id),
            ("image_name_prefix", self.image_name_prefix),
            ("workflow", self.workflow),
            ("queue", self.queue),
            ("parent_id", self.parent_id),
            ("error_contains", self.error_contains),
        ):
            if text is not None:
                values.check_storable(name, text)


@dataclass(frozen=True, slots=True)
class InstancePlace:
    """
    Where a list goes on: behind the instance that has this time and id in its order.

    moment: its `created_at` or `finished_at`, whichever orders the list.
    """

    moment: datetime
    instance_id: str

    def __post_init__(self) -> None:
        values.check_storable("instance_id", self.instance_id)
        if self.moment.tzinfo is None:
            raise InvalidValue("moment: takes a time with its zone")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedInstance:
    """
    An instance in a list. error: its first 1024 characters. next_at: when something happens by
    itself: its back-off or delay is over, or its sleep; None if nothing does.
    """

    summary: InstanceSummary
    image_id: str | None = None
    image_name: str | None = None
    queue: str | None = None
    error: str | None = None
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsBucket:
    """
    The instances of a tenant that finished within a period that begins at `start`.

    Durations: from the first start to the end; None if none was started. Memory: of those that have
    a figure.
    """

    start: datetime
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    average_duration: timedelta | None = None
    shortest: timedelta | None = None
    longest: timedelta | None = None
    average_memory_bytes: int | None = None
    max_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Awaited:
    """
    What an instance waits for.

    kind: `promise`, `child`, `decision` (whether an effect has happened), `sleep`, `retry` or
    `queue` (a slot in it). until: when the wait ends by itself, of a queue when its rate lets the
    next one start; None: never, or not known. reason: why a step is tried again, or what fills the
    queue and what its place in the line is.
    """

    kind: str
    name: str
    since: datetime | None = None
    until: datetime | None = None
    reason: str = ""

    def in_line(self, ahead: int) -> "Awaited":
        """Add the place in the line; ahead: how many come first, LONGEST_LINE at most."""
        number = f"number {ahead + 1}" if ahead < LONGEST_LINE else f"behind {LONGEST_LINE} or more"
        return replace(self, reason=f"{self.reason}, and it is {number} in line")


def awaited(text: str | None) -> tuple[Awaited, ...]:
    """Read what an instance said that it waits for; nothing for what no SDK of ours wrote."""
    try:
        return tuple(_awaited(one) for one in json.loads(text or "[]"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        return ()


def _awaited(one: Mapping[str, Any]) -> Awaited:
    kind, name = one["kind"], one["name"]
    if kind == "signal":
        kind = "decision" if _DECISION.search(name) else "promise"
        if name.startswith(ENDED):
            kind, name = "child", name.removeprefix(ENDED)
    since, until = _moment(one.get("since")), _moment(one.get("until"))
    return Awaited(kind, name, since, until, str(one.get("reason") or ""))


def _moment(text: str | None) -> datetime | None:
    # In UTC: one without a zone is no moment, which astimezone would take for a local one.
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a moment without a zone")
    return moment
