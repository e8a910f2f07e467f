"""Clients' operations on instances, on the core in this process."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TypedDict
from uuid import uuid4

from runtara.embedded.core import EmbeddedCore
from runtara.embedded.errors import as_client_errors
from runtara_domain import model as records
from runtara_domain.model import CustomSignal, Signal
from runtara_domain.model.instance_lists import InstancePlace, InstanceQuery, ListedInstance
from runtara_domain.model.instance_views import InstanceView
from runtara_domain.model.interventions import Fork, Retry
from runtara_domain.model.launches import InstanceStart
from runtara_domain.model.waits import Awaited, awaited
from runtara_domain.status import InstanceStatus, SignalType
from runtara_management_sdk import (
    Forked,
    Instance,
    InstanceFilter,
    InstanceSummary,
    Sent,
    Started,
    Status,
    Waiting,
)
from runtara_management_sdk.instance_records import report_of
from runtara_sdk.client.backoff import delay
from runtara_sdk.errors import DatabaseFailed, InstanceNotFound
from runtara_sdk.loggers import get_logger

logger = get_logger(__name__)

_PAGE = 100
_HOLD = timedelta(seconds=30)
_MOST_FAILURES = 5
"""The failures in a row after which a wait raises the error; each lasts a database's timeout."""
_ANY = InstanceFilter()


class EmbeddedInstances:
    """As `runtara_management_sdk.instances.Instances`, without a server between."""

    def __init__(self, embedded: EmbeddedCore) -> None:
        self._stored = embedded.persistence
        self._operations = embedded.operations

    async def start(
        self,
        tenant_id: str,
        *,
        workflow: str,
        instance_id: str,
        input: bytes = b"",
        launch_timeout: timedelta | None = None,
        env: Mapping[str, str] | None = None,
        priority: int | None = None,
        delay: timedelta | None = None,
        queue: str | None = None,
        dedupe_key: str | None = None,
    ) -> Started:
        with as_client_errors():
            start = InstanceStart(
                instance_id=instance_id,
                tenant_id=tenant_id,
                workflow=workflow,
                input=input or None,
                timeout=launch_timeout,
                env=env or {},
                priority=priority or 0,
                launch_after=None if delay is None else self._operations.now() + delay,
                queue=queue,
                dedupe_key=dedupe_key,
            )
            started = await self._operations.start(start)
        return Started(started.duplicate_of or instance_id, started.created)

    async def get(self, instance_id: str) -> Instance | None:
        with as_client_errors():
            seen = await self._operations.view(instance_id)
        return None if seen is None else _instance(seen)

    async def wait(self, instance_id: str, within: timedelta | None = None) -> Instance:
        until = None if within is None else datetime.now(UTC) + within
        failures = 0
        while True:
            left = _HOLD if until is None else max(until - datetime.now(UTC), timedelta(0))
            try:
                with as_client_errors():
                    has_heard = await self._operations.endings.until_heard(
                        instance_id, min(_HOLD, left)
                    )
            except DatabaseFailed as error:
                # As over a connection: a call that only reads is repeated while there is time.
                failures += 1
                if failures > _MOST_FAILURES or left <= timedelta(0):
                    raise
                logger.warning("the database can't be read, trying again: %s", error)
                await asyncio.sleep(delay(failures))
                continue
            failures = 0
            if not has_heard and left >= _HOLD:
                continue
            found = await self.get(instance_id)
            if found is None:
                raise InstanceNotFound(f"Instance {instance_id!r} not found")
            if found.status.is_final or not has_heard:
                return found

    async def list(self, which: InstanceFilter = _ANY) -> AsyncIterator[InstanceSummary]:
        after: InstancePlace | None = None
        while True:
            with as_client_errors():
                page = await self._stored.launches.instances(
                    _query(which), after=after, limit=_PAGE
                )
            for one in page:
                yield _summary(one)
            if len(page) < _PAGE:
                return
            last = page[-1].summary
            after = InstancePlace(last.created_at, last.instance_id)

    async def cancel(self, instance_id: str, reason: bytes = b"") -> None:
        await self._signal(instance_id, Signal(SignalType.CANCEL, reason))

    async def pause(self, instance_id: str) -> None:
        await self._signal(instance_id, Signal(SignalType.PAUSE))

    async def resume(self, instance_id: str) -> None:
        with as_client_errors():
            await self._operations.resume(instance_id)

    async def send(self, instance_id: str, name: str, payload: bytes) -> Sent:
        with as_client_errors():
            sent = await self._operations.send(instance_id, CustomSignal(name, payload))
        return Sent(sent.stands, sent.hint)

    async def history(self, instance_id: str) -> Sequence[tuple[str, bytes | None]]:
        found: list[tuple[str, bytes | None]] = []
        after: int | None = 0
        with as_client_errors():
            while after is not None:
                page = await self._stored.checkpoints.page(instance_id, after_id=after, limit=_PAGE)
                found += [(entry.checkpoint_id, entry.state) for entry in page.entries]
                after = page.next_id
        return found

    async def retry(self, instance_id: str, *, forget: tuple[str, ...] = ()) -> None:
        with as_client_errors():
            await self._operations.retry(Retry(instance_id, set_aside=forget))

    async def fork(
        self,
        instance_id: str,
        *,
        new_instance_id: str | None = None,
        before: str | None = None,
    ) -> Forked:
        with as_client_errors():
            fork = Fork(instance_id, new_instance_id or str(uuid4()), before_checkpoint_id=before)
            forked = await self._operations.fork(fork)
        return Forked(fork.new_instance_id, forked.copied, forked.repeated)

    async def _signal(self, instance_id: str, signal: Signal) -> None:
        with as_client_errors():
            await self._operations.send_signal(instance_id, signal)


_STATUSES: Mapping[InstanceStatus, Status] = MappingProxyType(
    {each: Status(each.value) for each in InstanceStatus}
)


def _query(which: InstanceFilter) -> InstanceQuery:
    known = {each: status for status, each in _STATUSES.items()}
    return InstanceQuery(
        tenant_id=which.tenant_id,
        status=None if which.status is None else known.get(which.status),
        workflow=which.workflow,
        error_contains=which.error_contains,
        blocked=which.is_blocked,
        queue=which.queue,
        parent_id=which.parent_id,
        created_since=which.created_after,
        created_until=which.created_before,
        finished_since=which.finished_after,
        finished_until=which.finished_before,
    )


def _instance(seen: InstanceView) -> Instance:
    one = seen.instance
    kind, why = _not_launched(seen) or (None, None)
    return Instance(
        **_shown(one, seen.awaits),
        code_version=one.code_version,
        run=one.run,
        checkpoint_id=one.checkpoint_id,
        last_activity_at=one.last_activity_at,
        input=seen.input,
        output=one.output,
        error=one.error if one.blocked_reason is None else one.blocked_reason,
        stderr=one.stderr,
        progress=report_of(seen.progress),
        launches=seen.launches,
        crashes=seen.crashes,
        next_launch_at=seen.next_launch_at,
        wake_at=one.sleep_until,
        not_launched=why,
        not_launched_kind=kind,
        queue=seen.queue,
        priority=seen.priority,
        parent_id=one.parent_id,
        env=dict(seen.env),
    )


def _not_launched(seen: InstanceView) -> tuple[str, str] | None:
    """Return why a due instance is not launched: the kind and a sentence; None without reason."""
    if seen.held_by is not None:
        name = seen.held_by.name or seen.held_by.tenant_id
        return "hold", f"held: {seen.held_by.scope} {name}"
    if seen.bounded_by is not None:
        bound = seen.bounded_by
        return "limit", f"the limit of {bound.scope} {bound.name or bound.tenant_id} is reached"
    return None


def _summary(one: ListedInstance) -> InstanceSummary:
    return InstanceSummary(
        **_shown(one.summary, awaited(one.summary.waits)),
        image_id=one.image_id,
        has_error=one.error is not None,
        error=one.error,
        next_at=one.next_at,
        queue=one.queue,
    )


class _Shown(TypedDict):
    """The fields that an instance and its summary have in common."""

    instance_id: str
    tenant_id: str
    status: Status
    created_at: datetime
    workflow: str | None
    started_at: datetime | None
    finished_at: datetime | None
    is_blocked: bool
    waiting_for: tuple[Waiting, ...]


def _shown(one: records.Instance | records.InstanceSummary, awaits: Iterable[Awaited]) -> _Shown:
    return _Shown(
        instance_id=one.instance_id,
        tenant_id=one.tenant_id,
        status=_STATUSES[one.status],
        created_at=one.created_at,
        workflow=one.workflow,
        started_at=one.started_at,
        finished_at=one.finished_at,
        is_blocked=one.blocked_reason is not None,
        waiting_for=tuple(
            Waiting(each.kind, each.name, each.since, each.until, each.reason) for each in awaits
        ),
    )
