"""The client of one workflow instance."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from runtara_sdk.errors import ClientNotOpen
from runtara_sdk.records import Checkpoint, Registration, Status
from runtara_sdk.settings import Settings

if TYPE_CHECKING:
    from runtara_sdk.instance import RemoteInstance


class Client:
    """
    One workflow instance, as it talks to the core.

    Used as `async with Client() as client:`, with settings from the environment unless given
    (raises ConfigurationError). The first call connects, so a server that is not there is told by
    that call. Calls may run at the same time: they share one connection, which is opened again when
    it is lost, and continues the same run.

    Every call ends within `request_timeout_ms`, repeats included, and may raise ConnectionFailed,
    RequestTimeout, ProtocolError or a ServerError. A cancelled call leaves the client usable;
    whether its request was carried out is then unknown.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = Settings() if settings is None else settings
        self._remote: RemoteInstance | None = None

    async def __aenter__(self) -> Self:
        # Only now: QUIC and TLS take a third of a second to import.
        from runtara_sdk.instance import RemoteInstance

        if self._remote is not None:
            raise ClientNotOpen("this client is open already: use one `async with` at a time")
        self._remote = RemoteInstance(self._settings)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        remote, self._remote = self._instance, None
        await remote.aclose()

    @property
    def _instance(self) -> "RemoteInstance":
        if self._remote is None:
            raise ClientNotOpen("this client is not open: use it inside `async with Client()`")
        return self._remote

    async def register(self, checkpoint_id: str | None = None) -> Registration:
        """
        Begin a run of the instance, creating it if the server does not know it.

        `checkpoint_id`, if given, must exist; nothing else comes of it. From here on heartbeats are
        sent until the instance has ended. An earlier run's process is refused from now on; a second
        call begins another run. A lost answer is asked for again, which skips a run number.
        """
        return await self._instance.register(checkpoint_id)

    async def checkpoint(self, checkpoint_id: str, state: bytes) -> Checkpoint:
        """
        Save the state under an id never used before, or learn which state already stands there.

        Once this returns the state is durable. When an answer is lost and asked for again, the
        state just saved is found: `found` is then true, and `state` is what was brought.
        """
        return await self._instance.checkpoint(checkpoint_id, state)

    async def get_checkpoint(self, checkpoint_id: str) -> bytes | None:
        """Read the state saved under an id: None if nothing was, while b"" is a state."""
        return await self._instance.get_checkpoint(checkpoint_id)

    async def heartbeat(self) -> None:
        """Show that the instance is alive; the open client does so by itself, at intervals."""
        await self._instance.heartbeat()

    async def completed(self, output: bytes = b"") -> None:
        """
        End the instance with its output; the same ending once more is no error.

        Heartbeats stop.
        """
        await self._instance.completed(output)

    async def failed(self, error: str) -> None:
        """
        End the instance with what went wrong; the same ending once more is no error.

        Heartbeats stop.
        """
        await self._instance.failed(error)

    async def suspended(self) -> None:
        """
        Say that this process stops for now, by itself or because it was told to pause or cancel.

        A pending cancel ends the instance, a pending pause is acknowledged. Heartbeats stop.
        """
        await self._instance.suspended()

    async def custom_event(self, subtype: str, payload: bytes = b"") -> None:
        """
        Record an event of the workflow's own, in any state, once.

        It is sent again only when the server says that it did nothing: a lost answer raises, and
        leaves open whether the event was recorded.
        """
        await self._instance.custom_event(subtype, payload)

    async def get_status(self, instance_id: str | None = None) -> Status:
        """Read where an instance stands, this one unless named; an unknown one is no error."""
        return await self._instance.get_status(instance_id)
