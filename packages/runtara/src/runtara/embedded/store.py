"""The engine's store on the core's operations themselves: one run of one instance."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from runtara.core import DONE, code_of_failure
from runtara.embedded.core import EmbeddedCore
from runtara_domain import values
from runtara_domain.error import CoreError, DatabaseError, InstanceSuperseded, Overloaded
from runtara_domain.model import (
    Caller,
    CheckpointWrite,
    Event,
    EventType,
    NewChild,
    NewChildren,
    Pending,
    Recorded,
    Registration,
    Report,
    RetryAttempt,
    Signal,
    Sleep,
)
from runtara_domain.model import Saved as SavedCheckpoint
from runtara_domain.model.launches import InstanceStart
from runtara_domain.status import SignalType as CoreSignal
from runtara_domain.status import State
from runtara_domain.use_cases.signals import MAX_WAIT
from runtara_management_sdk.errors import refusal
from runtara_sdk.client.backoff import delay
from runtara_sdk.client.records import NewChild as ChildToStart
from runtara_sdk.client.records import SignalType
from runtara_sdk.errors import InstanceNotFound
from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.engine.outcome import Ended, Outcome
from runtara_sdk.workflow.engine.start import start_of
from runtara_sdk.workflow.engine.store import Polled, RunStarted, Saved, SavedTogether
from runtara_sdk.workflow.engine.store import State as DurableState
from runtara_sdk.workflow.errors import CoreUnavailable, Superseded

logger = get_logger(__name__)

T = TypeVar("T")

_FOR_NOW = (DatabaseError, Overloaded)
_LONGEST_TEXT = 1000
_LONGEST_REASON = values.MAX_REASON_BYTES
_PAGE = 1000
_LOOK = 0.25
_OUTCOMES = {
    State.COMPLETED: Outcome.DONE,
    State.FAILED: Outcome.FAILED,
    State.CANCELLED: Outcome.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Run:
    """The run of a store. launch_id: None for a run without a launch."""

    instance_id: str
    tenant_id: str
    launch_id: str | None = None


class EmbeddedStore:
    """
    One run on the core in this process; calls repeat for `core_timeout` while the database fails.

    registered: called with the number of the run when it has begun. The store makes requests only
    for its own run, even if this process has other runs of the instance.
    """

    def __init__(
        self,
        embedded: EmbeddedCore,
        run: Run,
        core_timeout: timedelta,
        registered: Callable[[int], None] = lambda run: None,
    ) -> None:
        self.instance_id = run.instance_id
        self._embedded = embedded
        self._core = embedded.core
        self._run = run
        self._core_timeout = core_timeout.total_seconds()
        self._registered = registered
        self.is_launch_closed = False
        self._session = embedded.core.open_session()

    def close(self) -> None:
        """Close the run's session; calls that wait end."""
        self._session.close()

    @property
    def _caller(self) -> Caller:
        return self._session.caller(self.instance_id)

    async def begin(self) -> RunStarted:
        registration = Registration(
            instance_id=self.instance_id,
            tenant_id=self._run.tenant_id,
            launch_id=self._run.launch_id,
        )
        registered = await self._persist(
            lambda: self._core.register_instance(session=self._session, registration=registration)
        )
        self._registered(registered.run)
        passed = {} if registered.is_blank else await self._passed()
        return RunStarted(
            registered.input,
            passed,
            registered.run,
            Polled(_type_of(registered.signal)),
            keeps_input=self._run.launch_id is not None,
            saves_together=True,
            starts_together=True,
        )

    async def _passed(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        after: int | None = 0
        while after is not None:
            start = after
            page = await self._persist(
                lambda start=start: self._core.list_checkpoints(  # type: ignore[misc]
                    caller=self._caller, after_id=start, limit=_PAGE
                )
            )
            for entry in page.entries:
                state = entry.state
                if state is None:
                    state = await self.read(entry.checkpoint_id)
                found[entry.checkpoint_id] = state or b""
            after = page.next_id
        return found

    async def ended(self) -> Ended | None:
        return await self._ended(self._caller)

    async def _ended(self, caller: Caller) -> Ended | None:
        found = await self._persist(lambda: self._core.get_instance_status(caller=caller))
        if found is None or found.state not in _OUTCOMES:
            return None
        outcome, output, error = _OUTCOMES[found.state], found.output or b"", found.error or ""
        if outcome is Outcome.FAILED:
            return Ended(outcome, error=error, failure=output)
        return Ended(outcome, output, error)

    async def save(self, key: str, state: bytes, preceding: Sequence[DurableState] = ()) -> Saved:
        write = self._checked(lambda: CheckpointWrite.together([*preceding, (key, state)]))
        saved = await self._persist(
            lambda: self._core.save_checkpoint(caller=self._caller, write=write)
        )
        return Saved(await self._kept(key, state, saved), _type_of(saved.signal))

    async def _kept(self, key: str, state: bytes, saved: SavedCheckpoint) -> bytes:
        """Return the state that stands: the one brought, or the one that was saved first."""
        if not saved.is_found:
            return state
        return await self.read(key) or b"" if saved.kept is None else saved.kept

    async def read(self, key: str) -> bytes | None:
        found = await self._persist(
            lambda: self._core.get_checkpoint(caller=self._caller, checkpoint_id=key)
        )
        return None if found is None else found.state

    async def attempt_failed(self, key: str, number: int, error: str) -> None:
        text = error[:_LONGEST_TEXT].replace("\0", "\ufffd")
        text = text.encode(errors="backslashreplace").decode()
        attempt = self._checked(lambda: RetryAttempt(key, number, _now(), text))
        await self._persist(
            lambda: self._core.record_retry_attempt(caller=self._caller, attempt=attempt)
        )

    async def suspend_until(
        self, key: str, state: bytes, wake: datetime, waits: str = "[]"
    ) -> bool:
        left = wake - _now()
        if left <= timedelta(0):
            return False
        sleep = self._checked(
            lambda: Sleep(key, state, min(left, values.MAX_SLEEP), detach=True, waits=waits)
        )
        await self._persist(
            lambda: self._core.sleep(session=self._session, caller=self._caller, sleep=sleep)
        )
        return await self._state() in (State.ASLEEP, State.PAUSED)

    async def poll(self, names: Collection[str], wait: timedelta) -> Polled:
        parts = [tuple(names)]
        if len(names) > values.MAX_POLLED:
            size = values.MAX_POLLED
            parts = [tuple(names)[at : at + size] for at in range(0, len(names), size)]
        loop = asyncio.get_running_loop()
        until = loop.time() + wait.total_seconds()
        while True:
            left = timedelta(seconds=max(0.0, until - loop.time()))
            hold = min(left, MAX_WAIT) if len(parts) == 1 else timedelta(0)
            for part in parts:
                pending = await self._poll_once(part, hold)
                if pending.signal or pending.custom_signals:
                    return Polled(_type_of(pending.signal), pending.custom_signals)
            if loop.time() >= until:
                return Polled()
            if self._session.is_closed or len(parts) > 1:
                await asyncio.sleep(_LOOK)

    async def _poll_once(self, names: tuple[str, ...], wait: timedelta) -> Pending:
        return await self._persist(
            lambda: self._core.poll_signals(
                session=self._session, caller=self._caller, checkpoint_ids=names, wait=wait
            )
        )

    async def acknowledge(self, signal: SignalType) -> bool:
        kind = CoreSignal(signal.value)
        await self._persist(
            lambda: self._core.acknowledge_signal(
                session=self._session, caller=self._caller, signal=kind, accepted=True
            )
        )
        state = await self._state()
        match signal:
            case SignalType.CANCEL:
                return state is State.CANCELLED
            case SignalType.PAUSE:
                return state in (State.ASLEEP, State.PAUSED)
            case SignalType.RESUME:
                return True

    async def create_successor(self, instance_id: str, key: str, state: bytes) -> None:
        """Start it for the workers of its workflow."""
        workflow, given = start_of(key, state)
        start = self._checked(
            lambda: InstanceStart(
                instance_id=instance_id,
                tenant_id=self._run.tenant_id,
                workflow=workflow,
                input=given or None,
            )
        )
        await self._persist(lambda: self._embedded.operations.start(start))

    async def report(self, waits: str | None, progress: bytes | None) -> None:
        report = self._checked(lambda: Report(waits, progress))
        await self._persist(lambda: self._core.heartbeat(caller=self._caller, report=report))

    async def start_child(self, child_id: str, workflow: str, input: bytes | None) -> None:
        child = self._checked(lambda: NewChild(child_id, workflow, input))
        await self._persist(lambda: self._core.start_child(caller=self._caller, child=child))
        # As a start would: the child is launched without a detour by the database's watch.
        self._embedded.recheck()

    async def start_children(
        self, children: Sequence[ChildToStart], states: Sequence[DurableState]
    ) -> SavedTogether:
        new = self._checked(
            lambda: NewChildren(
                tuple(NewChild(one.id, one.workflow, one.input) for one in children),
                tuple(CheckpointWrite(*one) for one in states),
            )
        )
        started = await self._persist(
            lambda: self._core.start_children(caller=self._caller, new=new)
        )
        self._embedded.recheck()
        stored = [
            await self._kept(*one, saved) for one, saved in zip(states, started.saved, strict=True)
        ]
        return SavedTogether(stored, _type_of(started.signal))

    async def cancel_child(self, child_id: str) -> None:
        with suppress(InstanceNotFound):
            await self._persist(
                lambda: self._core.cancel_child(caller=self._caller, child_id=child_id)
            )

    async def ended_child(self, child_id: str) -> Ended | None:
        return await self._ended(Caller(child_id))

    async def complete(self, output: bytes) -> None:
        await self._end(EventType.COMPLETED, output, DONE)

    async def fail(self, error: str, failure: bytes | None = None) -> None:
        text = error.encode(errors="backslashreplace")
        await self._end(EventType.FAILED, text, code_of_failure(failure), failure)

    async def block(self, reason: str) -> None:
        kept = _kept(reason)
        await self._record(lambda: Event(EventType.SUSPENDED, b"", _now(), blocked_reason=kept))

    async def _end(
        self, kind: EventType, payload: bytes, exit_code: int, failure: bytes | None = None
    ) -> None:
        code = None if self._run.launch_id is None else exit_code
        recorded = await self._record(
            lambda: Event(kind, payload, _now(), failure=failure, exit_code=code)
        )
        self.is_launch_closed = recorded.is_launch_closed

    async def _record(self, make: Callable[[], Event]) -> Recorded:
        event = self._checked(make)
        return await self._persist(
            lambda: self._core.record_event(session=self._session, caller=self._caller, event=event)
        )

    async def _state(self) -> State | None:
        instances = self._embedded.persistence.instances
        run_state = await self._persist(lambda: instances.run_state(self.instance_id))
        return None if run_state is None else run_state.state

    def _checked(self, make: Callable[[], T]) -> T:
        """Make a record; raises ValidationFailed for a value that the core doesn't take."""
        try:
            return make()
        except CoreError as error:
            raise refusal(error.code, str(error)) from error

    async def _persist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call the core until it answers; raises the workflow layer's errors that end a run."""
        loop, limit = asyncio.get_running_loop(), self._core_timeout
        until, failures = loop.time() + limit, 0
        while True:
            try:
                return await call()
            except _FOR_NOW as error:
                failures += 1
                span = delay(failures)
                if loop.time() + span > until:
                    raise CoreUnavailable(
                        f"the database could not be used for {timedelta(seconds=limit)}: {error};"
                        " the instance goes on when it is back: what was saved is saved"
                    ) from error
                if failures == 1:
                    logger.warning("the database can't be used, trying again: %s", error)
                await asyncio.sleep(span)
            except InstanceSuperseded as error:
                raise Superseded(str(error)) from error
            except CoreError as error:
                raise refusal(error.code, str(error)) from error


def _type_of(signal: Signal | None) -> SignalType | None:
    return None if signal is None else SignalType(signal.type.value)


def _now() -> datetime:
    return datetime.now(UTC)


def _kept(reason: str) -> str:
    """A reason as the core keeps it: UTF-8 without NUL, and its middle left out if it is long."""
    text = reason.replace("\0", "").encode(errors="backslashreplace")
    if len(text) > _LONGEST_REASON:
        half = _LONGEST_REASON // 2 - 10
        text = text[:half] + b"\n...\n" + text[-half:]
    return text.decode(errors="ignore")
