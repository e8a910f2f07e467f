"""Launches as they are remembered, and which ones a list shows."""

from __future__ import annotations

from datetime import datetime

from runtara_domain import values
from runtara_domain.record import record


@record(kw_only=True)
class Launch:
    """
    A stored launch.

    run: the run of its process; None if it never registered. closed_at, cause, verdict: None while
    the launch is open; a launch that another run superseded has no verdict.
    """

    launch_id: str
    instance_id: str
    environment_id: str
    number: int
    created_at: datetime
    image_id: str | None = None
    runner: str | None = None
    placement: str | None = None
    started_at: datetime | None = None
    closed_at: datetime | None = None
    run: int | None = None
    cause: str | None = None
    exit_code: int | None = None
    exit_signal: int | None = None
    memory_peak_bytes: int | None = None
    cpu_usage_usec: int | None = None
    stderr: str | None = None
    verdict: str | None = None


@record
class LaunchFilter:
    """Selects launches; a field that is None matches all."""

    instance_id: str | None = None
    environment_id: str | None = None
    open_only: bool = False

    def __post_init__(self) -> None:
        for name, text in (
            ("instance_id", self.instance_id),
            ("environment_id", self.environment_id),
        ):
            if text is not None:
                values.check_storable(name, text)
