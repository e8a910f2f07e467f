"""Listens with a server's settings, and runs background work."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager

from runtara_protocol.quic import certificates
from runtara_protocol.quic.certificates import Certificate
from runtara_protocol.quic.listener import HELD_EACH, UNDELIVERED_EACH, Listener, ListenerSettings
from runtara_protocol.server.settings import ServerSettings

_log = logging.getLogger(__name__)


class StartError(Exception):
    """A server can't start; the message has the reason in one line."""


def certificate_of(settings: ServerSettings) -> Certificate:
    """
    Load the certificate of the settings, or make a self-signed one.

    Raises CertificateError if the files have no usable certificate.
    """
    if settings.tls_cert is not None and settings.tls_key is not None:
        return certificates.load(settings.tls_cert, settings.tls_key)
    _log.warning(
        "self-signed certificate in use: clients must skip its verification",
        extra={"remedy": "set RUNTARA_TLS_CERT and RUNTARA_TLS_KEY"},
    )
    return certificates.self_signed()


def listener_settings(
    settings: ServerSettings, host: str, port: int, certificate: Certificate
) -> ListenerSettings:
    """Build a listener's settings."""
    return ListenerSettings(
        host=host,
        port=port,
        certificate=certificate,
        max_incoming=settings.quic_max_incoming,
        max_bi_streams=settings.quic_max_bi_streams,
        max_uni_streams=settings.quic_max_uni_streams,
        idle_timeout=settings.quic_idle_timeout_ms / 1000,
        keep_alive=settings.quic_keep_alive_ms / 1000 or None,
        udp_recv_buffer=settings.quic_udp_recv_buffer,
        udp_send_buffer=settings.quic_udp_send_buffer,
        max_connections=settings.quic_max_handlers or None,
        max_held=settings.max_receive_bytes,
        max_held_each=min(HELD_EACH, settings.max_receive_bytes),
        max_undelivered=settings.max_undelivered_bytes,
        max_undelivered_each=min(UNDELIVERED_EACH, settings.max_undelivered_bytes),
        grace=settings.shutdown_grace_ms / 1000,
    )


@asynccontextmanager
async def bound(listener: Listener, host: str, port: int, variables: str) -> AsyncIterator[None]:
    """Listen within the block; raises StartError, which names the variables of host and port."""
    async with AsyncExitStack() as exits:
        try:
            await exits.enter_async_context(listener)
        except OSError as error:
            raise StartError(
                f"Can't listen on {host} port {port} (UDP): {error.strerror}."
                f" Set {variables} to a free address"
            ) from error
        yield


@asynccontextmanager
async def running(name: str, work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run the work while the block runs; if the work fails, log it and let the block go on."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_report_failure)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        _log.error(
            "background work has ended",
            extra={"work": task.get_name()},
            exc_info=task.exception(),
        )
