"""An environment, running: for the command, and for programs that embed it."""

import ipaddress
import logging
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from dependency_injector import providers

from runtara_domain.launching.launcher import Launcher
from runtara_domain.ports.persistence import Persistence
from runtara_environment.config import EnvironmentSettings, address
from runtara_environment.container import Container, CoreAddress
from runtara_environment.identity import IdentityTaken, held_identity
from runtara_environment.management import Management, ManagementRequest
from runtara_environment.operations import streams
from runtara_environment.plugins import PluginBroken
from runtara_environment.runners.oci import WITHOUT_CONTAINER
from runtara_protocol.quic.certificates import Certificate, LocalAuthority
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
from runtara_server.runtime import CoreRuntime
from runtara_server.runtime import Settings as CoreSettings

__all__ = ["EnvironmentRuntime", "EnvironmentSettings", "StartError"]

_OPEN_DOOR = (
    "there is no authentication: any program that reaches the port runs code on this machine"
)
_AUTHORITY = "authority"

_log = logging.getLogger(__name__)


class EnvironmentRuntime:
    """
    An environment within its `async with` block, with the core if that is embedded.

    On entry it takes the identity in DATA_DIR, opens and migrates the database, takes the lease,
    continues launches of an earlier environment of the same id, and listens. It raises
    DatabaseError or StartError. On exit it refuses new requests, asks processes to end within the
    grace, and closes the database last. authority: signs the certificates of both ports; without an
    authority and certificate files, an embedded core gets an authority that is kept in DATA_DIR.
    Raises CertificateError on construction if the settings' files have no certificate. A failure of
    the launcher ends the block.
    """

    def __init__(
        self, settings: EnvironmentSettings, authority: LocalAuthority | None = None
    ) -> None:
        self._settings = settings
        self._authority = authority
        if authority is None and settings.embed_core and settings.tls_cert is None:
            self._authority = _own_authority(settings.data_dir)
        self._core = self._embedded_core() if settings.embed_core else None
        self._container = Container(settings=settings)
        self._listener = Listener(
            listener_settings(
                settings, settings.env_quic_host, settings.env_quic_port, self._certificate()
            ),
            self._accept,
        )
        self._exits = AsyncExitStack()

    @property
    def address(self) -> tuple[str, int]:
        """The host and port that are listened on."""
        return self._listener.address

    @property
    def core_address(self) -> str:
        """Where launched processes find the core: host:port."""
        if self._core is None:
            return self._settings.core_addr
        host, port = self._core.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def persistence(self) -> Persistence:
        """The storage, open while the runtime is."""
        persistence: Persistence = self._container.persistence()
        return persistence

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as exits:
            self._identify(exits)
            await self._open_database(exits)
            self._container.core.override(
                providers.Object(CoreAddress(self.core_address, self._tls_ca()))
            )
            await exits.enter_async_context(self._launcher())
            self._hear_of_ends()
            keeping = self._container.housekeeping().keep()
            await exits.enter_async_context(running("housekeeping", keeping))
            host, port = self._settings.env_quic_host, self._settings.env_quic_port
            variables = "RUNTARA_ENV_QUIC_HOST or RUNTARA_ENV_QUIC_PORT"
            await exits.enter_async_context(bound(self._listener, host, port, variables))
            await self._renew_certificate(exits)
            self._exits = exits.pop_all()
        host, port = self.address
        _log.info("listening", extra={"host": host, "port": port, "core": self.core_address})
        is_local = ipaddress.ip_address(host).is_loopback
        _log.log(logging.INFO if is_local else logging.WARNING, _OPEN_DOOR)
        if self._settings.oci_runtime == WITHOUT_CONTAINER:
            _log.warning("OCI images run as plain processes: RUNTARA_OCI_RUNTIME is process")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _log.info("shutting down", extra={"grace_ms": self._settings.shutdown_grace_ms})
        self._container.router().end()
        self._container.management().end()
        await self._exits.__aexit__(kind, error, traceback)
        _log.info("stopped")

    def _hear_of_ends(self) -> None:
        """Act on the ends that the embedded core stores: for waiting clients, and for claims."""
        if self._core is None:
            return
        management: Management = self._container.management()
        endings, launcher = management.operations.endings, management.launcher

        def ended(instance_id: str, is_launch_closed: bool) -> None:
            endings.ended([instance_id])
            if is_launch_closed:
                launcher.freed()

        self._core.on_ended(ended)
        endings.runs_here = self._core.has_registered

    def _launcher(self) -> Launcher:
        try:
            return self._container.launcher()
        except PluginBroken as error:
            raise StartError(str(error)) from error

    def _identify(self, exits: AsyncExitStack) -> None:
        try:
            identity = exits.enter_context(held_identity(self._settings.data_dir))
        except IdentityTaken as error:
            raise StartError(str(error)) from error
        except OSError as error:
            raise StartError(
                f"Cannot use DATA_DIR {self._settings.data_dir}: {error.strerror}"
            ) from error
        self._container.identity.override(providers.Object(identity))

    async def _open_database(self, exits: AsyncExitStack) -> None:
        if self._core is None:
            await exits.enter_async_context(self.persistence)
            return
        await exits.enter_async_context(self._core)
        self._container.persistence.override(providers.Object(self._core.persistence))

    def _embedded_core(self) -> CoreRuntime:
        settings = self._settings
        host, port = address(settings.core_addr)
        core = CoreSettings(
            **settings.model_dump(include=set(CoreSettings.model_fields)),
            quic_host=host,
            quic_port=port,
        )
        slots = max(core.max_concurrent_instances, settings.env_capacity)
        core = core.model_copy(update={"max_concurrent_instances": slots})
        return CoreRuntime(core, self._issued())

    def _certificate(self) -> Certificate:
        return self._issued() or certificate_of(self._settings)

    def _issued(self) -> Certificate | None:
        return None if self._authority is None else self._authority.issue()

    def _tls_ca(self) -> Path | None:
        if self._authority is not None and self._core is not None:
            return self._authority.ca_path
        return self._settings.tls_ca

    async def _renew_certificate(self, exits: AsyncExitStack) -> None:
        cert, key = self._settings.tls_cert, self._settings.tls_key
        if cert is not None and key is not None and self._authority is None:
            renewal = Renewal(cert, key, self._listener.renew)
            await exits.enter_async_context(running("certificate", renewal.keep()))

    def _accept(self, connection: Connection) -> RequestStreams[ManagementRequest]:
        return streams(
            self._container.router(),
            is_overloaded=connection.is_overloaded,
            has_room=connection.has_room,
            max_under_way=self._settings.quic_max_bi_streams,
        )


def _own_authority(data_dir: Path) -> LocalAuthority:
    try:
        return LocalAuthority.open(data_dir / _AUTHORITY)
    except OSError as error:
        raise StartError(f"Cannot use DATA_DIR {data_dir}: {error.strerror}") from error
