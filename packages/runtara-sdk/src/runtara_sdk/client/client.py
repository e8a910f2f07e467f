"""The client of one workflow instance."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from runtara_sdk.client.address import warn_of_trust
from runtara_sdk.client.durations import duration as checked
from runtara_sdk.client.heartbeat import beat
from runtara_sdk.client.records import (
    Checkpoint,
    CheckpointEntry,
    ChildrenStarted,
    CustomEvent,
    FirstPage,
    NewChild,
    Pending,
    Registration,
    SignalType,
    Status,
)
from runtara_sdk.client.retry import Retry
from runtara_sdk.client.settings import Settings
from runtara_sdk.errors import ClientNotOpen

if TYPE_CHECKING:
    from runtara_protocol.pb.instance_pb2 import RpcRequest
    from runtara_sdk.client import requests, responses
    from runtara_sdk.client.calls import Calls
    from runtara_sdk.client.connection import CommonConnection
    from runtara_sdk.client.long_poll import LongPoll


@dataclass(frozen=True, slots=True)
class _Open:
    """The parts that a client has while it is open."""

    calls: "Calls"
    long_poll: "LongPoll"


class Client:
    """
    The client of one workflow instance: the instance's calls to the core.

    Used as `async with Client() as client:`, with settings from the environment unless given
    (raises ConfigurationError). The first call connects, so it raises if no server is there. Calls
    may run at the same time. They share one connection, which is opened again when it is lost, and
    continues the same run.

    Every call ends within `request_timeout_ms`, repeats included, and may raise ConnectionFailed,
    ServerNotTrusted, RequestTimeout, ProtocolError or a ServerError. For a sleep and a waiting poll
    that time bounds only an outage. A cancelled call leaves the client usable; whether its request
    was executed is unknown. Once the run is superseded, every call raises InstanceSuperseded,
    and a sleep or poll under way does so at once.

    `retry` is for callers that have more time than one request, such as workflows. Its `timeout`
    replaces `request_timeout_ms`, which then only says how soon the client checks a silent server.
    `common` is a connection to share with the clients of other instances.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        retry: Retry | None = None,
        common: "CommonConnection | None" = None,
    ) -> None:
        self._common = common
        self._settings = Settings() if settings is None else settings
        self._retry = retry or Retry(self._settings.request_timeout_ms / 1000)
        self._id = self._settings.instance_id
        self._open: _Open | None = None
        self._heartbeats: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        # Imported here: QUIC, TLS and protobuf take a third of a second to import. A call asks for
        # `self._calls` before it makes a message, so an unopened client raises ClientNotOpen.
        global requests, responses
        from runtara_sdk.client import requests, responses
        from runtara_sdk.client.calls import Calls
        from runtara_sdk.client.long_poll import LongPoll

        if self._open is not None:
            raise ClientNotOpen("this client is open already: use one `async with` at a time")
        if self._settings.skip_cert_verification:
            warn_of_trust(self._settings.server_addr)
        calls = Calls(self._settings, self._retry, self._common)
        self._open = _Open(calls, LongPoll(calls, self._id))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        opened, self._open = self._opened, None
        await self._end_heartbeats()
        await opened.calls.aclose()

    @property
    def _opened(self) -> "_Open":
        if self._open is None:
            raise ClientNotOpen("this client is not open: use it inside `async with Client()`")
        return self._open

    @property
    def _calls(self) -> "Calls":
        return self._opened.calls

    async def register(
        self,
        checkpoint_id: str | None = None,
        *,
        workflow: str | None = None,
        code_version: str | None = None,
        look: bool = False,
    ) -> Registration:
        """
        Begin a run of the instance, and create the instance if the server does not know it.

        `checkpoint_id`, if given, must exist; it has no other effect. `workflow` and `code_version`
        tell people and tools what this process runs; an instance keeps the workflow it has. With
        `look` the registration also has the first checkpoints (`saved`). The new run supersedes the
        earlier ones; a second call begins another run. A launched process (RUNTARA_LAUNCH_ID) can
        register only while its launch is open; afterwards this raises InstanceSuperseded, and the
        process must stop. The client sends heartbeats from now on, until the instance has ended. If
        an answer is lost, the request is sent again, which skips a run number.
        """
        calls = self._calls
        # A run may begin though its answer is lost; the run known so far is superseded then.
        calls.begin_run()
        tenant_id, launch_id = self._settings.tenant_id, self._settings.launch_id
        response = await calls.ask(
            requests.register(
                self._id,
                tenant_id,
                checkpoint_id=checkpoint_id,
                workflow=workflow,
                code_version=code_version,
                launch_id=launch_id,
                look=look,
            )
        )
        registration = responses.registration(response.register_instance)
        self._opened.long_poll.learn(registration)
        if registration.run is not None:
            calls.continue_run(
                requests.register(self._id, tenant_id, run=registration.run, launch_id=launch_id)
            )
        await self._end_heartbeats()
        interval = self._settings.heartbeat_interval_ms / 1000
        if interval:
            self._heartbeats = asyncio.create_task(beat(self.heartbeat, interval))
        return registration

    async def checkpoint(
        self, checkpoint_id: str, state: bytes, *, preceding: Sequence[tuple[str, bytes]] = ()
    ) -> Checkpoint:
        """
        Save the state under a new id; if the id is taken, return the state that was saved under it.

        Once this returns, the state is durable. If an answer is lost, the request is sent again and
        finds the state just saved: `found` is then true, and `state` is the caller's. `preceding`,
        a list of pairs of an id and a state, is saved before, unless an id is taken; an older
        server saves nothing and raises RequestNotKnown.
        """
        ask = self._calls.ask
        response = await ask(requests.checkpoint(self._id, checkpoint_id, state, preceding))
        return responses.checkpoint(response.checkpoint, state)

    async def get_checkpoint(self, checkpoint_id: str) -> bytes | None:
        """Read the state saved under an id; None if there is none (b"" is a state)."""
        response = await self._calls.ask(requests.get_checkpoint(self._id, checkpoint_id))
        return responses.saved_state(response.get_checkpoint)

    async def list_checkpoints(
        self, *, first: FirstPage | None = None
    ) -> AsyncIterator[CheckpointEntry]:
        """
        Read all checkpoints in the order they were saved, page by page as the iteration goes on.

        `first` is the page that a registration returned; it is not read again. With a server that
        does not know this request, the first iteration raises RequestNotKnown: then read each
        checkpoint by its id.
        """
        for entry in () if first is None else first.entries:
            yield entry
        after_id = 0 if first is None else first.next_id
        while after_id is not None:
            response = await self._calls.ask(requests.list_checkpoints(self._id, after_id))
            page = response.list_checkpoints
            for message in page.checkpoints:
                yield responses.entry(message)
            after_id = responses.next_id(page)

    async def start_child(
        self,
        child_id: str,
        workflow: str,
        input: bytes | None = None,
        *,
        is_successor: bool = False,
    ) -> bool:
        """
        Create a child of this instance, of the same tenant, to be launched by an environment.

        Returns False if the same child exists already; raises InstanceAlreadyExists if that child
        has another workflow or input, or if the id is another instance's. When the child has ended,
        `poll_signals` returns a value for `~child/` and its id: a JSON object of `status`, `error`
        and `output` (base64; only `get_status` has one above 64 KiB). `is_successor`: the instance
        continues as the new one, with its image, variables and workflow; to an older server it is a
        child. A server without children raises RequestNotKnown.
        """
        calls = self._calls
        asked = requests.start_child(self._id, child_id, workflow, input, is_successor=is_successor)
        return (await calls.ask(asked)).start_child.created

    async def start_children(
        self, children: Sequence[NewChild], checkpoints: Sequence[tuple[str, bytes]] = ()
    ) -> ChildrenStarted:
        """
        Create up to 100 children, and save checkpoints (ids and states), in one step.

        All or nothing; raises InstanceAlreadyExists, which names a child, and RequestNotKnown as
        `start_child` does. A state that was saved first stays. All have at most 8 MiB.
        """
        calls = self._calls
        answer = await calls.ask(requests.start_children(self._id, children, checkpoints))
        return responses.children_started(answer.start_children, checkpoints)

    async def cancel_child(self, child_id: str) -> bool:
        """Send a child of this instance a cancel; False: the child has ended, nothing is done."""
        return (await self._calls.ask(requests.cancel_child(self._id, child_id))).cancel_child.sent

    async def sleep(
        self,
        duration: timedelta | float,
        checkpoint_id: str,
        state: bytes = b"",
        *,
        keep_running: bool = False,
        detach: bool = False,
        waits: str | None = None,
    ) -> None:
        """
        Sleep durably: the deadline is saved with the checkpoint, and outlives this process.

        A sleep with the same id, in any run, sleeps only the time that is left; it returns at once
        if none is. `duration` is a timedelta or seconds; the longest is 100 years. During the sleep
        the instance is SUSPENDED and may be relaunched when it is due. With `keep_running`, for a
        process that has other branches to run, it stays RUNNING. With `detach`, for a process that
        is about to leave, this returns as soon as the sleep is stored: the instance is asleep, and
        due once the deadline has passed, even if it already has. A server that is too old for
        `detach` answers only at the end of the sleep, so that this raises RequestTimeout. `waits`
        tells people what the instance waits for meanwhile, as in `suspended`.

        A cancel ends the sleep early, and a pending cancel keeps it from beginning. This then
        returns as usual, so check `poll_signals` before going on. A pause, or an end from outside,
        raises InvalidInstanceState.

        After a lost connection the sleep goes on for the time that is left, for years if need be.
        Only a server that is out of reach for `request_timeout_ms` raises ConnectionFailed. Then,
        and if the caller is cancelled, the deadline stays saved, and the instance SUSPENDED until
        its next checkpoint.
        """
        await self._calls.ask(
            requests.sleep(
                self._id,
                checked("duration", duration),
                checkpoint_id,
                state,
                keep_running=keep_running,
                detach=detach,
                waits=waits,
            ),
            hold=0.0 if detach else None,
        )

    async def record_retry_attempt(
        self, checkpoint_id: str, attempt_number: int, error_message: str | None = None
    ) -> None:
        """
        Record a failed attempt at a checkpoint, for people to see; attempts are counted from 1.

        The record is no checkpoint. Recording the same attempt again replaces the first record.
        """
        await self._calls.ask(
            requests.retry_attempt(self._id, checkpoint_id, attempt_number, error_message)
        )

    async def poll_signals(
        self,
        checkpoint_id: str | None = None,
        *,
        also: Iterable[str] = (),
        wait: timedelta | float = 0,
    ) -> Pending:
        """
        Read the pending signal, and the value that was sent to the checkpoint.

        `also` names more checkpoints. If their values are too many for one answer, the first come:
        poll again without those. With `wait`, a timedelta or seconds, this returns as soon as there
        is anything, and with nothing when the time is over. The server holds the answer meanwhile;
        a server too old for that, or for several checkpoints, is polled once a second. A signal is
        pending until it is acknowledged, and a value for ever: each poll returns both at once.
        """
        seconds = checked("wait", wait).total_seconds()
        return await self._opened.long_poll.poll(checkpoint_id, list(also), seconds)

    async def acknowledge(self, signal_type: SignalType, accepted: bool = True) -> None:
        """
        Answer the pending signal; without one of this type nothing happens, and that is no error.

        An accepted cancel ends the instance, and an accepted pause suspends it: this process must
        stop then. A signal that is not accepted stays pending.
        """
        await self._calls.ask(requests.acknowledge(self._id, signal_type, accepted=accepted))

    async def heartbeat(self, *, waits: str | None = None, progress: bytes | None = None) -> None:
        """
        Show that the instance is alive; an open client sends heartbeats by itself, at intervals.

        `waits` tells people what the running instance waits for, as in `suspended`. `progress`, any
        bytes up to 64 KiB, tells how far it is. The last value of each is kept by newer servers.
        """
        await self._calls.ask(requests.heartbeat(self._id, waits, progress))

    async def completed(self, output: bytes = b"", *, exit_code: int | None = None) -> bool:
        """End the instance with its output; the rest is as with `failed`."""
        return await self._end(self._calls, requests.completed(self._id, output, exit_code))

    async def failed(
        self, error: str, failure: bytes | None = None, *, exit_code: int | None = None
    ) -> bool:
        """
        End the instance with an error, and heartbeats; the same again is no error.

        `failure` is for programs, and kept as the instance's output; an older server keeps only the
        error. With the exit code of a worker's run, an end closes the run's launch, too: returns
        whether the run has no open launch now. Without one, and by an older server, returns False.
        """
        return await self._end(self._calls, requests.failed(self._id, error, failure, exit_code))

    async def suspended(
        self, *, blocked_reason: str | None = None, waits: str | None = None
    ) -> None:
        """
        Say that this process stops for now, by itself or because of a pause or cancel.

        A pending cancel ends the instance, a pending pause is acknowledged; a second call is no
        error. Heartbeats stop. `waits` tells people what the instance waits for, as a JSON list
        `[{"kind": …, "name": …, "since": …, "until": …}]` of at most 64 KiB.

        With a `blocked_reason` (cut in the middle above 64 KiB) the instance is *blocked*, whatever
        is pending: its code can't go on with this history, and must change. It is paused, no signal
        is acknowledged, and only a later resume, cancel or other code has it launched again. An
        older server ignores the reason.
        """
        await self._end(self._calls, requests.suspended(self._id, blocked_reason, waits))

    async def custom_event(self, subtype: str, payload: bytes = b"") -> None:
        """
        Record an event that the workflow defines, once, whatever the instance's state.

        The event is sent again only if the server says that it did nothing. A lost answer raises,
        and it is then unknown whether the event was recorded.
        """
        ask, event = self._calls.ask, CustomEvent(subtype, payload)
        await ask(requests.custom_event(self._id, event), is_repeatable=False)

    async def events(self, events: Iterable[CustomEvent]) -> None:
        """
        Record up to 10,000 events that the workflow defines in one transaction, in their order.

        An event that the server can't store is left out, and only the server's log says so. When
        the events are sent again, and when a lost answer raises, is as with `custom_event`.
        """
        await self._calls.ask(requests.events(self._id, events), is_repeatable=False)

    async def get_status(self, instance_id: str | None = None) -> Status:
        """Read an instance's status, by default this one's; an unknown instance is no error."""
        asked = self._id if instance_id is None else instance_id
        response = await self._calls.ask(requests.status(asked))
        return responses.status(response.get_instance_status)

    async def _end(self, calls: "Calls", request: "RpcRequest") -> bool:
        answer = await calls.ask(request)
        await self._end_heartbeats()
        return answer.instance_event.launch_closed

    async def _end_heartbeats(self) -> None:
        task, self._heartbeats = self._heartbeats, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
