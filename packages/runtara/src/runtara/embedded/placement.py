"""Where a worker's launches run, as the engine of launches sees it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager

from runtara.core import Order, RunsOfWorker
from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.model.launches import Assignment, OpenLaunch
from runtara_domain.model.stored_images import Image
from runtara_domain.ports.placements import HasEnded, LaunchFailed, StopSignal

_DIED = "the process that ran it has died"


class InlinePlacement:
    """
    The placement of a worker: its launches are runs of the worker. Set `runs` before use.

    over: called with the instance of each run that is over; the instance may have ended.
    """

    runs: RunsOfWorker

    def __init__(self, over: Callable[[Collection[str]], None]) -> None:
        self._over = over
        self._instances: dict[str, str] = {}
        self._turns: dict[str, asyncio.Event] = {}
        self._unconfirmed: dict[str, LaunchEnd] = {}
        self._has_ended: HasEnded | None = None

    def can_run(self, image: Image) -> bool:
        return False

    def sends_launch_id(self, image: Image) -> bool:
        return False

    @asynccontextmanager
    async def watch(self, ended: HasEnded) -> AsyncIterator[None]:
        self._has_ended = ended
        for launch_id, end in list(self._unconfirmed.items()):
            ended(launch_id, end)
        try:
            yield
        finally:
            self._has_ended = None

    async def launch(
        self, assignment: Assignment, given: bytes | None, *, may_start: Callable[[], bool]
    ) -> None:
        """Begin a run; returns when its turn has come, or when it ends before."""
        if not may_start():
            raise LaunchFailed(Cause.RUNNER_FAILED, "the worker's lease has expired")
        self._instances[assignment.launch_id] = assignment.instance_id
        turn = self._turns[assignment.launch_id] = asyncio.Event()
        self.runs.start(
            Order(
                assignment.launch_id,
                assignment.instance_id,
                assignment.tenant_id,
                assignment.workflow or "",
                is_suspect=assignment.is_suspect,
            ),
            turn.set,
        )
        await turn.wait()

    async def send(self, launch_id: str, signal: StopSignal) -> None:
        if signal is StopSignal.TERMINATE:
            self.runs.leave(launch_id)
        else:
            self.runs.kill(launch_id)

    async def take_up(self, launches: Sequence[OpenLaunch]) -> None:
        for row in launches:
            if row.launch_id not in self.runs:
                # Its worker had this worker's id, which only one process can have at a time.
                end = LaunchEnd(cause=Cause.RUNNER_FAILED, reports=True, reason=_DIED)
                self.tell(row.launch_id, end)

    async def confirm(self, launch_id: str) -> None:
        self._unconfirmed.pop(launch_id, None)
        self._instances.pop(launch_id, None)

    def tell(self, launch_id: str, end: LaunchEnd) -> None:
        """Pass the end of a run on, and keep it until it is confirmed."""
        self._unconfirmed[launch_id] = end
        if (turn := self._turns.pop(launch_id, None)) is not None:
            turn.set()
        if self._has_ended is not None:
            self._has_ended(launch_id, end)
        if launch_id in self._instances:
            self._over([self._instances[launch_id]])
