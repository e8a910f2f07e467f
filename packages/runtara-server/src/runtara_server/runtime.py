"""The core, running: for the command, and for programs that embed it."""

import ipaddress
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Self

from runtara_domain.activity import Activity
from runtara_domain.ports.persistence import Persistence
from runtara_domain.ports.transport import Operations, Request
from runtara_domain.sessions import InstanceSlots
from runtara_protocol.quic.certificates import Certificate
from runtara_protocol.quic.connection import Connection
from runtara_protocol.quic.listener import Listener
from runtara_protocol.server.endpoint import (
    StartError,
    bound,
    certificate_of,
    listener_settings,
    running,
)
from runtara_protocol.server.renewal import Renewal
from runtara_protocol.server.streams import RequestStreams
from runtara_server.config import Settings
from runtara_server.container import Container
from runtara_server.operations import requests_of

__all__ = ["CoreRuntime", "Settings", "StartError"]

_OPEN_DOOR = "there is no authentication: any client of the port can read and end every instance"

_log = logging.getLogger(__name__)


class CoreRuntime:
    """
    The core between `async with` and its end.

    Entering opens and migrates the database, and listens; raises DatabaseError or StartError.
    Leaving refuses new requests, answers those under way within the grace time, and closes the
    database last. Without a certificate the core uses that of the settings, or a self-signed one.
    Raises CertificateError on construction if the settings' files have no certificate.
    """

    def __init__(self, settings: Settings, certificate: Certificate | None = None) -> None:
        self._settings = settings
        self._container = Container(settings=settings)
        self._listener = Listener(
            listener_settings(
                settings,
                settings.quic_host,
                settings.quic_port,
                certificate or certificate_of(settings),
            ),
            self._accept,
        )
        self._exits = AsyncExitStack()
        self._has_own_certificate = certificate is not None

    @property
    def address(self) -> tuple[str, int]:
        """The host and port that are listened on."""
        return self._listener.address

    @property
    def persistence(self) -> Persistence:
        """The core's storage, open while the runtime is."""
        persistence: Persistence = self._container.persistence()
        return persistence

    @property
    def operations(self) -> Operations:
        """The operations for instances, for callers in this process."""
        return self._container.core()

    def has_registered(self, instance_id: str) -> bool:
        """Return whether a process of the instance is connected here."""
        slots: InstanceSlots = self._container.slots()
        return slots.holds(instance_id)

    def on_ended(self, call: Callable[[str, bool], None]) -> None:
        """
        Call this function, and no other, with each instance whose end a request has stored, and
        with whether this closed the instance's launch.
        """
        slots: InstanceSlots = self._container.slots()
        slots.on_ended = call

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as exits:
            await exits.enter_async_context(self.persistence)
            activity: Activity = self._container.activity()
            exits.push_async_callback(activity.flush)
            exits.push_async_callback(self._container.held_sleeps().release_dropped)
            for name, keep in (
                ("activity", activity.keep),
                ("waits", self._container.waits().keep),
                ("held sleeps", self._container.held_sleeps().keep),
            ):
                await exits.enter_async_context(running(name, keep()))
            await exits.enter_async_context(self._bound())
            await self._renew_certificate(exits)
            self._exits = exits.pop_all()
        host, port = self.address
        _log.info("listening", extra={"host": host, "port": port})
        _warn_of_the_open_door(host)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _log.info("shutting down", extra={"grace_ms": self._settings.shutdown_grace_ms})
        self._container.router().end()
        self._container.waits().end()
        await self._exits.__aexit__(kind, error, traceback)
        _log.info("stopped")

    def _bound(self) -> AbstractAsyncContextManager[None]:
        host, port = self._settings.quic_host, self._settings.quic_port
        return bound(self._listener, host, port, "RUNTARA_QUIC_HOST or RUNTARA_QUIC_PORT")

    async def _renew_certificate(self, exits: AsyncExitStack) -> None:
        cert, key = self._settings.tls_cert, self._settings.tls_key
        if cert is not None and key is not None and not self._has_own_certificate:
            renewal = Renewal(cert, key, self._listener.renew)
            await exits.enter_async_context(running("certificate", renewal.keep()))

    def _accept(self, connection: Connection) -> RequestStreams[Request]:
        session = self.operations.open_session()
        return RequestStreams(
            self._container.router(),
            requests_of(session),
            session.close,
            is_overloaded=connection.is_overloaded,
            has_room=connection.has_room,
            max_under_way=self._settings.quic_max_bi_streams,
        )


def _warn_of_the_open_door(host: str) -> None:
    if ipaddress.ip_address(host).is_loopback:
        _log.info(_OPEN_DOOR)
    else:
        _log.warning(
            _OPEN_DOOR,
            extra={"remedy": "set RUNTARA_QUIC_HOST=127.0.0.1, or use a firewall"},
        )
