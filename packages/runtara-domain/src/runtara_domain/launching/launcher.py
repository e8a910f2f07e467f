"""The engine of launches: claims launchable instances, launches and closes them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from runtara_domain.error import DatabaseError
from runtara_domain.launching.attention import Patience
from runtara_domain.launching.crashes import CrashPolicy
from runtara_domain.launching.known import Known
from runtara_domain.launching.lease import LeaseKeeper, LeaseTimes
from runtara_domain.launching.listeners import Listeners
from runtara_domain.launching.scheduler import Scheduler
from runtara_domain.launching.supervisor import Supervisor
from runtara_domain.launching.takeover import TakeOver
from runtara_domain.launching.timed_event import TimedEvent
from runtara_domain.model.environments import NewEnvironment, Renewal
from runtara_domain.model.interventions import Stopped
from runtara_domain.model.launches import Claims, InstanceStart, Offer
from runtara_domain.model.stored_images import Image
from runtara_domain.ports.clock import Clock
from runtara_domain.ports.persistence import Persistence
from runtara_domain.ports.placements import Placement
from runtara_domain.ports.schedules import Calendar
from runtara_domain.record import record

logger = logging.getLogger(__name__)

_BATCH = 100
_AFTER_FAILURE = timedelta(seconds=1)
_LOOK = timedelta(milliseconds=50)
_LOOK_EACH, _LONGEST_LOOK = timedelta(milliseconds=5), timedelta(milliseconds=500)
"""A look takes a tenth of a millisecond for each launch, and thus a fiftieth of the time."""
_GATHER = timedelta(milliseconds=50)
"""
How long a claim waits for more free slots, while instances wait and less than an eighth is free.

A claim of one instance takes as much as four more in the same claim.
"""


@record(kw_only=True)
class LauncherSettings:
    """
    An environment and its bounds.

    environment: the environment's row in the database. Its capacity is the largest number of open
    launches; launches in a held sleep are not counted. tenant_limit: bounds tenants that have no
    stored limit; None is no bound. shutdown_grace: the time for processes to end when the
    environment ends. leaves_processes: when the environment ends, its processes run on, and the
    next environment of this id takes them up.
    """

    environment: NewEnvironment
    tenant_limit: int | None = None
    patience: Patience = field(default_factory=Patience)
    crashes: CrashPolicy = field(default_factory=CrashPolicy)
    lease: LeaseTimes = field(default_factory=LeaseTimes)
    shutdown_grace: timedelta = timedelta(seconds=10)
    leaves_processes: bool = False


class Launcher:
    """
    Launches instances within its `async with` block.

    On entry it takes the lease, and continues the open launches of a former environment of this id.
    On exit it asks processes to end and waits for their verdicts, unless the processes are to run
    on, or the block raised an error. While idle it sends the database only renewals of the lease.
    If the launcher fails, its block is cancelled. launchable: its callbacks are called when
    instances may have become launchable, or when the time of the next one may have changed. With a
    calendar the launcher executes the ticks of schedules, too.
    """

    def __init__(
        self,
        persistence: Persistence,
        clock: Clock,
        placements: Mapping[str, Placement],
        settings: LauncherSettings,
        calendar: Calendar | None = None,
    ) -> None:
        self._persistence, self._clock = persistence, clock
        self._placements, self._settings = placements, settings
        environment, times, patience = settings.environment, settings.lease, settings.patience
        self._lease = LeaseKeeper(
            persistence.environments, clock, environment, times, patience.silence, self._renewed
        )
        self._wake_up, self._known = TimedEvent(clock), Known()
        self._supervisor = Supervisor(
            persistence,
            clock,
            self._lease,
            placements,
            environment.environment_id,
            patience,
            settings.crashes,
            self.freed,
            self._want,
            self._spawn,
        )
        self._take_over = TakeOver(persistence, self._lease, settings.crashes)
        self._scheduler = None if calendar is None else self._scheduling(calendar)
        self._offer = Offer(
            environment_id=environment.environment_id,
            can_run=self._can_run,
            sends_launch_id=self._sends_launch_id,
            workflows=frozenset(environment.workflows),
            tenant_id=environment.tenant_id,
            tenant_limit=settings.tenant_limit,
            silence=patience.silence,
            lost_silence=times.lost_silence,
        )
        self._stack = AsyncExitStack()
        self._tasks: asyncio.TaskGroup | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._is_ending = self._is_to_look = False
        self._gathers_until: timedelta | None = None
        self.launchable = Listeners()

    # Calls from operations

    def now(self) -> datetime:
        """Return the database's time, which this environment gives to all steps as `at`."""
        return self._lease.now()

    @property
    def told(self) -> int:
        """How often instances may have become launchable."""
        return self.launchable.count

    @property
    def active(self) -> int:
        """The number of open launches of this environment."""
        return len(self._supervisor.watched)

    @contextmanager
    def offering(self, start: InstanceStart) -> Iterator[Offer | None]:
        """
        Give the block the offer for a start; None if the start is to claim nothing now.

        Of concurrent starts only one has the offer. The next claim takes the instances of the
        others.
        """
        known = self._known
        # Instances that wait already come before the start's: the next claim takes them.
        is_busy = known.is_offering or known.is_waiting or known.is_draining
        if is_busy or not self._offer.may_take(start) or not self._free():
            yield None
            return
        known.is_offering = True
        try:
            yield self._offer
        finally:
            known.is_offering = False

    def take(self, claims: Claims | None, has_held: Callable[[], bool] | None = None) -> None:
        """
        Launch the instances that were claimed with an offer of this launcher.

        If none was claimed, the launcher claims soon. has_held: returns whether the lease was valid
        without a gap since the claim was sent. None: the lease must be valid from now on.
        """
        if claims is None or not claims.assignments:
            self._tell()
            return
        for assignment in claims.assignments:
            self._supervisor.begin(assignment, has_held or self._lease.unbroken())
        # A stop may have been stored since the claim.
        self._look_soon()

    def recheck(self) -> None:
        """Claim again, and read the open launches again, because their rows may have changed."""
        self._want()
        self._supervisor.wake_up.set()
        self.launchable.tell()

    def freed(self) -> None:
        """Claim again if a limit held instances back, because a slot may have become free."""
        if self._known.is_held_back:
            self._known.is_held_back = False
            self._want()
            self.launchable.tell()
        self._wake_up.set()

    def answered(self, claims: Claims, heard: int, limit: int) -> None:
        """
        Note the answer to a worker's claim, which may show that the launcher need not claim.

        heard: `launchable.count` when the claim was sent. limit: what the claim asked for at most.
        """
        is_newest, times = heard == self.launchable.count, (self._clock.uptime(), self._lease.now())
        self._known.note_of_worker(claims, limit, *times, is_newest=is_newest)
        self._wake_up.set()

    def recheck_schedules(self) -> None:
        """Read the due schedules again, because a schedule has changed."""
        if self._scheduler is not None:
            self._scheduler.recheck()

    def stopping(self, stopped: Stopped) -> None:
        """Act on a stop that was just stored, whichever environment has the launch."""
        if stopped.stop_at is not None:
            self._take_over.end_at(stopped.stop_at)
        self.recheck()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._lease.open()
            self._tasks = await stack.enter_async_context(asyncio.TaskGroup())
            for placement in self._placements.values():
                await stack.enter_async_context(placement.watch(self._supervisor.ended))
            watch = self._persistence.watch(self._changed, launchable=self._heard)
            await stack.enter_async_context(watch)
            await self._supervisor.take_up()
            self._spawn(self._lease.keep())
            self._spawn(self._for_ever(self._wake_up, self._claim))
            self._spawn(self._for_ever(self._supervisor.wake_up, self._attend))
            if self._scheduler is not None:
                self._spawn(self._for_ever(self._scheduler.wake_up, self._scheduler.attend))
            self._lease.ask()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_ending = True
        is_whole = error is None and not self._settings.leaves_processes
        try:
            if is_whole:
                await self._supervisor.leave(self._settings.shutdown_grace)
        finally:
            for task in self._running:
                task.cancel()
            await self._stack.__aexit__(kind, error, traceback)
        if is_whole:
            # After `leave` not even a claim whose answer was lost can claim an instance.
            await self._lease.leave()
            await self._supervisor.give_back()
            await self._lease.close()

    # Loops

    async def _for_ever(
        self, wake_up: TimedEvent, act: Callable[[], Awaitable[timedelta | None]]
    ) -> None:
        while True:
            wake_up.clear()
            try:
                span = await act()
            except DatabaseError as error:
                logger.warning("the database can't be used, trying again: %s", error)
                self._known.is_wanted = True
                span = _AFTER_FAILURE
            await wake_up.wait(span)

    async def _claim(self) -> timedelta | None:
        """Claim as many instances as there are free slots; return the time to the next claim."""
        while (free := self._free()) > 0:
            if not (self._known.is_wanted or self._known.is_due(self._lease.now())):
                return self._until_next()
            if span := self._gathering(free):
                return span
            await self._claim_once(min(free, _BATCH))
        return None

    def _gathering(self, free: int) -> timedelta | None:
        """Return how long to wait for more free slots than these; None: they are enough."""
        now, until = self._clock.uptime(), self._gathers_until
        if not self._known.is_waiting or free >= self._settings.environment.capacity // 8:
            self._gathers_until = None
        elif until is None:
            self._gathers_until = now + _GATHER
        elif until <= now:
            self._gathers_until = None
        return None if self._gathers_until is None else self._gathers_until - now

    async def _claim_once(self, limit: int) -> None:
        known = self._known
        known.begin()
        # If the lease expires before the answer comes, others may launch the claimed instances.
        has_held = self._lease.unbroken()
        claims = await self._persistence.launches.claim(
            self._offer, limit=limit, at=self._lease.now()
        )
        if claims.assignments:
            self.take(claims, has_held)
        known.note(claims, limit)
        if claims.has_lease:
            self._note_drain(claims.is_draining)
        else:
            self._lease.ask()

    async def _attend(self) -> timedelta | None:
        span = await self._supervisor.attend()
        other = await self._take_over.end_stopped()
        spans = [each for each in (span, other) if each is not None]
        return min(spans, default=None)

    def _free(self) -> int:
        if self._is_ending or not self._lease.is_good():
            return 0
        return max(self._settings.environment.capacity - self._supervisor.occupied(), 0)

    def _until_next(self) -> timedelta | None:
        now = self._lease.now()
        return min(
            (max(moment - now, timedelta(0)) for moment in self._known.moments()), default=None
        )

    # Calls from the lease and the watch

    def _renewed(self, renewal: Renewal) -> None:
        was_draining = self._known.is_draining
        self._note_drain(renewal.is_draining)
        self._known.note_renewal(renewal)
        if self._scheduler is not None:
            self._scheduler.heard(renewal.next_tick_at)
        # During a drain no renewal leads to a claim. The first renewal after the drain does,
        # because instances may have become launchable meanwhile.
        if (renewal.is_anything_launchable or was_draining) and not renewal.is_draining:
            self._want()
        self._wake_up.set()
        if renewal.next_stop_at is not None:
            self._take_over.end_at(renewal.next_stop_at)
        if renewal.lost and self._lease.may_take_over():
            self._spawn(self._take_over.close_launches_of(renewal.lost))
        if self._supervisor.watched or renewal.next_stop_at is not None:
            self._supervisor.wake_up.set()
        self.launchable.tell()

    def _changed(self, instance_ids: Collection[str] | None) -> None:
        if instance_ids is None or self._supervisor.takes(list(instance_ids)):
            self._supervisor.wake_up.set()

    def _heard(self) -> None:
        """Claim, and look at the launches soon: an instance is launchable, or a stop is stored."""
        self._tell()
        if self._supervisor.watched:
            self._look_soon()

    def _tell(self) -> None:
        """Have workers claim that wait here; the launcher claims if they leave anything to it."""
        if not self.launchable.is_empty or self._known.is_worker_back(self._clock.uptime()):
            self._known.leave(self._lease.now())
            self._wake_up.set()
        else:
            self._want()
        self.launchable.tell()

    def _look_soon(self) -> None:
        if not self._is_to_look:
            self._is_to_look = True
            self._spawn(self._look())

    async def _look(self) -> None:
        # Each start and each end asks for a look at all launches. After the pause, one look serves
        # all that asked meanwhile.
        pause = len(self._supervisor.watched) * _LOOK_EACH
        await self._clock.pause(max(_LOOK, min(pause, _LONGEST_LOOK)))
        self._is_to_look = False
        self._supervisor.wake_up.set()

    def _note_drain(self, is_draining: bool) -> None:
        if is_draining and not self._known.is_draining:
            logger.info("environment is draining: it launches nothing more")
        self._known.is_draining = is_draining

    def _want(self) -> None:
        self._known.is_wanted = True
        self._wake_up.set()

    def _scheduling(self, calendar: Calendar) -> Scheduler:
        schedules, now = self._persistence.schedules, self._lease.now
        return Scheduler(schedules, calendar, self._clock, now, self.recheck)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        assert self._tasks is not None, "launches begin inside the block"
        task = self._tasks.create_task(coroutine)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _can_run(self, image: Image) -> bool:
        placement = self._placements.get(image.placement)
        return placement is not None and placement.can_run(image)

    def _sends_launch_id(self, image: Image) -> bool:
        placement = self._placements.get(image.placement)
        return placement is not None and placement.sends_launch_id(image)
