"""Records of lists of instances as operators see them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.record import record

if TYPE_CHECKING:
    from runtara_domain.model.summaries import InstanceSummary
    from runtara_domain.status import InstanceStatus

MAX_LISTED_ERROR = 1024
"""The most characters of an error in a list."""


class InstanceOrder(StrEnum):
    """The order of a list of instances; instances of equal time are ordered by id."""

    CREATED_DESC = "created_at_desc"
    CREATED_ASC = "created_at_asc"
    FINISHED_DESC = "finished_at_desc"
    """Only finished ones."""
    FINISHED_ASC = "finished_at_asc"
    """Only finished ones."""


@record(kw_only=True)
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


@record
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


@record(kw_only=True)
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
