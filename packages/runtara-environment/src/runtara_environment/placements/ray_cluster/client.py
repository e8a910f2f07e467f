"""The environment's side of the connection to its helper process."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from runtara_environment.placements.spawner import SpawnerClient
from runtara_environment.spawner.frames import Message

_MODULE = "runtara_environment.placements.ray_cluster.helper"
_VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Under `uv run` Ray would pack up the working folder, and start agents by uv in a copy of it.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # After so many seconds without a head the helper ends, and the environment starts another.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "15",
}

Heard = Callable[[Message], None]


class HelperClient(SpawnerClient):
    """A connection to a helper. Requests work as for a spawner; `heard` gets all events."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: Heard
    ) -> None:
        super().__init__(reader, writer)
        self._tell = heard

    def _heard(self, message: Message, ended: Callable[[str, Message], None]) -> None:
        if "event" in message:
            self._tell(message)
        else:
            super()._heard(message, ended)


@dataclass(slots=True)
class HelperProcess:
    """A running helper process, and the connection to it."""

    process: "subprocess.Popen[bytes]"
    client: HelperClient

    async def close(self) -> None:
        """End the helper. Agents, and the processes that they launched, live on."""
        self.client.close()
        self.process.kill()
        await asyncio.to_thread(self.process.wait)


async def start_helper(address: str, own_ip: str | None, heard: Heard) -> HelperProcess:
    """Start a helper that connects to a cluster."""
    ours, its = socket.socketpair()
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    own = [] if own_ip is None else [own_ip]
    with its:
        process = await asyncio.to_thread(
            subprocess.Popen,
            [sys.executable, "-m", _MODULE, str(its.fileno()), address, *own],
            env={**_VARIABLES, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[its.fileno()],
            start_new_session=True,
        )
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    return HelperProcess(process, HelperClient(reader, writer, heard))
