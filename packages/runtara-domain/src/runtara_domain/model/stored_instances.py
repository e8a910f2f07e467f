"""Instances as they are stored."""

from runtara_domain.model.summaries import InstanceSummary
from runtara_domain.record import record


@record(kw_only=True)
class Instance(InstanceSummary):
    """An instance with its output and error; its input is read separately."""

    output: bytes | None
    error: str | None
    stderr: str | None = None
    memory_peak_bytes: int | None = None
    cpu_usage_usec: int | None = None
