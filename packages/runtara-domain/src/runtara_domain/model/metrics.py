"""Sums of a tenant's finished instances."""

from __future__ import annotations

from datetime import datetime, timedelta

from runtara_domain.record import record


@record(kw_only=True)
class MetricsBucket:
    """
    The instances of a tenant that finished within a period that begins at `start`.

    Durations: from the first start to the end; None if no instance was started. Memory: of the
    instances that have a figure.
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
