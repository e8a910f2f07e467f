"""Uses a new certificate when its files are replaced while the server runs."""

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from runtara_protocol.quic import certificates
from runtara_protocol.quic.certificates import Certificate, CertificateError

_INTERVAL = 2.0
"""Seconds between two checks of the files."""

_log = logging.getLogger(__name__)

_State: TypeAlias = tuple[tuple[int, int, int], ...]


@dataclass(slots=True)
class Renewal:
    """
    Gives new connections the certificate that the files have.

    If the files have no certificate, or a certificate and key that don't match, the former one
    stays in use, and the reason is logged once.
    """

    cert_path: Path
    key_path: Path
    use: Callable[[Certificate], None]
    _seen: _State | None = field(default=None, init=False)
    _complaint: str = field(default="", init=False)

    async def keep(self) -> None:
        """Check the files until cancelled; the certificate that they have at first is in use."""
        self._seen = await asyncio.to_thread(self._look)
        while True:
            await asyncio.sleep(_INTERVAL)
            state = await asyncio.to_thread(self._look)
            if state != self._seen or self._complaint:
                await self._renew(state)

    async def _renew(self, state: _State | None) -> None:
        try:
            renewed = await asyncio.to_thread(certificates.load, self.cert_path, self.key_path)
        except CertificateError as error:
            if str(error) != self._complaint:
                _log.error("certificate not renewed", extra={"reason": str(error)})
            self._complaint = str(error)
            return
        self._seen, self._complaint = state, ""
        self.use(renewed)
        until = renewed.chain[0].not_valid_after_utc
        _log.info("certificate renewed", extra={"valid_until": until.isoformat()})

    def _look(self) -> _State | None:
        try:
            return tuple(_state(each) for each in (self.cert_path, self.key_path))
        except OSError:
            # Loading reports what is wrong with the files.
            return None


def _state(path: Path) -> tuple[int, int, int]:
    found = os.stat(path)
    return found.st_ino, found.st_mtime_ns, found.st_size
