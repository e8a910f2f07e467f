"""Records of one instance and its history; times are aware datetimes, None stands for no value."""

import json
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from runtara_domain.record import record
from runtara_management_sdk.states import Status, Waiting


@record(kw_only=True)
class Instance:
    """
    An instance with all its details.

    not_launched: why the instance is due but not launched; None if it is launched, or not due.
    not_launched_kind: `hold`, `limit`, `image`, `environment` (the answering environment can't run
    the image) or `room` (its placement has no room for the process); None from an older
    environment. attempt, max_attempts: values of the stored row for programs of the Rust server;
    Runtara in Python doesn't use them. env: values of names that look secret are masked. progress:
    the last progress that the instance reported, as `report_of` returns it. crashes: those in a row
    without progress. stderr: the end of the newest process's output.
    """

    instance_id: str
    tenant_id: str
    status: Status
    created_at: datetime
    image_id: str | None = None
    image_name: str | None = None
    image_version: int | None = None
    workflow: str | None = None
    code_version: str | None = None
    run: int | None = None
    checkpoint_id: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    last_activity_at: datetime | None = None
    input: bytes | None = None
    output: bytes | None = None
    error: str | None = None
    stderr: str | None = None
    is_blocked: bool = False
    waiting_for: tuple[Waiting, ...] = ()
    progress: object = None
    launches: int | None = None
    crashes: int | None = None
    next_launch_at: datetime | None = None
    wake_at: datetime | None = None
    not_launched: str | None = None
    not_launched_kind: str | None = None
    queue: str | None = None
    priority: int | None = None
    parent_id: str | None = None
    memory_peak_bytes: int | None = None
    cpu_usage_usec: int | None = None
    attempt: int | None = None
    max_attempts: int | None = None
    env: Mapping[str, str] = field(default_factory=dict)


def report_of(progress: bytes | None) -> object:
    """Return reported progress as its JSON value; as bytes if it is no JSON."""
    try:
        return None if progress is None else json.loads(progress)
    except ValueError:
        return progress


@record
class Checkpoint:
    """A saved checkpoint; state: None if it was not asked for or is too large."""

    checkpoint_id: str
    created_at: datetime
    size_bytes: int
    state: bytes | None = None


@record
class Event:
    """An event of an instance's history."""

    id: int
    type: str
    created_at: datetime
    subtype: str | None = None
    checkpoint_id: str | None = None
    payload: bytes | None = None


@record(kw_only=True)
class Launch:
    """
    A process that was started for an instance.

    number: counted from 1 for each instance. ended_at, cause, verdict: None while the launch is
    open. stderr: the last 64 KiB of the process's output.
    """

    launch_id: str
    instance_id: str
    environment_id: str
    number: int
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    run: int | None = None
    image_id: str | None = None
    runner: str | None = None
    placement: str | None = None
    cause: str | None = None
    exit_code: int | None = None
    exit_signal: int | None = None
    memory_peak_bytes: int | None = None
    cpu_usage_usec: int | None = None
    stderr: str | None = None
    verdict: str | None = None
