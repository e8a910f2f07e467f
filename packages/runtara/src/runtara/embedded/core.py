"""The core's operations on a database, without a server."""

import secrets
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from runtara.background import beside
from runtara_domain.activity import Activity
from runtara_domain.error import DatabaseError
from runtara_domain.held_sleeps import HeldSleeps
from runtara_domain.launching.launcher import Launcher
from runtara_domain.launching.operations import (
    InstanceOperations,
    LaunchingElsewhere,
    LaunchingHere,
)
from runtara_domain.model import Caller
from runtara_domain.ports.persistence import Persistence
from runtara_domain.sessions import InstanceSlots
from runtara_domain.system_clock import SystemClock
from runtara_domain.use_cases.checkpoints import (
    GetCheckpoint,
    ListCheckpoints,
    RecordRetryAttempt,
    SaveCheckpoint,
)
from runtara_domain.use_cases.core import Core
from runtara_domain.use_cases.events import Heartbeat, RecordEvent, RecordEvents
from runtara_domain.use_cases.instances import (
    CancelChild,
    GetInstanceStatus,
    RegisterInstance,
    StartChild,
    StartChildren,
)
from runtara_domain.use_cases.signals import AcknowledgeSignal, PollSignals
from runtara_domain.use_cases.sleep import SleepDurably
from runtara_domain.waits import Waits
from runtara_sdk.errors import DatabaseFailed

_ANY_NUMBER = 2**31


class EmbeddedCore:
    """
    The core between `async with` and its end, on one database.

    Entering opens the database and brings its schema up to date; raises DatabaseFailed. The
    clients, workers and runs of an event loop share one.
    """

    def __init__(self, persistence: Persistence) -> None:
        self.persistence = persistence
        self.clock = SystemClock()
        self.waits = Waits(persistence.watch, self.clock)
        self.activity = Activity(persistence.instances, self.clock)
        self.held_sleeps = HeldSleeps(
            f"core/{secrets.token_hex(16)}", persistence.claims, self.waits, self.clock
        )
        self.launchers: list[Launcher] = []
        self._elsewhere = LaunchingElsewhere(self.clock)
        self.operations = InstanceOperations(persistence, self.clock, self._launching)
        self.core = self._core()
        self._exits = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as exits:
            try:
                await exits.enter_async_context(self.persistence)
            except DatabaseError as error:
                raise DatabaseFailed(str(error), error.code) from error
            exits.push_async_callback(self.activity.flush)
            exits.push_async_callback(self.held_sleeps.release_dropped)
            for keep in (self.activity.keep(), self.waits.keep(), self.held_sleeps.keep()):
                await exits.enter_async_context(beside(keep))
            self._exits = exits.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.waits.end()
        await self._exits.__aexit__(kind, error, traceback)

    def note_life(self, instance_id: str, run: int) -> None:
        """Note that an instance's run goes on; written with all others within a second."""
        self.activity.note(Caller(instance_id, run))

    def recheck(self) -> None:
        """Let the workers of this process claim again."""
        for launcher in self.launchers:
            launcher.recheck()

    def _launching(self) -> LaunchingHere:
        return self.launchers[0] if self.launchers else self._elsewhere

    def _core(self) -> Core:
        stored, clock, waits, activity = self.persistence, self.clock, self.waits, self.activity
        # Only the capacity of the workers in this process bounds it.
        slots = InstanceSlots(_ANY_NUMBER)
        return Core(
            slots=slots,
            register_instance=RegisterInstance(stored.instances, slots, waits, clock),
            get_instance_status=GetInstanceStatus(stored.instances, activity),
            start_child=StartChild(stored.instances, activity, clock),
            start_children=StartChildren(stored.instances, activity, clock),
            cancel_child=CancelChild(stored.instances, stored.signals, activity, clock),
            save_checkpoint=SaveCheckpoint(stored.checkpoints, activity, clock),
            get_checkpoint=GetCheckpoint(stored.checkpoints, stored.instances, activity),
            list_checkpoints=ListCheckpoints(stored.checkpoints, activity),
            record_retry_attempt=RecordRetryAttempt(stored.checkpoints, clock),
            sleep=SleepDurably(
                stored.checkpoints, stored.claims, stored.signals, waits, self.held_sleeps, clock
            ),
            record_event=RecordEvent(stored.events, waits, clock),
            record_events=RecordEvents(stored.events, stored.instances, waits, activity, clock),
            heartbeat=Heartbeat(stored.instances, activity, clock),
            poll_signals=PollSignals(stored.signals, waits, activity, clock),
            acknowledge_signal=AcknowledgeSignal(stored.signals, waits, activity, clock),
        )
