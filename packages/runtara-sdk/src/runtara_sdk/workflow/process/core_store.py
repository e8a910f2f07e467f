"""The port over QUIC: a client of one instance."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from runtara_sdk.client.client import Client
from runtara_sdk.client.records import (
    FirstPage,
    InstanceStatus,
    NewChild,
    Signal,
    SignalType,
)
from runtara_sdk.client.retry import TRANSIENT, Retry
from runtara_sdk.client.settings import Settings
from runtara_sdk.errors import (
    ConnectionFailed,
    InstanceNotFound,
    InstanceSuperseded,
    InternalServerError,
    RequestNotKnown,
    RequestTimeout,
    RuntaraError,
    TooManyInstances,
)
from runtara_sdk.loggers import get_logger
from runtara_sdk.workflow.engine.execution import utc_now
from runtara_sdk.workflow.engine.options import CORE_TIMEOUT
from runtara_sdk.workflow.engine.outcome import Ended, Outcome
from runtara_sdk.workflow.engine.start import start_of
from runtara_sdk.workflow.engine.store import (
    Polled,
    RunStarted,
    Saved,
    SavedTogether,
    State,
)
from runtara_sdk.workflow.errors import CoreUnavailable, Superseded
from runtara_sdk.workflow.process.watchdog import HeartbeatThread

logger = get_logger(__name__)

_TRANSIENT = (*TRANSIENT, InternalServerError, TooManyInstances)
"""Failures after which a run asks again: it has the time to wait until they are mended."""

_OUT_OF_REACH = (*_TRANSIENT, ConnectionFailed, RequestTimeout)

_LEAST_CORE_TIMEOUT = timedelta(seconds=1)
"""A call to a core that is well takes some time, too."""

_HELD = 1.0
"""Seconds after which an answer that should come at once counts as held back."""

_LONGEST_TEXT = 1000

_OUTCOMES = {
    InstanceStatus.COMPLETED: Outcome.DONE,
    InstanceStatus.FAILED: Outcome.FAILED,
    InstanceStatus.CANCELLED: Outcome.CANCELLED,
}


class Liveness(Protocol):
    """Shows that a run is alive."""

    def begin(self) -> None:
        """Begin to show it, once the run has begun."""
        ...


class CoreStore:
    """One instance on a core that is reached over QUIC; workflow: the name to register with."""

    def __init__(
        self,
        client: Client,
        settings: Settings,
        liveness: Liveness,
        retry: Retry,
        workflow: str | None = None,
    ) -> None:
        self.instance_id = settings.instance_id
        self._settings = settings
        self._retry = retry
        self._client = client
        self._liveness = liveness
        self._workflow = workflow

    async def begin(self) -> RunStarted:
        registration = await self._client.register(workflow=self._workflow, look=True)
        self._liveness.begin()
        saved = registration.saved
        pending = None if saved is None else Polled(_type_of(saved.signal))
        return RunStarted(
            registration.input,
            await self._passed(saved),
            registration.run,
            pending,
            # An instance that is run by hand has no input in the core but that of its start record.
            keeps_input=saved is not None
            and saved.knows_preceding
            and self._settings.launch_id is not None,
            saves_together=saved is not None and saved.knows_together,
            starts_together=registration.knows_children,
        )

    async def ended(self) -> Ended | None:
        return await self._ended(self.instance_id)

    async def _ended(self, instance_id: str) -> Ended | None:
        found = await self._client.get_status(instance_id)
        outcome = _OUTCOMES.get(found.status)
        if outcome is None:
            return None
        output, error = found.output or b"", found.error or ""
        if outcome is Outcome.FAILED:
            return Ended(outcome, error=error, failure=output)
        return Ended(outcome, output, error)

    async def save(self, key: str, state: bytes, preceding: Sequence[State] = ()) -> Saved:
        try:
            saved = await self._client.checkpoint(key, state, preceding=preceding)
        except RequestNotKnown:
            if not preceding:
                raise
            # The connection is to an older server by now.
            for each in preceding:
                await self._client.checkpoint(*each)
            saved = await self._client.checkpoint(key, state)
        return Saved(saved.state, _type_of(saved.signal))

    async def read(self, key: str) -> bytes | None:
        return await self._client.get_checkpoint(key)

    async def attempt_failed(self, key: str, number: int, error: str) -> None:
        await self._client.record_retry_attempt(key, number, error[:_LONGEST_TEXT])

    async def suspend_until(
        self, key: str, state: bytes, wake: datetime, waits: str = "[]"
    ) -> bool:
        left = wake - utc_now()
        if left <= timedelta(0):
            return False
        while True:
            is_stored = await self._is_stored(left, key, state, waits)
            status = (await self._client.get_status()).status
            is_asleep = status is InstanceStatus.SUSPENDED
            if is_stored or is_asleep:
                return is_asleep

    async def poll(self, names: Collection[str], wait: timedelta) -> Polled:
        pending = await self._client.poll_signals(also=names, wait=wait)
        return Polled(_type_of(pending.signal), pending.custom_signals)

    async def acknowledge(self, signal: SignalType) -> bool:
        await self._client.acknowledge(signal)
        status = (await self._client.get_status()).status
        match signal:
            case SignalType.CANCEL:
                return status is InstanceStatus.CANCELLED
            case SignalType.PAUSE:
                return status is InstanceStatus.SUSPENDED
            case SignalType.RESUME:
                return True

    async def create_successor(self, instance_id: str, key: str, state: bytes) -> None:
        if self._settings.launch_id is not None:
            # The environment that launched this process launches that, too.
            workflow, given = start_of(key, state)
            await self._client.start_child(instance_id, workflow, given or None, is_successor=True)
            return
        settings = replace(self._settings, instance_id=instance_id)
        async with Client(settings, retry=self._retry) as successor:
            # Registering would take it from its present run.
            if not await _has(successor, key):
                await successor.register()
                await successor.checkpoint(key, state)

    async def report(self, waits: str | None, progress: bytes | None) -> None:
        await self._client.heartbeat(waits=waits, progress=progress)

    async def start_child(self, child_id: str, workflow: str, input: bytes | None) -> None:
        await self._client.start_child(child_id, workflow, input)

    async def start_children(
        self, children: Sequence[NewChild], states: Sequence[State]
    ) -> SavedTogether:
        started = await self._client.start_children(children, states)
        stored = [
            state if state is not None else await self._client.get_checkpoint(key) or b""
            for (key, _), state in zip(states, started.states, strict=True)
        ]
        return SavedTogether(stored, _type_of(started.signal))

    async def cancel_child(self, child_id: str) -> None:
        try:
            await self._client.cancel_child(child_id)
        except InstanceNotFound:
            return
        except RequestNotKnown:
            logger.warning(
                "the server is too old to pass a cancel on: child %r of %r goes on",
                *(child_id, self.instance_id),
            )

    async def ended_child(self, child_id: str) -> Ended | None:
        return await self._ended(child_id)

    async def complete(self, output: bytes) -> None:
        await self._client.completed(output)

    async def fail(self, error: str, failure: bytes | None = None) -> None:
        await self._client.failed(error, failure)

    async def block(self, reason: str) -> None:
        await self._client.suspended(blocked_reason=reason)
        if not (await self._client.get_status()).error:
            logger.warning(
                "the server is too old to keep why an instance can't go on, so that %r is only"
                " suspended: %s",
                self.instance_id,
                reason,
            )

    async def _passed(self, first: FirstPage | None) -> dict[str, bytes] | None:
        found = {}
        try:
            async for entry in self._client.list_checkpoints(first=first):
                state = entry.state
                if state is None:
                    state = await self._client.get_checkpoint(entry.checkpoint_id)
                found[entry.checkpoint_id] = state or b""
        except RequestNotKnown:
            return None
        return found

    async def _is_stored(self, left: timedelta, key: str, state: bytes, waits: str) -> bool:
        """Return whether a sleep is answered: a server too old for `detach` does so at its end."""
        try:
            async with asyncio.timeout(_HELD):
                await self._client.sleep(left, key, state, detach=True, waits=waits)
        except TimeoutError:
            return False
        return True


@asynccontextmanager
async def connected(
    settings: Settings, core_timeout: timedelta = CORE_TIMEOUT, workflow: str | None = None
) -> AsyncIterator[CoreStore]:
    """
    Open a store whose calls are repeated for `core_timeout` while the core is out of reach.

    workflow: the name with which a launched process registers. A process that was started by hand
    registers without it: otherwise an environment would take its instance over. Heartbeats use a
    separate connection.
    """
    quiet = settings.without_heartbeats()
    retry = retry_within(core_timeout)
    with HeartbeatThread(quiet, settings.heartbeat_interval_ms / 1000) as liveness:
        async with Client(quiet, retry=retry) as client:
            named = workflow if settings.launch_id is not None else None
            yield CoreStore(client, quiet, liveness, retry, named)


def retry_within(core_timeout: timedelta) -> Retry:
    """Let a run's calls be repeated for so long while the core is out of reach."""
    return Retry(
        max(core_timeout, _LEAST_CORE_TIMEOUT).total_seconds(),
        _TRANSIENT,
        caller="this run",
        afterwards=" (core_timeout= of @workflow), then the run ends and can be run again",
        translate=_store_error,
    )


def _store_error(error: RuntaraError, within: float) -> RuntaraError:
    """Return an error that ends the run as an error of the workflow layer; others unchanged."""
    if isinstance(error, _OUT_OF_REACH):
        return CoreUnavailable(
            f"the core could not be reached for {timedelta(seconds=within)}: {error}; run the"
            " instance again when it is back: what was saved is saved"
        )
    return Superseded(str(error)) if isinstance(error, InstanceSuperseded) else error


async def _has(client: Client, key: str) -> bool:
    """Return whether an instance has a checkpoint; a missing instance has none."""
    try:
        return await client.get_checkpoint(key) is not None
    except InstanceNotFound:
        return False


def _type_of(signal: Signal | None) -> SignalType | None:
    return None if signal is None else signal.type
