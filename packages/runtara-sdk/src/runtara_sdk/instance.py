"""An instance on a core that is reached over QUIC."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from functools import cache

from runtara_protocol.pb.instance_pb2 import InstanceEventType, RpcRequest
from runtara_protocol.quic.client import ClientConnection, ClientSettings
from runtara_protocol.quic.error import ConnectionLost
from runtara_sdk import answers, requests
from runtara_sdk.address import Address
from runtara_sdk.calls import TRANSIENT, Calls
from runtara_sdk.connection import SharedConnection
from runtara_sdk.errors import InvalidInstanceState
from runtara_sdk.exchange import exchange
from runtara_sdk.heartbeat import beat
from runtara_sdk.polling import Polls
from runtara_sdk.records import (
    Checkpoint,
    CheckpointEntry,
    CustomEvent,
    Pending,
    Registration,
    SignalType,
    Status,
)
from runtara_sdk.settings import Settings

logger = logging.getLogger(__name__)

_LONGEST_REASON = 64 * 1024
"""Bytes that the server keeps of why an instance is blocked."""


class RemoteInstance:
    """
    What `Client` promises, done with messages.

    It remembers the run it registered, if the server counts runs, and binds each new connection
    to it; it owns the heartbeats.
    """

    def __init__(self, settings: Settings) -> None:
        if settings.skip_cert_verification:
            _warn_of_trust(settings.server_addr)
        self._id = settings.instance_id
        self._tenant_id = settings.tenant_id
        self._launch_id = settings.launch_id
        self._interval = settings.heartbeat_interval_ms / 1000
        timeout = settings.request_timeout_ms / 1000
        self._connection = SharedConnection(_servers(settings), self._continue_run)
        self._calls = Calls(self._connection, timeout)
        self._polls = Polls(self._calls, self._id)
        self._run: int | None = None
        self._heartbeats: asyncio.Task[None] | None = None

    async def register(
        self, checkpoint_id: str | None, workflow: str | None, code_version: str | None
    ) -> Registration:
        """Begin a run, and heartbeats with it."""
        # A run may begin though its answer is lost; the one known so far is superseded then.
        self._run = None
        self._calls.begin_run()
        request = requests.register(
            self._id,
            self._tenant_id,
            checkpoint_id=checkpoint_id,
            workflow=workflow,
            code_version=code_version,
            launch_id=self._launch_id,
        )
        response = await self._calls.ask(request)
        registration = answers.registration(response.register_instance)
        self._run = registration.run
        await self._end_heartbeats()
        if self._interval:
            self._heartbeats = asyncio.create_task(beat(self.heartbeat, self._interval))
        return registration

    async def checkpoint(self, checkpoint_id: str, state: bytes) -> Checkpoint:
        """Save a state, or find the one that stands."""
        response = await self._calls.ask(requests.checkpoint(self._id, checkpoint_id, state))
        return answers.checkpoint(response.checkpoint, state)

    async def get_checkpoint(self, checkpoint_id: str) -> bytes | None:
        """Read a state."""
        response = await self._calls.ask(requests.get_checkpoint(self._id, checkpoint_id))
        return answers.saved_state(response.get_checkpoint)

    async def list_checkpoints(self) -> AsyncIterator[CheckpointEntry]:
        """Read all checkpoints, a page at a time."""
        after_id: int | None = 0
        while after_id is not None:
            response = await self._calls.ask(requests.list_checkpoints(self._id, after_id))
            page = response.list_checkpoints
            for message in page.checkpoints:
                yield answers.entry(message)
            after_id = page.next_id if page.HasField("next_id") else None

    async def start_child(self, child_id: str, workflow: str, child_input: bytes | None) -> bool:
        """Create a child."""
        request = requests.start_child(self._id, child_id, workflow, child_input)
        return (await self._calls.ask(request)).start_child.created

    async def sleep(
        self,
        duration: timedelta,
        checkpoint_id: str,
        state: bytes,
        *,
        keep_running: bool,
        detach: bool,
    ) -> None:
        """Sleep until the server says that it is over, or, detached, that it is stored."""
        request = requests.sleep(
            self._id, duration, checkpoint_id, state, keep_running=keep_running, detach=detach
        )
        if detach:
            await self._calls.ask(request)
        else:
            await self._calls.hold(lambda: request)

    async def record_retry_attempt(
        self, checkpoint_id: str, attempt_number: int, error_message: str | None
    ) -> None:
        """Record a failed attempt."""
        await self._calls.ask(
            requests.retry_attempt(self._id, checkpoint_id, attempt_number, error_message)
        )

    async def poll_signals(
        self, checkpoint_id: str | None, also: Iterable[str], wait: timedelta
    ) -> Pending:
        """Read what the instance was told, and wait for it."""
        return await self._polls.poll(checkpoint_id, list(also), wait.total_seconds())

    async def acknowledge(self, signal_type: SignalType, *, accepted: bool) -> None:
        """Answer a signal."""
        await self._calls.ask(requests.acknowledge(self._id, signal_type, accepted=accepted))

    async def heartbeat(self) -> None:
        """Show life."""
        await self._calls.ask(requests.event(self._id, InstanceEventType.EVENT_HEARTBEAT))

    async def completed(self, output: bytes) -> None:
        """End well."""
        await self._end(requests.event(self._id, InstanceEventType.EVENT_COMPLETED, output))

    async def failed(self, error: str) -> None:
        """End badly."""
        # A failure is told in any case, even with half a character from some file name in it.
        text = error.encode(errors="backslashreplace")
        await self._end(requests.event(self._id, InstanceEventType.EVENT_FAILED, text))

    async def suspended(self, blocked_reason: str | None, waits: str | None) -> None:
        """Stop for now, or until the code has changed."""
        if blocked_reason is not None:
            blocked_reason = _kept(blocked_reason)
        await self._end(requests.suspended(self._id, blocked_reason, waits))

    async def custom_event(self, event: CustomEvent) -> None:
        """Record an event of the workflow's own."""
        await self._calls.ask(requests.custom_event(self._id, event), is_repeatable=False)

    async def events(self, events: Iterable[CustomEvent]) -> None:
        """Record many at once."""
        await self._calls.ask(requests.events(self._id, events), is_repeatable=False)

    async def get_status(self, instance_id: str | None) -> Status:
        """Read where an instance stands."""
        request = requests.status(self._id if instance_id is None else instance_id)
        response = await self._calls.ask(request)
        return answers.status(response.get_instance_status)

    async def aclose(self) -> None:
        """End the heartbeats and the connection."""
        await self._end_heartbeats()
        await self._connection.aclose()

    async def _end(self, request: RpcRequest) -> None:
        await self._calls.ask(request)
        await self._end_heartbeats()

    async def _end_heartbeats(self) -> None:
        task, self._heartbeats = self._heartbeats, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _continue_run(self, connection: ClientConnection) -> None:
        """Bind a new connection to the run, so that the server sees it is no other's."""
        if self._run is None:
            return
        request = requests.register(
            self._id, self._tenant_id, run=self._run, launch_id=self._launch_id
        )
        try:
            await exchange(connection, request)
        except InvalidInstanceState as error:
            # It has ended, perhaps by an ending whose answer was lost with the old connection and
            # is about to be repeated: the server judges each call by itself.
            logger.info("run %d is not continued: %s", self._run, error)
        except TRANSIENT as error:
            raise ConnectionLost(str(error)) from error


def _kept(reason: str) -> str:
    """A reason as the server keeps it: UTF-8 without NUL, and its middle left out if it is long."""
    text = reason.replace("\0", "").encode(errors="backslashreplace")
    if len(text) > _LONGEST_REASON:
        half = _LONGEST_REASON // 2 - 10
        text = text[:half] + b"\n...\n" + text[-half:]
    return text.decode(errors="ignore")


@cache
def _warn_of_trust(server_addr: str) -> None:
    """Warn once a process and address, however many clients it opens: a workflow opens two."""
    logger.warning(
        "RUNTARA_SKIP_CERT_VERIFICATION is on: whoever answers at %s is taken for the core",
        server_addr,
    )


def _servers(settings: Settings) -> list[ClientSettings]:
    return [
        ClientSettings(
            host=address.host,
            port=address.port,
            server_name=settings.server_name,
            ca_path=settings.tls_ca,
            verify=not settings.skip_cert_verification,
            connect_timeout=settings.connect_timeout_ms / 1000,
        )
        for address in Address.parse_all(settings.server_addr)
    ]
