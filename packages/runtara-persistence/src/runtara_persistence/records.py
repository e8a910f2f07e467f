"""Builds records from rows; the columns have the same names in every database."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from runtara_domain import model
from runtara_domain.status import InstanceStatus, SignalType, State
from runtara_persistence import stored

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from runtara_domain.model.instance_lists import ListedInstance
    from runtara_domain.model.instance_views import InstanceView
    from runtara_domain.model.launches import OpenLaunch
    from runtara_domain.model.limits import Hold, Limit
    from runtara_domain.model.stored_environments import Environment
    from runtara_domain.model.stored_images import Image
    from runtara_domain.model.stored_launches import Launch
    from runtara_domain.model.waits import Awaited

T = TypeVar("T")


class Row(Protocol):
    """Columns by their names; moments are datetimes."""

    # `Any`, because a column holds text, bytes, numbers, times or null.
    def __getitem__(self, name: str, /) -> Any: ...


class Waiting(NamedTuple):
    """What keeps an instance from being launched: a hold, a full limit, the line of its queue."""

    held_by: Hold | None = None
    bounded_by: Limit | None = None
    queue_wait: Awaited | None = None


def covering(holds: Iterable[Hold], one: model.Instance, image: Image | None) -> Hold | None:
    """Return the first hold that covers an instance with this image; None if none does."""
    name = None if image is None else image.name
    workflow = image.workflow if one.workflow is None and image else one.workflow
    return next((hold for hold in holds if hold.covers(one.tenant_id, name, workflow)), None)


def record(kind: type[T], row: Row, /, **given: object) -> T:
    """Build a record; a field that is not given is the column of its name."""
    names = _fields(kind)  # type: ignore[arg-type]  # A class is hashable.
    return kind(**{name: row[name] for name in names if name not in given}, **given)


def columns(one: object) -> dict[str, Any]:
    """Return a record's fields by their names."""
    names = _fields(type(one))  # type: ignore[arg-type]  # A class is hashable.
    return {name: getattr(one, name) for name in names}


@cache
def _fields(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def summary(row: Row) -> model.InstanceSummary:
    """Build an instance's summary."""
    return _instance(model.InstanceSummary, row)


def instance(row: Row) -> model.Instance:
    """Build an instance."""
    return _instance(model.Instance, row)


def _instance(kind: type[T], row: Row) -> T:
    return record(kind, row, status=InstanceStatus(row["status"]), run=row["run_epoch"])


def run_state(row: Row) -> model.RunState:
    """Build an instance's state and run."""
    return model.RunState(State(row["state"]), row["run_epoch"])


def claimed(row: Row) -> model.Claimed:
    """Build the record of a claimed instance that its claimer needs to launch it."""
    return record(model.Claimed, row, run=row["run_epoch"])


def checkpoint(row: Row) -> model.Checkpoint:
    """Build a checkpoint."""
    return record(model.Checkpoint, row)


def entry(row: Row) -> model.CheckpointEntry:
    """Build a checkpoint's entry in a list."""
    return record(model.CheckpointEntry, row)


def event(row: Row) -> model.StoredEvent:
    """Build a stored event."""
    payload = row["payload"] or b""
    return record(model.StoredEvent, row, type=model.EventType(row["event_type"]), payload=payload)


# These records are imported when one is built: most commands that read get one kind or two.


def listed(row: Row) -> ListedInstance:
    """Build an instance in a list; `shown_error` is the begin of its error."""
    from runtara_domain.model.instance_lists import ListedInstance

    one = summary(row)
    next_at = stored.next_at(one, row["launch_after"])
    return record(ListedInstance, row, summary=one, error=row["shown_error"], next_at=next_at)


def image(row: Row) -> Image:
    """Build an image; its metadata is JSON."""
    from runtara_domain.model.stored_images import Image, RunnerType

    return record(
        Image,
        row,
        runner_type=RunnerType.of(row["runner_type"]),
        is_current=bool(row["is_current"]),
        metadata=stored.metadata(row["metadata"]),
        binary_path=row["binary_path"] or None,
    )


def launch(row: Row) -> Launch:
    """Build a launch."""
    from runtara_domain.model.stored_launches import Launch

    return record(Launch, row)


def environment(row: Row) -> Environment:
    """Build an environment; `open_launches` is their number, and `workflows` is JSON."""
    from runtara_domain.model.stored_environments import Environment, EnvironmentKind

    return record(
        Environment,
        row,
        kind=EnvironmentKind(row["kind"]),
        is_draining=bool(row["is_draining"]),
        workflows=tuple(json.loads(row["workflows"] or "[]")),
    )


def open_launch(row: Row, state: State, at: datetime) -> OpenLaunch:
    """Build an open launch; `told_at` is when a signal made its instance due, which is `state`."""
    from runtara_domain.model.launches import OpenLaunch

    due = [] if row["told_at"] is None else [row["told_at"]]
    if state is State.ASLEEP and row["sleep_until"] <= at:
        due.append(row["sleep_until"])
    is_held = bool(row["is_sleep_held"])
    return record(
        OpenLaunch,
        row,
        state=state,
        due_since=None if is_held else min(due, default=None),
        is_sleep_held=is_held,
        pending_signal=_signal(row),
    )


def view(row: Row, image: Image | None, waiting: Waiting | None) -> InstanceView:
    """Build all that is known about an instance; waiting: None if it doesn't wait for a launch."""
    from runtara_domain.model.instance_views import InstanceView

    return record(
        InstanceView,
        row,
        instance=instance(row),
        image=image,
        launches=row["launch_count"],
        next_launch_at=None if waiting is None else row["launch_after"],
        env=stored.env(row["env"]),
        timeout=stored.start_timeout(row["timeout_ms"]),
        pending_signal=_signal(row),
        held_by=waiting and waiting.held_by,
        bounded_by=waiting and waiting.bounded_by,
        queue_wait=waiting and waiting.queue_wait,
    )


def _signal(row: Row) -> SignalType | None:
    pending = row["pending_signal"]
    return None if pending is None else SignalType(pending)


def limit(row: Row) -> Limit:
    """Build a limit."""
    from runtara_domain.model.limits import Limit, Scope

    period = row["rate_period_ms"]
    return record(
        Limit,
        row,
        scope=Scope(row["scope"]),
        rate_period=None if period is None else timedelta(milliseconds=period),
    )


def hold(row: Row) -> Hold:
    """Build a hold."""
    from runtara_domain.model.limits import Hold, Scope

    return record(Hold, row, scope=Scope(row["scope"]))
