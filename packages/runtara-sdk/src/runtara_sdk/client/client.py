"""The client of one workflow instance."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Self

from runtara_sdk.client.durations import duration as checked
from runtara_sdk.client.heartbeat import beat
from runtara_sdk.client.records import (
    Checkpoint,
    CheckpointEntry,
    CustomEvent,
    FirstPage,
    Pending,
    Registration,
    SignalType,
    Status,
)
from runtara_sdk.client.retry import Retry
from runtara_sdk.client.settings import Settings
from runtara_sdk.errors import ClientNotOpen
from runtara_sdk.loggers import get_logger

if TYPE_CHECKING:
    from runtara_sdk.client import requests, responses
    from runtara_sdk.client.calls import Calls
    from runtara_sdk.client.connection import CommonConnection
    from runtara_sdk.client.long_poll import LongPoll

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Open:
    """What a client has while it is open."""

    calls: "Calls"
    long_poll: "LongPoll"


class Client:
    """
    One workflow instance, as it talks to the core.

    Used as `async with Client() as client:`, with settings from the environment unless given
    (raises ConfigurationError). The first call connects, so it raises where no server is there.
    Calls may run at the same time: they share one connection, which is opened again when it is
    lost, and continues the same run.

    Every call ends within `request_timeout_ms`, repeats included, and may raise ConnectionFailed,
    ServerNotTrusted, RequestTimeout, ProtocolError or a ServerError; of a sleep and a waiting poll
    that time bounds an outage alone. A cancelled call leaves the client usable; whether its request
    was carried out is then unknown. Once the run is superseded every call raises
    InstanceSuperseded, and a sleep or poll under way does so at once.

    `retry` is for callers that have more time than a request, such as workflows; its `timeout`
    takes the place of `request_timeout_ms`, which then only says how soon a silent server is
    doubted. `common` is a connection to share with the clients of other instances.
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
        # Only now: QUIC, TLS and protobuf take a third of a second to import. A call asks for
        # `self._calls` before it makes a message, so one that is not open says so.
        global requests, responses
        from runtara_sdk.client import requests, responses
        from runtara_sdk.client.calls import Calls
        from runtara_sdk.client.long_poll import LongPoll

        if self._open is not None:
            raise ClientNotOpen("this client is open already: use one `async with` at a time")
        if self._settings.skip_cert_verification:
            _warn_of_trust(self._settings.server_addr)
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
        Begin a run of the instance, creating it if the server does not know it.

        `checkpoint_id`, if given, must exist; nothing else comes of it. `workflow` and
        `code_version` say what this process runs, for people and tools to see; an instance that
        has a workflow keeps it. `look` asks for the first checkpoints, too (`saved`). A process
        that was launched (RUNTARA_LAUNCH_ID) registers only while its launch is the instance's open
        one: afterwards it raises InstanceSuperseded and must stop. From here on heartbeats are sent
        until the instance has ended. An earlier run's process is refused from now on; a second call
        begins another run. A lost answer is asked for again, which skips a run number.
        """
        calls = self._calls
        # A run may begin though its answer is lost; the one known so far is superseded then.
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
        if registration.run is not None:
            calls.continue_run(
                requests.register(self._id, tenant_id, run=registration.run, launch_id=launch_id)
            )
        await self._end_heartbeats()
        interval = self._settings.heartbeat_interval_ms / 1000
        if interval:
            self._heartbeats = asyncio.create_task(beat(self.heartbeat, interval))
        return registration

    async def checkpoint(self, checkpoint_id: str, state: bytes) -> Checkpoint:
        """
        Save the state under an id never used before, or learn which state already stands there.

        Once this returns the state is durable. When an answer is lost and asked for again, the
        state just saved is found: `found` is then true, and `state` is what was brought.
        """
        response = await self._calls.ask(requests.checkpoint(self._id, checkpoint_id, state))
        return responses.checkpoint(response.checkpoint, state)

    async def get_checkpoint(self, checkpoint_id: str) -> bytes | None:
        """Read the state saved under an id: None if nothing was, while b"" is a state."""
        response = await self._calls.ask(requests.get_checkpoint(self._id, checkpoint_id))
        return responses.saved_state(response.get_checkpoint)

    async def list_checkpoints(
        self, *, first: FirstPage | None = None
    ) -> AsyncIterator[CheckpointEntry]:
        """
        Read all checkpoints in the order they were saved, a page at a time as they are wanted.

        `first` is what a registration told, which is not read again. A server that is too old for
        it raises RequestNotKnown at the first one: then do without, and read each checkpoint by
        itself.
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
        Create an instance as a child of this one, to be launched by an environment.

        It runs the workflow of that name, for the same tenant, with that input. Asked for again,
        it is the same child and this returns False; with another workflow or input, or where the
        id is another instance's, it raises InstanceAlreadyExists. When the child has ended,
        `poll_signals` tells so under `~child/` and its id: a JSON object of `status`, `error` and
        `output` (base64; left out above 64 KiB, `get_status` then has it). A server that is too old
        raises RequestNotKnown. `is_successor`: this one goes on as that one, which is no child and
        has its image, variables and workflow; a server that is too old makes a child of it.
        """
        calls = self._calls
        asked = requests.start_child(self._id, child_id, workflow, input, is_successor=is_successor)
        return (await calls.ask(asked)).start_child.created

    async def cancel_child(self, child_id: str) -> bool:
        """
        Tell a child of this instance to cancel; False: it has ended, and nothing is done.

        What is no child of this instance raises InstanceNotFound, and a server that is too old for
        it RequestNotKnown.
        """
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
        Sleep durably: the deadline is kept with the checkpoint, whatever becomes of this process.

        Asked again with the same id, by whichever run, it sleeps only what is left, and one that is
        over returns at once. `duration` is a timedelta or seconds; 100 years are the longest.
        Meanwhile the instance is SUSPENDED and may be relaunched when it is due; with
        `keep_running`, for a process whose other branches work on, it stays RUNNING. With `detach`,
        for a process that is about to leave, this returns as soon as the sleep is stored: the
        instance is asleep, and due when the deadline has passed, even if it already has. A server
        that is too old for that sleeps all the same and answers at the end, which raises
        RequestTimeout here. `waits` tells people what the instance waits for meanwhile, as in
        `suspended`.

        A cancel ends the sleep early, and a pending one keeps it from beginning: this returns all
        the same, so look at `poll_signals` before going on. A pause, or an end from outside, raises
        InvalidInstanceState.

        Lost connections are opened again and what is left is slept, for years if need be; only a
        server that stays away for `request_timeout_ms` raises ConnectionFailed. Then, and when the
        caller is cancelled, the deadline stands, and the instance stays SUSPENDED until its next
        checkpoint.
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
        Record for people to see that work towards a checkpoint failed, attempts counted from 1.

        It is no checkpoint. The same attempt again takes the place of the first.
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

        `also` names more checkpoints; of much that was sent to them the first comes, so ask again
        without those that were. With `wait`, a timedelta or seconds, this returns as soon as there
        is anything, and with nothing when the time is over. The server holds the answer meanwhile;
        one that is too old for that, or for more than one checkpoint, is asked once a second. A
        signal is pending until it is acknowledged, and what was sent to a checkpoint for good: both
        are returned at once, every time.
        """
        seconds = checked("wait", wait).total_seconds()
        return await self._opened.long_poll.poll(checkpoint_id, list(also), seconds)

    async def acknowledge(self, signal_type: SignalType, accepted: bool = True) -> None:
        """
        Answer the pending signal; one of another type, or none, is not touched, and no error.

        Accepted, a cancel ends the instance and a pause suspends it: this process is to stop. A
        signal not accepted stays pending.
        """
        await self._calls.ask(requests.acknowledge(self._id, signal_type, accepted=accepted))

    async def heartbeat(self, *, waits: str | None = None, progress: bytes | None = None) -> None:
        """
        Show that the instance is alive; the open client does so by itself, at intervals.

        `waits` tells people what it waits for while it runs, as in `suspended`, and `progress` how
        far it is, whatever that is, at most 64 KiB. The last of each stays; a server that is too
        old for them keeps neither.
        """
        await self._calls.ask(requests.heartbeat(self._id, waits, progress))

    async def completed(self, output: bytes = b"") -> None:
        """
        End the instance with its output; the same ending once more is no error.

        Heartbeats stop.
        """
        await self._calls.ask(requests.completed(self._id, output))
        await self._end_heartbeats()

    async def failed(self, error: str, failure: bytes | None = None) -> None:
        """
        End the instance with what went wrong; the same ending once more is no error.

        `failure` is for programs, kept as the instance's output; a server that is too old for it
        keeps the error alone. Heartbeats stop.
        """
        await self._calls.ask(requests.failed(self._id, error, failure))
        await self._end_heartbeats()

    async def suspended(
        self, *, blocked_reason: str | None = None, waits: str | None = None
    ) -> None:
        """
        Say that this process stops for now, by itself or at a pause or cancel.

        A pending cancel ends the instance, a pending pause is acknowledged; the same once more is
        no error. Heartbeats stop. `waits` tells people what the instance waits for, as a JSON list
        `[{"kind": …, "name": …, "since": …, "until": …}]` of at most 64 KiB.

        With a `blocked_reason` (of what is longer than 64 KiB the middle is left out) the instance
        is *blocked*, whatever is pending: its code can't go on with this history, and must change.
        It is paused, no signal is acknowledged, and only a later resume or cancel, or other code,
        has it launched again. A server that is too old for that takes it as without.
        """
        await self._calls.ask(requests.suspended(self._id, blocked_reason, waits))
        await self._end_heartbeats()

    async def custom_event(self, subtype: str, payload: bytes = b"") -> None:
        """
        Record an event of the workflow's own, in any state, once.

        It is sent again only when the server says that it did nothing: a lost answer raises, and
        leaves open whether the event was recorded.
        """
        await self._calls.ask(
            requests.custom_event(self._id, CustomEvent(subtype, payload)), is_repeatable=False
        )

    async def events(self, events: Iterable[CustomEvent]) -> None:
        """
        Record up to 10,000 events of the workflow's own in one transaction, in their order.

        One that the server cannot keep is left out; only the server's log says so. They are sent
        again, and a lost answer raises, as with `custom_event`.
        """
        await self._calls.ask(requests.events(self._id, events), is_repeatable=False)

    async def get_status(self, instance_id: str | None = None) -> Status:
        """Read where an instance stands, this one unless named; an unknown one is no error."""
        response = await self._calls.ask(
            requests.status(self._id if instance_id is None else instance_id)
        )
        return responses.status(response.get_instance_status)

    async def _end_heartbeats(self) -> None:
        task, self._heartbeats = self._heartbeats, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])


@cache
def _warn_of_trust(server_addr: str) -> None:
    """Warn once a process and address, however many clients it opens: a workflow opens two."""
    logger.warning(
        "RUNTARA_SKIP_CERT_VERIFICATION is on: any server that answers at %s is taken for the core",
        server_addr,
    )
