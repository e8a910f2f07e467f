"""The operations of operators and clients on instances."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from runtara_domain import values
from runtara_domain.error import (
    ImageNotFound,
    InstanceAlreadyExists,
    InstanceNotFound,
    InvalidInstanceState,
    InvalidValue,
)
from runtara_domain.ports.transport import never_abandoned
from runtara_domain.status import SignalType, State

if TYPE_CHECKING:
    from runtara_domain.launching.endings import Endings
    from runtara_domain.model import CustomSignal, Sent, Signal
    from runtara_domain.model.instance_copies import Copied, CopiedInstance, InstanceCopy, PutCopy
    from runtara_domain.model.instance_views import InstanceView
    from runtara_domain.model.interventions import (
        Deleted,
        Deletion,
        Fork,
        Forked,
        Retry,
        Stop,
        Stopped,
    )
    from runtara_domain.model.launches import Claims, InstanceStart, Offer, Started
    from runtara_domain.ports.clock import Clock
    from runtara_domain.ports.persistence import Persistence
    from runtara_domain.ports.transport import OnAbandoned

_AFTER_GRACE = timedelta(seconds=5)


class LaunchingHere(Protocol):
    """The engine of launches in the same process, such as `Launcher`."""

    def now(self) -> datetime:
        """Return the database's time."""
        ...

    def offering(self, start: InstanceStart) -> AbstractContextManager[Offer | None]:
        """Give the block the offer for a start; None if nothing is to be claimed with it now."""
        ...

    @property
    def told(self) -> int:
        """How often instances may have become launchable."""
        ...

    def take(self, claims: Claims | None) -> None:
        """Launch the instances that were claimed with an offer of this engine, or claim if none."""
        ...

    def recheck(self) -> None:
        """Claim again, because something may have changed."""
        ...

    def stopping(self, stopped: Stopped) -> None:
        """Execute a stop that was just stored."""
        ...


class LaunchingElsewhere:
    """For processes without an engine: others launch, and see changes by the database's watch."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now()

    def offering(self, start: InstanceStart) -> AbstractContextManager[Offer | None]:
        return nullcontext()

    @property
    def told(self) -> int:
        return 0

    def take(self, claims: Claims | None) -> None:
        """Do nothing: without an offer there are no claims."""

    def recheck(self) -> None:
        """Do nothing: this process launches nothing."""

    def stopping(self, stopped: Stopped) -> None:
        """Do nothing: another process executes the stop."""


class InstanceOperations:
    """
    The operations on instances; a refused operation raises a CoreError.

    launching: called in each operation; returns this process's engine of launches. endings: waits
    for ends of instances.
    """

    def __init__(
        self, persistence: Persistence, clock: Clock, launching: Callable[[], LaunchingHere]
    ) -> None:
        self.persistence, self.clock, self.launching = persistence, clock, launching

    @cached_property
    def endings(self) -> Endings:
        """Where callers wait for ends."""
        from runtara_domain.launching.endings import Endings

        return Endings(self.persistence.instances)

    def now(self) -> datetime:
        """Return the database's time, as estimated in this process."""
        return self.launching().now()

    async def start(self, start: InstanceStart) -> Started:
        """
        Store an instance to be launched, and launch it at once if there is room.

        A repeated start changes nothing. Raises ImageNotFound, or InstanceAlreadyExists if the id
        belongs to another start.
        """
        here = self.launching()
        told = here.told
        with here.offering(start) as offer:
            started = await self.persistence.launches.start(start, at=here.now(), offer=offer)
        # The database may have told of the start before it answered.
        if started.created and (started.claims is not None or here.told == told):
            here.take(started.claims)
        if not started.image_is_found:
            raise ImageNotFound(start.image_id or "")
        if started.differs_in:
            raise InstanceAlreadyExists(
                f"Instance {start.instance_id!r} already exists, with another"
                f" {', '.join(started.differs_in)}: take another id"
            )
        return started

    async def view(
        self, instance_id: str, *, tenant_limit: int | None = None
    ) -> InstanceView | None:
        """
        Read an instance with all its details; None if it is unknown.

        tenant_limit: bounds tenants that have no stored limit; None is no bound.
        """
        values.check_id("instance_id", instance_id)
        return await self.persistence.launches.view(
            instance_id, at=self.now(), tenant_limit=tenant_limit
        )

    async def stop(self, stop: Stop, on_abandoned: OnAbandoned = never_abandoned) -> None:
        """Cancel an instance, and end its process after the grace; return when it is final."""
        here = self.launching()
        stopped = await self.persistence.launches.stop(stop, at=here.now())
        _require_open(stop.instance_id, stopped.before)
        here.stopping(stopped)
        wait = stop.grace + _AFTER_GRACE
        state = await self.endings.until_final(stop.instance_id, wait, on_abandoned)
        if state is not None and not state.is_final:
            raise InvalidInstanceState(
                f"Instance {stop.instance_id!r} is still {state}: its stop is stored, and an"
                " environment ends it later"
            )

    async def resume(self, instance_id: str) -> None:
        """Make an instance launchable now."""
        values.check_id("instance_id", instance_id)
        here = self.launching()
        _require_open(
            instance_id, await self.persistence.launches.resume(instance_id, at=here.now())
        )
        here.recheck()

    async def send_signal(self, instance_id: str, signal: Signal) -> None:
        """Store a cancel or a pause; a resume makes the instance launchable."""
        from runtara_domain.use_cases.signals import SendSignal

        here = self.launching()
        send = SendSignal(self.persistence.signals, here)
        await send(instance_id=instance_id, signal=signal)
        here.recheck()

    async def send(self, instance_id: str, signal: CustomSignal) -> Sent:
        """Send a value; the first one sent for a name stands."""
        from runtara_domain.use_cases.signals import SendCustomSignal

        here = self.launching()
        # With the clock of the claim that follows: by another clock it might not be due yet.
        send = SendCustomSignal(self.persistence.signals, here)
        sent = await send(instance_id=instance_id, signal=signal)
        if sent.makes_due:
            here.recheck()
        return sent

    async def retry(self, retry: Retry) -> None:
        """Let a failed or cancelled instance go on."""
        here = self.launching()
        retried = await self.persistence.launches.retry(retry, at=here.now())
        if retried.before is None:
            raise InstanceNotFound(retry.instance_id)
        if not retried.image_is_found:
            raise ImageNotFound(retry.image_id or "of the instance")
        if retried.before is State.COMPLETED:
            raise InvalidInstanceState(
                f"Instance {retry.instance_id!r} is completed: there is nothing to retry; fork it"
            )
        here.recheck()

    async def fork(self, fork: Fork) -> Forked:
        """Create an instance with a copy of another one's history."""
        here = self.launching()
        forked = await self.persistence.launches.fork(fork, at=here.now())
        if not forked.is_found:
            raise InstanceNotFound(fork.instance_id)
        if not forked.image_is_found:
            raise ImageNotFound(fork.image_id or "of the instance")
        if forked.is_taken:
            raise InstanceAlreadyExists(f"Instance {fork.new_instance_id!r} already exists")
        if not forked.point_is_found:
            point = fork.through_checkpoint_id or fork.before_checkpoint_id
            raise InvalidValue(f"checkpoint_id: the history has no checkpoint {point!r}")
        if forked.is_too_long:
            raise InvalidValue("instance_id: takes an instance of at most 100000 checkpoints")
        if forked.open_child_id is not None:
            raise InvalidInstanceState(
                f"Child {forked.open_child_id!r} had not ended at that checkpoint: fork from one"
                " before the child was started"
            )
        here.recheck()
        return forked

    async def delete(self, deletion: Deletion) -> Deleted:
        """
        Delete a finished instance with its descendants and all their data.

        If one of them ended at another time than expected, nothing is done, and no error is raised.
        """
        instance_id = deletion.instance_id
        values.check_id("instance_id", instance_id)
        found = await self.persistence.launches.delete(deletion)
        if found.before is None:
            raise InstanceNotFound(instance_id)
        if found.has_other_end:
            return found
        why = None
        if found.open_parent_id is not None:
            why = f"its parent {found.open_parent_id!r} is open: delete it after that"
        elif found.open_child_id is not None:
            why = f"its child {found.open_child_id!r} is open: cancel or stop the child first"
        elif found.open_launch_id is not None:
            why = f"launch {found.open_launch_id} has not ended: try again after its end"
        elif not found.deleted:
            why = f"it is {found.before}: cancel or stop it first"
            if deletion.also_suspended:
                why = (
                    f"it is {found.before}, and not about to pause: pause and export it first, or"
                    " cancel or stop it"
                )
        if why is not None:
            raise InvalidInstanceState(f"Instance {instance_id!r} can't be deleted: {why}")
        return found

    async def export(self, instance_id: str, *, as_copy: bool = False) -> InstanceCopy:
        """
        Return a copy of an instance with its history.

        An open instance must be paused, or asleep with a pending pause, and have no open launch,
        parent or child: otherwise it would go on in two databases. as_copy: copy it in any state.
        """
        values.check_id("instance_id", instance_id)
        found = await self.persistence.launches.copy(instance_id)
        if found is None:
            raise InstanceNotFound(instance_id)
        why = _under_way(found)
        if why is not None and not as_copy:
            raise InvalidInstanceState(
                f"Instance {instance_id!r} can't be exported: {why}; or export it as a copy"
            )
        return found.copy

    async def import_copy(
        self, copy: InstanceCopy, source: str, image_id: str | None
    ) -> tuple[CopiedInstance, PutCopy]:
        """
        Store an exported instance; an open one is paused.

        It runs the named image, else its former image, else the newest image of that name, else any
        image or worker that serves its workflow. A repeated import changes nothing. Returns the
        stored copy.
        """
        chosen = image_id or await self._image_for(copy.instance)
        workflow = copy.instance.workflow or (None if chosen else copy.instance.image_name)
        kept = replace(copy.instance, image_id=chosen, workflow=workflow)
        put = await self.persistence.launches.put_copy(
            replace(copy, instance=kept), source, image_id=chosen, at=self.now()
        )
        if not put.image_is_found:
            raise ImageNotFound(chosen or "")
        if not (put.created or put.is_same):
            raise InstanceAlreadyExists(
                f"Instance {kept.instance_id!r} already exists, and was not imported from this file"
            )
        return kept, put

    async def _image_for(self, one: CopiedInstance) -> str | None:
        images = self.persistence.images
        if one.image_id is None:
            return None
        same = await images.get(one.image_id, one.tenant_id)
        if same is not None and same.deleted_at is None:
            return same.image_id
        named = one.image_name and await images.current(one.tenant_id, one.image_name)
        return named.image_id if named else None

    async def move(self, instance_id: str, image_id: str) -> None:
        """Let an open instance run another image."""
        values.check_id("instance_id", instance_id)
        here = self.launching()
        moved = await self.persistence.launches.move(instance_id, image_id, at=here.now())
        _require_open(instance_id, moved.before)
        if not moved.image_is_found:
            raise ImageNotFound(image_id)
        if moved.open_launch_id is not None:
            raise InvalidInstanceState(
                f"Instance {instance_id!r} has the open launch {moved.open_launch_id}: pause the"
                " instance first"
            )
        here.recheck()


def _require_open(instance_id: str, before: State | None) -> None:
    if before is None:
        raise InstanceNotFound(instance_id)
    if before.is_final:
        raise InvalidInstanceState(
            f"Instance {instance_id!r} is {before}: it takes no more signals; a failed or"
            " cancelled instance goes on after a retry"
        )


def _under_way(found: Copied) -> str | None:
    """Return why an instance can't be exported; None if it can be."""
    if found.state.is_final:
        return None
    if found.open_launch_id is not None:
        return f"its launch {found.open_launch_id} has not ended: pause it, and wait for the end"
    is_to_pause = found.pending_signal is SignalType.PAUSE
    if found.state is State.RUNNING or not (found.state is State.PAUSED or is_to_pause):
        return f"it is {found.state}: pause it first"
    if found.pending_signal is not None and not is_to_pause:
        return f"its {found.pending_signal} is still pending: pause it after it has got that"
    if found.open_parent_id is not None:
        return f"its parent {found.open_parent_id!r} is open, and waits for it in this database"
    if found.open_child_id is not None:
        return f"its child {found.open_child_id!r} is open: wait for its end"
    return None
