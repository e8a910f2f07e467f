"""Records of launches: how an instance is started, launched, judged, stopped and gone on with."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias
from uuid import uuid4

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.record import record

if TYPE_CHECKING:
    from runtara_domain.model.launch_ends import LaunchEnd
    from runtara_domain.model.stored_images import Image
    from runtara_domain.model.verdicts import LaunchedInstance, Verdict
    from runtara_domain.status import SignalType, State

INLINE = "inline"
"""The runner of a worker, whose workflows run in its own process."""
MAX_ENV_BYTES = 64 * 1024
KEPT_LAUNCHES = 100
"""The most launches of an instance that stay stored."""
MAX_STDERR_BYTES = 64 * 1024
LOWEST_PRIORITY, HIGHEST_PRIORITY = -(2**31), 2**31 - 1

Judge: TypeAlias = "Callable[[LaunchEnd, LaunchedInstance], Verdict]"
"""Returns the verdict on a launch; it is pure, because it runs inside a transaction."""


def new_launch_id() -> str:
    """Return a new launch id."""
    return uuid4().hex


@record(kw_only=True)
class InstanceStart:
    """
    An instance to be launched: of an image, or of a workflow by name, which is resolved later.

    input: JSON; None, or no bytes, is no input. timeout: bounds each of its launches. env:
    variables of its processes. priority: higher priorities are launched first. launch_after: no
    launch before this time. dedupe_key: at most one open instance of the tenant's queue has it (or
    of the tenant's instances without a queue).
    """

    instance_id: str
    tenant_id: str
    image_id: str | None = None
    workflow: str | None = None
    input: bytes | None = None
    timeout: timedelta | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    launch_after: datetime | None = None
    queue: str | None = None
    dedupe_key: str | None = None

    def __post_init__(self) -> None:
        values.check_id("instance_id", self.instance_id)
        values.check_id("tenant_id", self.tenant_id)
        if (self.image_id is None) == (self.workflow is None):
            raise InvalidValue("image_id or workflow: give exactly one of them")
        for name, text in (
            ("image_id", self.image_id),
            ("workflow", self.workflow),
            ("queue", self.queue),
            ("dedupe_key", self.dedupe_key),
        ):
            if text is not None:
                values.check_id(name, text)
        if self.input:
            check_json("input", self.input)
        if self.timeout is not None and self.timeout <= timedelta(0):
            raise InvalidValue(f"timeout: takes a time above 0, got {self.timeout}")
        _check_env(self.env)
        values.check_range("priority", self.priority, LOWEST_PRIORITY, HIGHEST_PRIORITY)


@record(kw_only=True)
class Assignment:
    """
    A claimed launch: its instance belongs to the environment until the launch is closed.

    number: counted from 1 for each instance. run: the newest run before this launch. image: None if
    a worker runs the workflow. checkpoint_id: the newest one. timeout: the smaller of the start's
    and the image's. crashes: in a row without progress, before this launch. last_cause: the cause
    of the previous launch's end; None if that left nothing to try again. The input is read
    separately.
    """

    launch_id: str
    number: int
    instance_id: str
    tenant_id: str
    run: int
    created_at: datetime
    image: Image | None = None
    workflow: str | None = None
    checkpoint_id: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: timedelta | None = None
    crashes: int = 0
    priority: int = 0
    queue: str | None = None
    last_cause: str | None = None

    @property
    def is_suspect(self) -> bool:
        """Whether the instance may have killed its process, so that a worker must isolate it."""
        from runtara_domain.model.launch_ends import Cause

        # Causes that end many launches at once: one of these launches may have caused them.
        of_many = (Cause.ENVIRONMENT_LOST, Cause.RUNNER_FAILED)
        return self.crashes > 0 or self.last_cause in of_many


@record(kw_only=True)
class Offer:
    """
    The launches that an environment can take.

    can_run: returns whether it can run an image; pure and quick, because it runs inside the step.
    sends_launch_id: returns whether processes of an image register with their launch id. workflows:
    of a worker, the names that it serves for `tenant_id`; empty for other environments. A worker
    runs no images.
    tenant_limit: bounds tenants that have no stored limit. silence: a RUNNING instance with an
    image and without an open launch is launchable after this time without a sign of life.
    lost_silence: the same for an instance whose environment was lost; an instance of a lost worker
    is launchable at once, because its launch fences its run. worker_grace: how long an instance
    that was started by workflow name waits for a worker before an image may run it.
    """

    environment_id: str
    can_run: Callable[[Image], bool] = lambda image: False
    sends_launch_id: Callable[[Image], bool] = lambda image: False
    workflows: Collection[str] = frozenset()
    tenant_id: str | None = None
    tenant_limit: int | None = None
    silence: timedelta = timedelta(seconds=120)
    lost_silence: timedelta = timedelta(seconds=45)
    worker_grace: timedelta = timedelta(seconds=5)

    def serves(self, tenant_id: str, workflow: str | None) -> bool:
        """Return whether its worker serves a tenant's workflow."""
        return tenant_id == self.tenant_id and workflow in self.workflows

    def may_take(self, start: InstanceStart) -> bool:
        """Return whether it may launch what was just started; by name alone an image waits."""
        if start.launch_after is not None:
            return False
        return start.image_id is not None or self.serves(start.tenant_id, start.workflow)

    def silence_of(self, image_id: str | None, *, is_lost: bool) -> timedelta:
        """Return after how much silence an unwatched RUNNING instance is launchable."""
        if image_id is None:
            return timedelta(0)
        return self.lost_silence if is_lost else self.silence


@record
class Claims:
    """
    The answer to a claim.

    has_lease: whether the environment's lease was good. Without a good lease nothing is claimed.
    is_draining: whether nothing is claimed because the environment is drained. again_at: the
    earliest moment at which the same offer may give more by itself, because an instance waits for a
    worker until then, or another transaction held it; None if there is no such instance. next_at:
    the earliest moment after the claim at which another instance becomes launchable by itself, for
    any environment. It is None if there is no such instance. It is also None if the claim gave as
    many as were asked for: then there may be more at once. is_held_back: whether a limit kept the
    claim from giving more, so that it may give more when a launch ends. has_others: of a worker's
    claim, whether instances were launchable that only others than this worker may launch.
    """

    assignments: tuple[Assignment, ...] = ()
    has_lease: bool = True
    is_draining: bool = False
    again_at: datetime | None = None
    next_at: datetime | None = None
    is_held_back: bool = False
    has_others: bool = False


@record(kw_only=True)
class Started:
    """
    The outcome of starting an instance.

    created: whether the step created it. differs_in: if the id is taken, the ways in which that
    instance's start differs (tenant, image or workflow, input); empty if it is the same start.
    image_is_found: False if nothing was done because the tenant has no such image. duplicate_of:
    the open instance with the deduplication key, because of which nothing was done. claims: the
    claims of the environment that made an offer with the start.
    """

    created: bool = False
    differs_in: tuple[str, ...] = ()
    image_is_found: bool = True
    duplicate_of: str | None = None
    claims: Claims | None = None


@record
class Closing:
    """
    A launch to be closed.

    chance: uniform in 0 to 1; it spreads the back-off. only_if_lost: close the launch only if the
    lease of its environment has expired or was ended.
    """

    launch_id: str
    end: LaunchEnd
    chance: float = 0.5
    only_if_lost: bool = False


@record(kw_only=True)
class Closed:
    """
    The outcome of closing a launch.

    is_closed: whether this step closed it; False if it was closed before, is unknown, or is not
    lost. before, after: the instance's state before and after the step. launch_after: the earliest
    time of the instance's next launch.
    """

    is_closed: bool
    instance_id: str | None = None
    verdict: Verdict | None = None
    before: State | None = None
    after: State | None = None
    launch_after: datetime | None = None


@record(kw_only=True)
class OpenLaunch:
    """
    An open launch, with the data of its instance that its environment needs.

    run: None until it registers. timeout_at: when it times out; None without a timeout.
    last_activity_at: the last sign of life of its process, or the start of the instance. due_since:
    since when the instance is due though the launch is open; None if it is not due. is_sleep_held:
    whether a core holds a sleep of the instance. stop_at, stop_reason: of an operator's stop.
    """

    launch_id: str
    instance_id: str
    tenant_id: str
    environment_id: str
    number: int
    created_at: datetime
    state: State
    image_id: str | None = None
    workflow: str | None = None
    queue: str | None = None
    started_at: datetime | None = None
    handle: str | None = None
    run: int | None = None
    timeout_at: datetime | None = None
    last_activity_at: datetime | None = None
    sleep_until: datetime | None = None
    due_since: datetime | None = None
    is_sleep_held: bool = False
    pending_signal: SignalType | None = None
    stop_at: datetime | None = None
    stop_reason: str | None = None


def check_json(field: str, value: bytes) -> None:
    """Raise InvalidValue, with the position, if bytes are no JSON."""
    values.check_bytes(field, value)
    try:
        json.loads(value, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InvalidValue(f"{field}: takes JSON, got {error.msg} at {place}") from error
    except UnicodeDecodeError as error:
        raise InvalidValue(
            f"{field}: takes JSON in UTF-8, got other bytes at byte {error.start}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"{field}: takes JSON, got {error}") from error


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name}, which is no JSON")


def _check_env(env: Mapping[str, str]) -> None:
    size = 0
    for name, value in env.items():
        if not name or "=" in name or "\0" in name:
            raise InvalidValue(f"env: takes names of variables, got {name!r}")
        if name.upper().startswith("RUNTARA_"):
            raise InvalidValue(f"env: {name} is set by the environment; take another name")
        values.check_storable(f"env: {name}", name)
        values.check_storable(f"env: {name}", value)
        size += len(name.encode()) + len(value.encode())
    if size > MAX_ENV_BYTES:
        raise InvalidValue(f"env: takes at most {MAX_ENV_BYTES} bytes, got {size} bytes")
