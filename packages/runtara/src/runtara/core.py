"""The ports to the core for clients and runs."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from runtara_domain.model.launch_ends import LaunchEnd
from runtara_management_sdk import Forked, Instance, InstanceFilter, InstanceSummary, Sent, Started
from runtara_sdk.workflow.engine.store import DurableStore


class Instances(Protocol):
    """
    The calls of `runtara_management_sdk.instances.Instances`.

    Every call raises ServerError, or a subclass of it, for a refusal.
    """

    async def start(
        self,
        tenant_id: str,
        *,
        workflow: str,
        instance_id: str,
        input: bytes = b"",
        launch_timeout: timedelta | None = None,
        priority: int | None = None,
        delay: timedelta | None = None,
        queue: str | None = None,
        dedupe_key: str | None = None,
    ) -> Started:
        """Start an instance of a workflow; it is durable on return."""
        ...

    async def get(self, instance_id: str) -> Instance | None:
        """Read an instance; None if it is unknown."""
        ...

    async def wait(self, instance_id: str, within: timedelta | None = None) -> Instance:
        """Return the instance once it is final, or after `within`."""
        ...

    def list(self, which: InstanceFilter) -> AsyncIterator[InstanceSummary]:
        """Yield instances, newest first."""
        ...

    async def cancel(self, instance_id: str, reason: bytes = b"") -> None:
        """Send the instance a cancel: it cleans up and ends as CANCELLED."""
        ...

    async def pause(self, instance_id: str) -> None:
        """Send the instance a pause: it suspends at its next durable call until it is resumed."""
        ...

    async def resume(self, instance_id: str) -> None:
        """Make an instance launchable now that is paused, asleep, blocked or in back-off."""
        ...

    async def send(self, instance_id: str, name: str, payload: bytes) -> Sent:
        """Send a value for a name; the first one stands."""
        ...

    async def history(self, instance_id: str) -> Sequence[tuple[str, bytes | None]]:
        """Return all checkpoint ids and states, oldest first; None for a state above 64 KiB."""
        ...

    async def retry(self, instance_id: str, *, forget: tuple[str, ...] = ()) -> None:
        """Let a FAILED or CANCELLED instance go on, without the results to forget."""
        ...

    async def fork(
        self,
        instance_id: str,
        *,
        new_instance_id: str | None = None,
        before: str | None = None,
    ) -> Forked:
        """Create an instance with the same input and a copy of the history before a checkpoint."""
        ...


DONE, FAILED, INFRASTRUCTURE, INPUT, SUSPENDED, REFUSED, CANCELLED = 0, 1, 4, 65, 75, 78, 130
"""The exit codes of a process that runs only one instance, by which verdicts are given."""


@dataclass(frozen=True, slots=True)
class Order:
    """
    A launch to execute.

    is_suspect: the process that ran it last has died, so it runs alone. closes_launch: whether a
    server that stores the run's end is to close the launch in the same step; without servers, each
    end does.
    """

    launch_id: str
    instance_id: str
    tenant_id: str
    workflow: str
    is_suspect: bool = False
    closes_launch: bool = False


class RunStore(DurableStore, Protocol):
    """
    The engine's store of one run.

    is_launch_closed: whether the run's end, when it was stored, has closed the launch, too.
    """

    is_launch_closed: bool


class RunStores(Protocol):
    """The engine's stores of the runs of one process, which show that they live."""

    def open(self, order: Order, core_timeout: timedelta) -> AbstractAsyncContextManager[RunStore]:
        """Open the store of one run; its calls repeat for `core_timeout` during an outage."""
        ...


def code_of_failure(failure: bytes | None) -> int:
    """Return the exit code of a run that fails; only a refused input is no failure of the code."""
    return INPUT if failure is None else FAILED


def nothing() -> None:
    """Do nothing when a run begins."""


class RunsOfWorker(Protocol):
    """The runs of a worker, in this process or in others, by their launch ids."""

    def __contains__(self, launch_id: str) -> bool: ...

    def start(self, order: Order, begun: Callable[[], None] = nothing) -> None:
        """
        Begin a run; repeated calls begin one run.

        begun: called when the run begins, now or when its turn has come; not if it ends before.
        """
        ...

    def leave(self, launch_id: str) -> None:
        """Ask a run to end when its steps under way have ended."""
        ...

    def kill(self, launch_id: str) -> None:
        """End a run now."""
        ...


HasEnded = Callable[[str, LaunchEnd], None]
"""Called with a launch's id and the end of its run; neither blocks nor raises."""

OpenRuns = Callable[[HasEnded], AbstractAsyncContextManager[RunsOfWorker]]
"""Opens the runs of a worker; calls back at the end of each."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """The schedule that a version of a workflow's code declares; None: it declares none."""

    workflow: str
    code_version: str
    schedule: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    The workflows of a worker, and its limits. grace: the time for running steps at its end.

    max_crashes: the crashes in a row without progress after which an instance fails; servers use
    their own setting.
    """

    tenant_id: str
    workflows: frozenset[str]
    capacity: int
    grace: timedelta
    max_crashes: int = 5
    declarations: tuple[Declaration, ...] = ()
