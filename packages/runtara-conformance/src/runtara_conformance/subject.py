"""The server under test, and an instance that lives on it for the length of a rule."""

import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from runtara_conformance.client import Connection, EmptyEnd, Reply, connect
from runtara_conformance.database import Database
from runtara_conformance.expect import answered, expect, same
from runtara_conformance.message import Message
from runtara_conformance.messages import (
    CheckpointRequest,
    CheckpointResponse,
    EventType,
    GetCheckpointRequest,
    GetCheckpointResponse,
    GetInstanceStatusRequest,
    GetInstanceStatusResponse,
    InstanceEvent,
    InstanceEventResponse,
    PollSignalsRequest,
    PollSignalsResponse,
    RegisterInstanceRequest,
    RegisterInstanceResponse,
    SignalAck,
    SleepRequest,
    SleepResponse,
    Status,
)

OURS = f"conformance-{uuid.uuid4().hex[:12]}-"
"""The prefix of the ids that this process makes; no other ids begin with it."""


def fresh(kind: str = "instance") -> str:
    """Make an id that is not in use."""
    return f"{OURS}{kind}-{uuid.uuid4().hex}"


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance as seen through one connection; every method expects to be served."""

    connection: Connection
    id: str
    tenant: str

    def on(self, connection: Connection) -> "Instance":
        """See the same instance through another connection, which has not registered it."""
        return Instance(connection, self.id, self.tenant)

    async def ask(self, message: Message) -> Reply:
        """Send anything, and judge the reply elsewhere."""
        return await self.connection.request(message)

    async def register(self, *, continue_run: int | None = None) -> RegisterInstanceResponse:
        """Begin a run, or continue one."""
        request = RegisterInstanceRequest(self.id, self.tenant, continue_run=continue_run)
        answer = answered(await self.ask(request), RegisterInstanceResponse)
        expect("a registration that succeeds", answer.success and answer.error == "", answer)
        return answer

    async def checkpoint(self, checkpoint_id: str, state: bytes = b"") -> CheckpointResponse:
        """Save or find."""
        request = CheckpointRequest(self.id, checkpoint_id, state)
        return answered(await self.ask(request), CheckpointResponse)

    async def saves(self, checkpoint_id: str, state: bytes = b"") -> None:
        """Save, and expect to be the first."""
        answer = await self.checkpoint(checkpoint_id, state)
        same("a first save: found, state", (answer.found, answer.state), (False, b""))

    async def finds(self, checkpoint_id: str, state: bytes) -> None:
        """Call with another state, and expect the first one's."""
        answer = await self.checkpoint(checkpoint_id, b"another " + state[:9])
        same("a later call: found, state", (answer.found, answer.state), (True, state))

    async def get(self, checkpoint_id: str) -> GetCheckpointResponse:
        """Read without saving."""
        request = GetCheckpointRequest(self.id, checkpoint_id)
        return answered(await self.ask(request), GetCheckpointResponse)

    async def event(
        self, event_type: int, payload: bytes = b"", subtype: str | None = None
    ) -> InstanceEventResponse:
        """Report an event, and expect that it is taken."""
        event = InstanceEvent(self.id, event_type, payload=payload, subtype=subtype)
        answer = answered(await self.ask(event), InstanceEventResponse)
        expect("success, no error", answer.success and not answer.error, answer)
        return answer

    async def complete(self, output: bytes = b"") -> None:
        """End well."""
        await self.event(EventType.COMPLETED, output)

    async def fail(self, error: bytes = b"it broke") -> None:
        """End badly."""
        await self.event(EventType.FAILED, error)

    async def suspend(self) -> None:
        """Report that the instance is suspended."""
        await self.event(EventType.SUSPENDED)

    async def status(self) -> GetInstanceStatusResponse:
        """Read where it stands."""
        request = GetInstanceStatusRequest(self.id)
        return answered(await self.ask(request), GetInstanceStatusResponse)

    async def is_in(self, status: Status) -> GetInstanceStatusResponse:
        """Expect it to stand there."""
        answer = await self.status()
        expect(f"status {status.name} ({status:d})", answer.status == status, answer)
        return answer

    async def sleep(self, checkpoint_id: str, duration_ms: int, state: bytes = b"") -> None:
        """Sleep, and expect to be woken in order."""
        request = SleepRequest(self.id, duration_ms, checkpoint_id, state)
        answered(await self.ask(request), SleepResponse)

    async def poll(
        self,
        checkpoint_id: str | None = None,
        *,
        wait_ms: int | None = None,
        more: Iterable[str] = (),
    ) -> PollSignalsResponse:
        """Ask for signals."""
        request = PollSignalsRequest(self.id, checkpoint_id, wait_ms, tuple(more))
        return answered(await self.ask(request), PollSignalsResponse)

    async def acknowledge(self, signal_type: int, *, acknowledged: bool = True) -> None:
        """Acknowledge a signal, and expect the empty end."""
        ack = SignalAck(self.id, signal_type, acknowledged)
        same("an acknowledgement's answer", await self.ask(ack), EmptyEnd())


@dataclass(frozen=True, slots=True)
class Server:
    """The server's address, and its database's URL if one was given."""

    host: str
    port: int
    known_database: Database | None = None

    @property
    def database(self) -> Database:
        """The database; a rule that uses it must say that it needs it."""
        if self.known_database is None:
            raise LookupError("this rule uses the database and doesn't say so")
        return self.known_database

    def connect(self) -> AbstractAsyncContextManager[Connection]:
        """Open one more connection."""
        return connect(self.host, self.port)

    @asynccontextmanager
    async def unborn(self) -> AsyncIterator[Instance]:
        """Yield an instance that the server does not know, on a separate connection."""
        async with self.connect() as connection:
            yield Instance(connection, fresh(), fresh("tenant"))

    @asynccontextmanager
    async def instance(self) -> AsyncIterator[Instance]:
        """Yield a running instance, on a separate connection that has registered it."""
        async with self.unborn() as one:
            await one.register()
            yield one
