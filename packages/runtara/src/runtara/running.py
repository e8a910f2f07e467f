"""Executes one launch in this process, up to the end for its verdict."""

import asyncio
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from datetime import timedelta
from typing import Any

from runtara.core import (
    CANCELLED,
    DONE,
    FAILED,
    INFRASTRUCTURE,
    INPUT,
    REFUSED,
    SUSPENDED,
    Order,
    RunStore,
    RunStores,
    nothing,
)
from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_sdk.errors import InstanceSuperseded, RuntaraError
from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.api.workflows import Workflow
from runtara_sdk.workflow.engine.departure import Departure
from runtara_sdk.workflow.engine.outcome import Outcome
from runtara_sdk.workflow.engine.runner import execute
from runtara_sdk.workflow.errors import Incompatible, InputRefused, NotSerializable, Superseded

logger = get_logger(__name__)

_SUSPECT_WAITS = timedelta(seconds=1)
"""How long a suspect whose calls all wait keeps the process that it has for itself."""

_CODES = {
    Outcome.DONE: DONE,
    Outcome.FAILED: FAILED,
    Outcome.CANCELLED: CANCELLED,
    Outcome.SUSPENDED: SUSPENDED,
    Outcome.RESTARTED: DONE,
}


def _suspended_soon(workflow: Workflow[..., Any]) -> Workflow[..., Any]:
    """Return a workflow whose runs give up their process soon; when woken they share one again."""
    found = copy(workflow)
    most = min(workflow.options.suspend_after, _SUSPECT_WAITS)
    found.options = replace(workflow.options, suspend_after=most)
    return found


class _Left(RuntaraError):
    """The run was asked to leave, and no step of it is under way."""


class _Run:
    """A run in a task; `ended` is called with its end, once, unless the loop ends before."""

    def __init__(
        self,
        workflow: Workflow[..., Any],
        order: Order,
        stores: RunStores,
        ended: Callable[[LaunchEnd], None],
    ) -> None:
        self._workflow, self._order, self._stores, self._ended = workflow, order, stores, ended
        self._departure = Departure()
        self._store: RunStore | None = None
        self.task = asyncio.create_task(self._run(), name=order.instance_id)

    def leave(self) -> None:
        self._departure.ask(_Left("the worker ends"))

    async def _run(self) -> None:
        try:
            end = await self._executed()
        except asyncio.CancelledError:
            end = LaunchEnd(cause=Cause.KILLED, reports=True, is_closed=self._is_closed)
        except Exception as error:
            # The error may be user code's or ours: it ends this launch, and not the worker.
            logger.exception("run of instance %r failed", self._order.instance_id)
            end = self._end(INFRASTRUCTURE, f"{type(error).__name__}: {error}")
        self._ended(end)

    async def _executed(self) -> LaunchEnd:
        core_timeout = self._workflow.options.core_timeout
        try:
            async with self._stores.open(self._order, core_timeout) as self._store:
                ended = await execute(self._workflow, self._store, departure=self._departure)
        except (Superseded, InstanceSuperseded) as error:
            return LaunchEnd(cause=Cause.SUPERSEDED, reports=True, reason=str(error))
        except InputRefused as error:
            return self._end(INPUT, str(error))
        except (Incompatible, NotSerializable) as error:
            return self._end(REFUSED, str(error))
        except RuntaraError as error:
            return self._end(INFRASTRUCTURE, str(error))
        return self._end(_CODES[ended.outcome])

    def _end(self, code: int, reason: str = "") -> LaunchEnd:
        return LaunchEnd(
            cause=Cause.EXITED,
            reports=True,
            exit_code=code,
            reason=reason,
            is_closed=self._is_closed,
        )

    @property
    def _is_closed(self) -> bool:
        return self._store is not None and self._store.is_launch_closed


class Runs:
    """
    The runs of this process, each in a task of its loop, by their launch ids.

    ended: called with the launch id and the end of each run, after the run was removed here.
    """

    def __init__(
        self,
        workflows: Mapping[str, Workflow[..., Any]],
        stores: RunStores,
        ended: Callable[[str, LaunchEnd], None],
    ) -> None:
        self._workflows, self._stores, self._has_ended = workflows, stores, ended
        self._runs: dict[str, _Run] = {}

    def __contains__(self, launch_id: str) -> bool:
        return launch_id in self._runs

    def __len__(self) -> int:
        return len(self._runs)

    def start(self, order: Order, begun: Callable[[], None] = nothing) -> None:
        """Begin a run; one of this launch that is under way goes on."""
        if order.launch_id not in self._runs:
            workflow = self._workflows[order.workflow]
            self._runs[order.launch_id] = _Run(
                _suspended_soon(workflow) if order.is_suspect else workflow,
                order,
                self._stores,
                lambda end: self._ended(order.launch_id, end),
            )
            begun()

    def leave(self, launch_id: str) -> None:
        """Ask a run to end when its steps under way have ended; it goes on in another process."""
        if launch_id in self._runs:
            self._runs[launch_id].leave()

    def kill(self, launch_id: str) -> None:
        """End a run now; its code stays where it is."""
        if launch_id in self._runs:
            self._runs[launch_id].task.cancel()

    async def close(self) -> None:
        """End all runs now."""
        tasks = [run.task for run in self._runs.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _ended(self, launch_id: str, end: LaunchEnd) -> None:
        del self._runs[launch_id]
        self._has_ended(launch_id, end)
