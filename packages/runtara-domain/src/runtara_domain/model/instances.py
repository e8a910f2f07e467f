"""Records of instances."""

from datetime import datetime
from typing import Self

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.model.caller import RunState
from runtara_domain.model.signals import Signal
from runtara_domain.record import record
from runtara_domain.status import InstanceStatus, State


@record
class Report:
    """
    A running instance's report; a field that is None keeps its former value.

    waits: its waits, as a JSON list. progress: any bytes from its workflow, at most 64 KiB.
    """

    waits: str | None = None
    progress: bytes | None = None

    def __post_init__(self) -> None:
        if self.waits is not None:
            values.check_waits("waits", self.waits)
        if self.progress is not None:
            values.check_bytes("progress", self.progress, values.MAX_REASON_BYTES)


@record
class InstanceFilter:
    """
    Selects instances; a field that is None matches all.

    parent_id: only children of that instance. blocked: only blocked instances.
    """

    tenant_id: str | None = None
    status: InstanceStatus | None = None
    workflow: str | None = None
    parent_id: str | None = None
    blocked: bool = False

    def __post_init__(self) -> None:
        for field, text in (
            ("tenant_id", self.tenant_id),
            ("workflow", self.workflow),
            ("parent_id", self.parent_id),
        ):
            if text is not None:
                values.check_storable(field, text)


@record
class NewInstance:
    """An instance to be launched later, with its workflow and input."""

    instance_id: str
    tenant_id: str
    input: bytes | None = None
    workflow: str | None = None

    def __post_init__(self) -> None:
        values.check_id("instance_id", self.instance_id)
        values.check_id("tenant_id", self.tenant_id)
        if self.input is not None:
            values.check_bytes("input", self.input)
        if self.workflow is not None:
            values.check_id("workflow", self.workflow)


@record
class Ending:
    """
    The end of an instance.

    An instance itself reports COMPLETED with an output, or FAILED with an error and a description
    of the failure for programs as the output. CANCELLED, stderr (text without NUL) and the metrics
    belong to an end from outside.
    """

    state: State
    output: bytes | None = None
    error: str | None = None
    stderr: str | None = None
    memory_peak_bytes: int | None = None
    cpu_usage_usec: int | None = None

    def __post_init__(self) -> None:
        if not self.state.is_final:
            raise InvalidValue(f"state: takes completed, failed or cancelled, got {self.state}")
        if self.output is not None:
            values.check_bytes("output", self.output)
        for field, text in (("error", self.error), ("stderr", self.stderr)):
            if text is not None:
                values.check_storable(field, text)
        for field, number in (
            ("memory_peak_bytes", self.memory_peak_bytes),
            ("cpu_usage_usec", self.cpu_usage_usec),
        ):
            if number is not None:
                values.check_range(field, number, 0, values.MAX_INTEGER)


@record
class Claim:
    """
    The right to wake instances, until a moment.

    token: the holder; its part before the first `/`, if it has one, is the owner. The servers of
    one core may hold sleeps of the same instance: they are several holders, but one owner.
    """

    token: str
    until: datetime

    def __post_init__(self) -> None:
        values.check_id("token", self.token)


def owner(token: str) -> str:
    """Return the owner to which the holder of this token belongs."""
    return token.partition("/")[0]


@record
class Claimed:
    """A due instance that was claimed to be launched. sleep_until: None if it was paused."""

    instance_id: str
    tenant_id: str
    run: int
    checkpoint_id: str | None
    sleep_until: datetime | None


@record
class Woken:
    """
    The outcome of waking an instance.

    before: its state before the step; None if it is unknown. woken: whether the step moved it.
    claimed_until: when another owner's claim on it ends; None if there is none.
    """

    before: RunState | None
    woken: bool
    claimed_until: datetime | None = None


@record
class Registration:
    """
    A process that begins a run of an instance, or continues its run after a lost connection.

    checkpoint_id: must exist, if given. continue_run: the run to continue; None begins a new one.
    workflow, code_version: of the process; None keeps the stored value, and an instance that has a
    workflow keeps it. launch_id: the launch that started the process, which must be open; None if
    no launch started it.
    """

    instance_id: str
    tenant_id: str
    checkpoint_id: str | None = None
    continue_run: int | None = None
    workflow: str | None = None
    code_version: str | None = None
    launch_id: str | None = None

    def __post_init__(self) -> None:
        values.check_id("instance_id", self.instance_id)
        values.check_id("tenant_id", self.tenant_id)
        for field, text in (
            ("checkpoint_id", self.checkpoint_id),
            ("workflow", self.workflow),
            ("code_version", self.code_version),
            ("launch_id", self.launch_id),
        ):
            if text is not None:
                values.check_id(field, text)
        if self.continue_run is not None:
            values.check_range("continue_run", self.continue_run, 1, values.MAX_INTEGER)

    @property
    def may_create(self) -> bool:
        """Whether an unknown instance is created: what this names can't exist otherwise."""
        return (self.checkpoint_id, self.continue_run, self.launch_id) == (None, None, None)


@record
class Registered:
    """
    The outcome of a registration.

    before: the instance's state before the step; None if it was unknown. tenant_id: its tenant.
    checkpoint_exists: also True if none was named. launch_is_open: whether the named launch is the
    instance's open one; also True if none was named. run: the instance's newest run after the step.
    input: the instance's input; None without one. is_blank: whether no run had begun before, and no
    checkpoint is stored. signal: the pending cancel or pause.
    """

    before: RunState | None
    tenant_id: str
    checkpoint_exists: bool
    run: int
    input: bytes | None = None
    launch_is_open: bool = True
    is_blank: bool = False
    signal: Signal | None = None

    @classmethod
    def of_unknown(cls, asked: Registration, run: int) -> Self:
        """Return the outcome for an unknown instance; run: 1 if it was created, otherwise 0."""
        return cls(
            None,
            asked.tenant_id,
            asked.checkpoint_id is None,
            run,
            launch_is_open=asked.launch_id is None,
            is_blank=run > 0,
        )
