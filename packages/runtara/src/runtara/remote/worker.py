"""A worker through the servers: claims launches, renews its lease, reports how they ended."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from uuid import uuid4

from runtara.core import OpenRuns, Order, Plan, RunsOfWorker
from runtara.identity import machine
from runtara.remote import scheduling
from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_management_sdk.client import ManagementClient
from runtara_management_sdk.errors import LeaseLost
from runtara_management_sdk.worker_records import Assignment, Ended, Lease, Stop
from runtara_sdk.errors import InvalidInstanceState, RuntaraError
from runtara_sdk.loggers import get_logger

logger = get_logger(__name__)

_WAIT = timedelta(seconds=20)
_CLAIM_IS_OVER = 30.0
"""After how many seconds a claim that failed here is over at the server, too, which may hold it."""
_BATCH = 100
_AFTER_FAILURE = 1.0
_GRACE_OF_TIMEOUT = 10.0
_END_COMES = 0.25
"""For how many seconds the end that closed a launch may be on its way from the run to here."""
_DRAIN = 2.0
"""For how many seconds a worker without launches waits, at its end, for the server's answer."""
_LEFT = (Cause.STOPPED, "the worker has ended")


@asynccontextmanager
async def serving(management: ManagementClient, plan: Plan, runs: OpenRuns) -> AsyncIterator[None]:
    """Serve while the block lasts; hand over at its end."""
    worker = _RemoteWorker(management, plan)
    await worker.open()
    await scheduling.declare(management, plan)
    async with runs(worker.ended) as opened:
        worker.runs = opened
        claiming, *tasks = [
            asyncio.create_task(work)
            for work in (
                worker.claim_until_it_leaves(),
                worker.renew_for_ever(),
                worker.report_for_ever(),
            )
        ]
        try:
            yield
        finally:
            await worker.leave(claiming)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
    await worker.close()


class _RemoteWorker:
    """One worker's lease and launches."""

    runs: RunsOfWorker

    def __init__(self, management: ManagementClient, plan: Plan) -> None:
        self._management, self._plan = management, plan
        self._id = f"worker-{uuid4().hex}"
        self._loop = asyncio.get_running_loop()
        self._launches: dict[str, str] = {}
        """The instances of launches that are open, or not yet reported."""
        self._ends: dict[str, Ended] = {}
        self._causes: dict[str, tuple[Cause, str]] = {}
        """The causes of launches that this worker ends, instead of the causes of their runs."""
        self._timers: dict[str, list[asyncio.TimerHandle]] = {}
        self._changed, self._has_ends = asyncio.Event(), asyncio.Event()
        self._is_draining = self._is_leaving = False
        self._renewing = asyncio.Lock()
        self._good_until = 0.0
        self._renew_every = 1.0
        self._has_core = False
        """Whether the environment hears of ends without reports."""
        self._work: set[asyncio.Task[None]] = set()

    async def open(self) -> Lease:
        """Take the lease, or go on with it; raises RuntaraError."""
        asked_at = self._loop.time()
        lease = await self._management.workers.open(
            self._id,
            self._plan.tenant_id,
            self._plan.workflows,
            capacity=self._plan.capacity,
            machine=machine(),
            version=version("runtara"),
        )
        self._good_until = asked_at + lease.good_for.total_seconds()
        self._renew_every = lease.renew_every.total_seconds()
        self._has_core = lease.has_core
        return lease

    async def close(self) -> None:
        """End the lease."""
        try:
            await self._management.workers.close(self._id)
        except RuntaraError as error:
            logger.warning("the lease can't be ended, and expires by itself: %s", error)

    def ended(self, launch_id: str, end: LaunchEnd) -> None:
        """Report the end of a run, unless the servers know it."""
        for timer in self._timers.pop(launch_id, []):
            timer.cancel()
        cause, reason = self._causes.pop(launch_id, (end.cause, end.reason))
        if launch_id not in self._launches:
            return
        if end.is_closed:
            del self._launches[launch_id]
            self._changed.set()
        else:
            self._report(Ended(launch_id, cause, end.exit_code, end.signal, reason))

    def _report(self, end: Ended) -> None:
        self._ends[end.launch_id] = end
        self._has_ends.set()

    async def leave(self, claiming: "asyncio.Task[None]") -> None:
        """Ask all runs to leave, end those that don't within the grace, and report them all."""
        self._is_leaving = True
        for launch_id in list(self._launches):
            self._causes[launch_id] = _LEFT
            self.runs.leave(launch_id)
        claiming.add_done_callback(lambda _: self._changed.set())
        draining = asyncio.create_task(self._drain(claiming))
        await self._until_reported(self._plan.grace.total_seconds(), claiming)
        for task in (claiming, draining):
            task.cancel()
        for launch_id in list(self._launches):
            self.runs.kill(launch_id)
        await self._until_reported(_GRACE_OF_TIMEOUT, claiming)
        await asyncio.wait([claiming, draining])

    async def _drain(self, claiming: "asyncio.Task[None]") -> None:
        """
        Drain the worker, then end the claim that waits.

        A claim that is cut off before the drain may still claim an instance that was just released,
        which would wait until the lease ends. The server answers such a claim before the drain.
        """
        self._changed.set()
        try:
            async with asyncio.timeout(None if self._launches else _DRAIN):
                await self._management.environments.drain(self._id)
        except TimeoutError:
            logger.warning("the worker can't be drained: no answer within %g s", _DRAIN)
        except RuntaraError as error:
            logger.warning("the worker can't be drained: %s", error)
        claiming.cancel()
        await asyncio.wait([claiming])
        if self._launches:
            # Its end waits for runs: what the last claim took may not wait as long.
            try:
                await self._give_back_unknown()
            except RuntaraError as error:
                logger.warning("what the last claim took can't be given back yet: %s", error)

    async def _until_reported(self, seconds: float, claiming: "asyncio.Task[None]") -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._launches or not claiming.done():
                    self._changed.clear()
                    await self._changed.wait()

    # Its loops

    async def claim_until_it_leaves(self) -> None:
        """Claim launches whenever there is room."""
        looks: list[float] = []
        while not self._is_leaving:
            self._changed.clear()
            free = self._plan.capacity - len(self._launches)
            if free <= 0:
                await self._changed.wait()
                continue
            try:
                if looks and self._loop.time() >= looks[0]:
                    await self._give_back_unknown()
                    del looks[0]
                claimed = await self._management.workers.claim(
                    self._id, min(free, _BATCH), wait=_WAIT
                )
            except RuntaraError as error:
                logger.warning("claim failed, trying again: %s", error)
                now = self._loop.time()
                looks = [now, now + _CLAIM_IS_OVER]
                await asyncio.sleep(_AFTER_FAILURE)
            else:
                for assignment in claimed:
                    self._begin(assignment)

    async def _give_back_unknown(self) -> None:
        """
        Renew the lease, and give back the launches of a claim whose answer was lost.

        Call it while no claim is under way: then no answer can have these launches. Raises
        RuntaraError.
        """
        # A lease that is good keeps its drain when it is opened.
        await self._renew()
        lease = await self.open()
        for launch_id, instance_id in lease.open_launches.items():
            if launch_id not in self._launches:
                self._launches[launch_id] = instance_id
                reason = "the answer to its claim was lost"
                self._report(Ended(launch_id, Cause.STOPPED, error=reason))

    async def renew_for_ever(self) -> None:
        """Renew the lease, and obey the answers, until cancelled."""
        while True:
            await asyncio.sleep(self._renew_every)
            try:
                await self._renew()
            except RuntaraError as error:
                logger.warning("the lease can't be renewed: %s", error)

    async def _renew(self) -> None:
        """Renew the lease, or take another if it was given up; raises RuntaraError."""
        async with self._renewing:
            asked_at = self._loop.time()
            try:
                renewed = await self._management.workers.renew(self._id, list(self._launches))
            except LeaseLost:
                logger.info("the lease was lost, taking another")
                await self.open()
                if self._is_draining or self._is_leaving:
                    await self._management.environments.drain(self._id)
                return
        self._good_until = asked_at + renewed.good_for.total_seconds()
        self._is_draining = renewed.is_draining
        for launch_id in renewed.closed & self._launches.keys() - self._ends.keys():
            self._after(launch_id, _END_COMES, partial(self._supersede, launch_id))
        for stop in renewed.stops:
            self._stop(stop)

    async def report_for_ever(self) -> None:
        """Report ends until cancelled; each until it is stored."""
        while True:
            self._has_ends.clear()
            if not self._ends:
                await self._has_ends.wait()
            ends = list(self._ends.values())[:_BATCH]
            try:
                await self._management.workers.report(self._id, ends)
            except RuntaraError as error:
                logger.warning("ends of launches can't be reported, trying again: %s", error)
                await asyncio.sleep(_AFTER_FAILURE)
                continue
            for end in ends:
                del self._ends[end.launch_id]
                del self._launches[end.launch_id]
            self._changed.set()

    # One launch

    def _begin(self, assignment: Assignment) -> None:
        launch_id = assignment.launch_id
        if self._is_leaving:
            cause, reason = _LEFT
            self._launches[launch_id] = assignment.instance_id
            self._report(Ended(launch_id, cause, error=reason))
            return
        for other, instance_id in self._launches.items():
            if instance_id == assignment.instance_id:
                # On their common connection its requests would count as the newer run's.
                self._supersede(other)
        self._launches[launch_id] = assignment.instance_id
        if self._loop.time() >= self._good_until:
            reason = "the worker's lease has expired"
            self._report(Ended(launch_id, Cause.RUNNER_FAILED, error=reason))
            return
        self.runs.start(
            Order(
                launch_id,
                assignment.instance_id,
                assignment.tenant_id,
                assignment.workflow,
                is_suspect=assignment.is_suspect,
                closes_launch=self._has_core,
            ),
            lambda: self._bound(assignment),
        )

    def _bound(self, assignment: Assignment) -> None:
        """Count the launch's timeout from now on, when its run begins."""
        if assignment.timeout is not None:
            launch_id, seconds = assignment.launch_id, assignment.timeout.total_seconds()
            self._after(launch_id, seconds, lambda: self._time_out(launch_id, seconds))

    def _supersede(self, launch_id: str) -> None:
        self._causes[launch_id] = (Cause.SUPERSEDED, "superseded by another run or launch")
        self.runs.kill(launch_id)

    def _after(self, launch_id: str, seconds: float, act: Callable[[], None]) -> None:
        timer = self._loop.call_later(max(seconds, 0), act)
        self._timers.setdefault(launch_id, []).append(timer)

    def _stop(self, stop: Stop) -> None:
        if self._causes.get(stop.launch_id) is None and stop.launch_id in self._launches:
            self._causes[stop.launch_id] = (Cause.STOPPED, stop.reason or "stopped")
            launch_id, left = stop.launch_id, stop.left.total_seconds()
            self._after(launch_id, left, lambda: self.runs.kill(launch_id))

    def _time_out(self, launch_id: str, seconds: float) -> None:
        reason = f"timed out after {seconds:g} s"
        self._causes[launch_id] = (Cause.TIMED_OUT, reason)
        task = self._loop.create_task(self._cancel(self._launches[launch_id], reason))
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        self._after(launch_id, _GRACE_OF_TIMEOUT, lambda: self.runs.kill(launch_id))

    async def _cancel(self, instance_id: str, reason: str) -> None:
        try:
            await self._management.instances.cancel(instance_id, reason.encode())
        except InvalidInstanceState:
            pass  # It has ended meanwhile.
        except RuntaraError as error:
            logger.warning("cancel of instance %r can't be sent: %s", instance_id, error)
