"""The core that launched processes find, for the tests of a placement."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from runtara_domain.ports.persistence import Persistence
from runtara_server.runtime import CoreRuntime, Settings


@dataclass(frozen=True, slots=True)
class Core:
    """A running core. address: host:port; its certificate is signed by no authority."""

    persistence: Persistence
    address: str


@asynccontextmanager
async def running_core(database_url: str, host: str = "127.0.0.1") -> AsyncIterator[Core]:
    """Serve a core on a free port of an address that the placement's processes reach."""
    settings = Settings(database_url=database_url, quic_host=host, quic_port=0)
    async with CoreRuntime(settings) as runtime:
        bound, port = runtime.address
        yield Core(runtime.persistence, f"[{bound}]:{port}" if ":" in bound else f"{bound}:{port}")
