"""Records of lists of instances as operators see them, and of what instances wait for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from runtara_domain import values
from runtara_domain.error import InvalidValue

if TYPE_CHECKING:
    from runtara_domain.model.stored_instances import InstanceSummary
    from runtara_domain.status import InstanceStatus

MAX_LISTED_ERROR = 1024
"""The most characters of an error in a list."""
LONGEST_LINE = 1000
"""The most instances ahead in a queue that are counted."""
_DECISION = re.compile(r"!decision#[0-9.]+\Z")
"""The suffix of a custom signal by which an operator decides whether an effect has happened."""


class InstanceOrder(StrEnum):
    """The order of a list of instances; instances of equal time are ordered by id."""

    CREATED_DESC = "created_at_desc"
    CREATED_ASC = "created_at_asc"
    FINISHED_DESC = "finished_at_desc"
    """Only finished ones."""
    FINISHED_ASC = "finished_at_asc"
    """Only finished ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceQuery:
    """
    Selects instances; a field that is None matches all.

    `..._after` is inclusive, `..._before` exclusive. error_contains: a text in the error. workflow:
    an instance without a workflow is matched by its image's name.
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
    The position at which a list goes on: after the instance with this time and id.

    moment: its `created_at` or `finished_at`, depending on the list's order.
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
    An instance in a list. error: its first 1024 characters. next_at: when its back-off, its delay
    or its sleep ends; None if there is none.
    """

    summary: InstanceSummary
    image_id: str | None = None
    image_name: str | None = None
    queue: str | None = None
    error: str | None = None
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Awaited:
    """
    One wait of an instance.

    kind: `promise`, `child`, `decision` (whether an effect has happened), `sleep`, `retry` or
    `queue` (for a slot in it). until: the wait's deadline, or when the queue's rate allows the next
    start; None if there is none, or it is unknown. reason: for `retry`, the last attempt's error;
    for `queue`, the bound that is reached, and the instance's place in the line.
    """

    kind: str
    name: str
    since: datetime | None = None
    until: datetime | None = None
    reason: str = ""

    def in_line(self, ahead: int) -> Awaited:
        """Add the place in the line. ahead: the number of earlier ones, up to LONGEST_LINE."""
        number = f"number {ahead + 1}" if ahead < LONGEST_LINE else f"behind {LONGEST_LINE} or more"
        return replace(self, reason=f"{self.reason}, and it is {number} in line")


def awaited(text: str | None) -> tuple[Awaited, ...]:
    """Read the waits that an instance reported; empty if another program's SDK wrote them."""
    try:
        return tuple(_awaited(one) for one in json.loads(text or "[]"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        return ()


def _awaited(one: Mapping[str, Any]) -> Awaited:
    kind, name = one["kind"], one["name"]
    if kind == "signal":
        kind = "decision" if _DECISION.search(name) else "promise"
        if name.startswith(values.CHILD_ENDED):
            kind, name = "child", name.removeprefix(values.CHILD_ENDED)
    since, until = _moment(one.get("since")), _moment(one.get("until"))
    return Awaited(kind, name, since, until, str(one.get("reason") or ""))


def _moment(text: str | None) -> datetime | None:
    # A time without a zone is refused: astimezone would read it as local time.
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a moment without a zone")
    return moment
