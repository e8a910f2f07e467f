"""Watches the launches of one environment until each has its verdict."""

import logging
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from runtara_domain.error import DatabaseError
from runtara_domain.launching.attention import (
    LEFT,
    Act,
    Leaving,
    Measure,
    Patience,
    measures,
    with_measure,
)
from runtara_domain.launching.crashes import CrashPolicy
from runtara_domain.launching.lease import LeaseKeeper
from runtara_domain.launching.timed_event import TimedEvent
from runtara_domain.launching.verdicts import judge
from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.model.launches import Assignment, Closed, Closing, OpenLaunch
from runtara_domain.model.signals import Signal
from runtara_domain.model.stored_images import LOCAL, Image
from runtara_domain.model.verdicts import LaunchedInstance, Verdict
from runtara_domain.ports.clock import Clock
from runtara_domain.ports.persistence import Persistence
from runtara_domain.ports.placements import LaunchFailed, Placement, StopSignal
from runtara_domain.status import OPEN, SignalType

logger = logging.getLogger(__name__)

_AFTER_FAILURE = timedelta(seconds=1)
_AT_THE_END = timedelta(seconds=10)
"""How long to wait for the verdicts of killed processes."""
_END_COMES = timedelta(milliseconds=250)
"""How long the end of a run may be on its way from the database to here."""
_LOGGED = 1000
"""The most characters of a text from user code that are logged."""
_SENT = {Act.TERMINATE: StopSignal.TERMINATE, Act.KILL: StopSignal.KILL}
_SUPERSEDED = "superseded by another run or launch"


@dataclass(slots=True, eq=False)
class Watched:
    """
    A launch of this environment.

    row: as last read; None before the first read. taken: the last taken measure. gone: set when the
    launch has its verdict. missing_since: since when the database has no such open launch. is_run:
    it is a run of this worker, and no process of an image. is_taken_up: a former environment of
    this id claimed it, maybe without the bound for tenants that this one has. queued: for how long
    it waited for its turn in a worker; None while it may wait.
    """

    launch_id: str
    instance_id: str
    placement: Placement
    patience: Patience
    gone: TimedEvent
    row: OpenLaunch | None = None
    due_seen_at: datetime | None = None
    missing_since: datetime | None = None
    taken: Measure | None = None
    is_run: bool = False
    is_taken_up: bool = False
    queued: timedelta | None = timedelta(0)

    @property
    def counts(self) -> bool:
        """Whether it takes a slot; a launch in a held sleep doesn't."""
        return self.row is None or not self.row.is_sleep_held


@dataclass(slots=True)
class Supervisor:
    """
    Starts processes, takes measures against them by their rows, and closes their launches.

    freed: called whenever a slot may have become free. relaunchable: called when a launch has ended
    whose instance has not, or that was taken up; of other places under limits the watch tells.
    spawn: runs a coroutine in the background; if that fails, the environment ends. All methods must
    be called in the event loop.
    """

    persistence: Persistence
    clock: Clock
    lease: LeaseKeeper
    placements: Mapping[str, Placement]
    environment_id: str
    patience: Patience
    crashes: CrashPolicy
    freed: Callable[[], None]
    relaunchable: Callable[[], None]
    spawn: Callable[[Coroutine[Any, Any, None]], object]
    watched: dict[str, Watched] = field(default_factory=dict)
    leaving: Leaving | None = None
    _judging: set[str] = field(default_factory=set)
    wake_up: TimedEvent = field(init=False)
    _emptied: TimedEvent = field(init=False)

    def __post_init__(self) -> None:
        self.wake_up, self._emptied = TimedEvent(self.clock), TimedEvent(self.clock)

    def occupied(self) -> int:
        """The number of taken slots."""
        return sum(one.counts for one in self.watched.values())

    def takes(self, instance_ids: Sequence[str]) -> bool:
        """Return whether this environment has an open launch of one of these instances."""
        return any(one.instance_id in instance_ids for one in self.watched.values())

    # Beginning

    def begin(self, assignment: Assignment, may_start: Callable[[], bool]) -> None:
        """Launch a claimed instance, if `may_start` still allows it."""
        watched = self._watch(assignment.launch_id, assignment.instance_id, assignment.image)
        if assignment.is_suspect and watched.is_run:
            # A worker begins only a few suspects at once.
            watched.queued = None
        self.spawn(self._launch(watched, assignment, may_start))

    async def take_up(self) -> None:
        """Continue the open launches of a former environment of this id."""
        rows = await self.persistence.launches.open_launches(
            self.environment_id, at=self.lease.now()
        )
        for row in rows:
            image = None
            if row.image_id is not None:
                image = await self.persistence.images.get(row.image_id)
            watched = self._watch(row.launch_id, row.instance_id, image)
            watched.row, watched.is_taken_up = row, True
        for placement in self.placements.values():
            await placement.take_up(
                [row for row in rows if self.watched[row.launch_id].placement is placement]
            )

    def _watch(self, launch_id: str, instance_id: str, image: Image | None) -> Watched:
        name = LOCAL if image is None else image.placement
        placement = self.placements.get(name) or next(iter(self.placements.values()))
        watched = Watched(
            launch_id, instance_id, placement, self.patience.of(image), TimedEvent(self.clock)
        )
        watched.is_run = image is None
        self.watched[launch_id] = watched
        return watched

    async def _launch(
        self, watched: Watched, assignment: Assignment, may_start: Callable[[], bool]
    ) -> None:
        launch_id, claimed_at = assignment.launch_id, self.lease.now()
        try:
            await self._end_others(watched)
            given = None
            if assignment.image is not None:
                given = await self.persistence.instances.input(assignment.instance_id)
            handle = await watched.placement.launch(assignment, given, may_start=may_start)
        except LaunchFailed as failed:
            # The end of a traceback is logged; the launch stores all of it.
            said = str(failed)[-_LOGGED:]
            logger.warning("launch %s of %r: %s", launch_id, assignment.instance_id, said)
            if failed.problem is not None and assignment.image is not None:
                await self._tell_problem(assignment.image.image_id, failed.problem)
            self.ended(launch_id, failed.end)
        except Exception as error:
            # A placement may be a plug-in: its errors must fail only this launch.
            logger.exception("launch %s can't be started", launch_id)
            reason = f"it could not be started: {type(error).__name__}"
            self.ended(launch_id, LaunchFailed(Cause.RUNNER_FAILED, reason).end)
        else:
            if watched.queued is None:
                watched.queued = self.lease.now() - claimed_at
                self.wake_up.set()
            await self._begun(watched, handle)

    async def _end_others(self, watched: Watched) -> None:
        """
        Kill the processes of earlier launches of the instance, and wait for their ends.

        For programs that can't send a launch id there is no other fence.
        """
        for other in list(self.watched.values()):
            if other.instance_id == watched.instance_id and other is not watched:
                await self._supersede(other)
                if not await other.gone.wait(_AT_THE_END):
                    logger.warning("launch %s was killed, but has no end yet", other.launch_id)

    async def _tell_problem(self, image_id: str, problem: str) -> None:
        try:
            await self.persistence.images.set_problem(image_id, problem)
        except DatabaseError as error:
            # The next launch of the image finds the problem again.
            logger.warning("the problem of image %s can't be stored: %s", image_id, error)

    async def _begun(self, watched: Watched, handle: str | None) -> None:
        # Without a handle the process can't be found again; its registration shows that it runs.
        if handle is not None:
            is_open = await self._until_stored(
                lambda at: self.persistence.launches.mark_started(
                    watched.launch_id, handle=handle, at=at
                )
            )
            if not is_open:
                await self._supersede(watched)
        if watched.taken is not None and watched.taken.act in _SENT:
            # A signal sent before the start has reached no process.
            await watched.placement.send(watched.launch_id, _SENT[watched.taken.act])

    # Running launches

    async def attend(self) -> timedelta | None:
        """Take due measures; return the time to the next call, None: only after a change."""
        if not self.watched:
            return None
        asked = list(self.watched.values())
        rows = await self.persistence.launches.open_launches(
            self.environment_id, at=self.lease.now()
        )
        found = {row.launch_id: row for row in rows}
        taken, moments = self.occupied(), []
        for watched in asked:
            moment = await self._attend_one(watched, found.get(watched.launch_id))
            moments += [] if moment is None else [moment]
        if self.occupied() < taken:
            self.freed()
        return max(min(moments) - self.lease.now(), timedelta(0)) if moments else None

    async def _attend_one(self, watched: Watched, row: OpenLaunch | None) -> datetime | None:
        if watched.launch_id not in self.watched or watched.launch_id in self._judging:
            return None
        now = self.lease.now()
        if row is None:
            watched.missing_since = watched.missing_since or now
            killed_at = watched.missing_since + (_END_COMES if watched.is_run else timedelta(0))
            if now < killed_at:
                return killed_at
            await self._supersede(watched)
            return None
        watched.row = row
        watched.due_seen_at = (watched.due_seen_at or now) if row.due_since is not None else None
        ahead = [
            one
            for one in measures(
                row,
                watched.patience,
                due_seen_at=watched.due_seen_at or now,
                leaving=self.leaving,
                queued=watched.queued,
            )
            if watched.taken is None or one.act > watched.taken.act
        ]
        for measure in (one for one in ahead if one.at <= now):
            await self._take(watched, measure)
        moments = [one.at for one in ahead if one.at > now]
        if row.sleep_until is not None and row.sleep_until > now:
            moments.append(row.sleep_until)
        return min(moments, default=None)

    async def _take(self, watched: Watched, measure: Measure) -> None:
        if watched.taken is not None and measure.act <= watched.taken.act:
            return
        watched.taken = measure
        logger.info("launch %s: %s: %s", watched.launch_id, measure.act.name, measure.reason)
        match measure.act:
            case Act.CANCEL:
                await self._cancel(watched, measure)
            case act:
                await watched.placement.send(watched.launch_id, _SENT[act])

    async def _cancel(self, watched: Watched, measure: Measure) -> None:
        signal = Signal(SignalType.CANCEL, measure.reason.encode())
        try:
            await self.persistence.signals.send(
                watched.instance_id, signal, when=OPEN, at=self.lease.now()
            )
        except DatabaseError:
            # The measure is taken again at the next call, which comes soon after a failure.
            watched.taken = None
            raise

    async def _supersede(self, watched: Watched) -> None:
        if watched.taken is None or watched.taken.cause is not Cause.SUPERSEDED:
            watched.taken = Measure(
                at=self.lease.now(), act=Act.KILL, cause=Cause.SUPERSEDED, reason=_SUPERSEDED
            )
            await watched.placement.send(watched.launch_id, StopSignal.KILL)

    # Its end

    def ended(self, launch_id: str, end: LaunchEnd) -> None:
        """Close a launch that has ended; a second call does nothing while the first runs."""
        if launch_id not in self._judging:
            self._judging.add(launch_id)
            self.spawn(self._judge(launch_id, end))

    async def _judge(self, launch_id: str, end: LaunchEnd) -> None:
        watched = self.watched.get(launch_id)
        end = with_measure(end, None if watched is None else watched.taken)
        is_final = end.is_closed or await self._closed(launch_id, end)
        said = end.describe().partition("\n")[0][:_LOGGED]
        logger.info("launch %s ended: %s", launch_id, said)
        for placement in [watched.placement] if watched else self.placements.values():
            await placement.confirm(launch_id)
        self.watched.pop(launch_id, None)
        if watched is not None:
            watched.gone.set()
        self._judging.discard(launch_id)
        if not self.watched:
            self._emptied.set()
        self.freed()
        if not is_final or (watched is not None and watched.is_taken_up):
            self.relaunchable()

    async def _closed(self, launch_id: str, end: LaunchEnd) -> bool:
        """Close a launch with its verdict; return whether its instance is final."""
        closed: Closed = await self._until_stored(
            lambda at: self.persistence.launches.close(
                Closing(launch_id, end, chance=random.random()), self._verdict, at=at
            )
        )
        return closed.after is not None and closed.after.is_final

    def _verdict(self, end: LaunchEnd, instance: LaunchedInstance) -> Verdict:
        verdict = judge(end, instance, self.crashes)
        if self.leaving is not None and end.cause is Cause.STOPPED and verdict.delay is not None:
            return replace(verdict, delay=timedelta(0))
        return verdict

    async def leave(self, grace: timedelta) -> None:
        """Ask all processes to end; return once all have verdicts, or the time for that is up."""
        self.leaving = Leaving(since=self.lease.now(), grace=grace)
        self.wake_up.set()
        self._emptied.clear()
        if self.watched:
            await self._emptied.wait(grace + _AT_THE_END)

    async def give_back(self) -> None:
        """
        Close open launches that this process never began; raises DatabaseError.

        A claim whose answer was lost may have been executed. A launch that is still watched may
        have a live process that can't be killed or reached: the launch stays open, and is lost with
        the lease.
        """
        rows = await self.persistence.launches.open_launches(
            self.environment_id, at=self.lease.now()
        )
        for row in rows:
            if row.launch_id in self.watched:
                logger.warning("launch %s has no end: it is lost with the lease", row.launch_id)
                continue
            end = LaunchEnd(cause=Cause.STOPPED, reports=False, reason=LEFT)
            closing = Closing(row.launch_id, end, chance=random.random())
            await self.persistence.launches.close(closing, self._verdict, at=self.lease.now())

    async def _until_stored(self, step: Callable[[datetime], Coroutine[Any, Any, Any]]) -> Any:
        """Repeat a step until the database has executed it."""
        while True:
            try:
                return await step(self.lease.now())
            except DatabaseError as error:
                logger.warning("launch can't be stored, trying again: %s", error)
                await self.clock.pause(_AFTER_FAILURE)
