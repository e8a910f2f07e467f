"""The core and the environment of `runtara dev`, in `.runtara/` of the current folder."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from runtara_cli.access import FOLDER, Access
from runtara_cli.dev_file import DevFile
from runtara_environment import dev
from runtara_environment.identity import IdentityTaken
from runtara_environment.runtime import EnvironmentRuntime, EnvironmentSettings
from runtara_protocol.server import process
from runtara_protocol.server.endpoint import StartError
from runtara_protocol.server.settings import load

HOST = "127.0.0.1"
TENANT = "dev"
_CORE_PORT, _ENVIRONMENT_PORT = 8001, 8002


@asynccontextmanager
async def running(
    told_to_end: asyncio.Event, database_url: str | None
) -> AsyncIterator[Access | None]:
    """
    Run both for the block's length, and say in `.runtara/dev.json` how to reach them.

    database_url: SQLite in `.runtara/` if None.

    They take the ports that they had before, so that processes which outlived them find them again.
    Gives None if a signal ended it before they listened. Raises StartError, DatabaseError,
    CertificateError, ConfigurationError.
    """
    authority = dev.authority()
    folder = _folder()
    before = DevFile.read(folder)
    given = database_url or f"sqlite:{folder / 'core.db'}"
    runtime = EnvironmentRuntime(_settings(folder, before, given), authority)
    entered = False
    try:
        async with process.broken_off_by(told_to_end):
            await _enter(runtime, folder)
            entered = True
        if not entered:
            yield None
            return
        host, port = runtime.address
        ca_path = str(authority.ca_path.resolve())
        address = f"{host}:{port}"
        # One that is given may hold a password.
        told = "" if database_url else given
        DevFile(address, runtime.core_address, ca_path, TENANT, told, os.getpid()).write(folder)
        yield Access(address, ca_path, TENANT, folder.parent)
    finally:
        if entered:
            await runtime.__aexit__(None, None, None)


async def _enter(runtime: EnvironmentRuntime, folder: Path) -> None:
    try:
        await runtime.__aenter__()
    except StartError as error:
        if not isinstance(error.__cause__, IdentityTaken):
            raise
        raise StartError(
            f"process {error.__cause__.process} already runs the servers of {folder}: other"
            " commands in this folder use them. To start anew, end that process with Ctrl-C or"
            " `kill` first; one `runtara dev` takes several files"
        ) from error


def _folder() -> Path:
    return Path(FOLDER).absolute()


def _settings(folder: Path, before: DevFile | None, database_url: str) -> EnvironmentSettings:
    core = _port(before.core_addr if before else None, _CORE_PORT)
    port = _port(before.environment_addr if before else None, _ENVIRONMENT_PORT)
    own = {
        "database_url": database_url,
        "data_dir": folder / "environment",
        "embed_core": True,
        "core_addr": f"{HOST}:{core}",
        "env_quic_host": HOST,
        "env_quic_port": port,
    }
    return load(dev.DevSettings).model_copy(update=own)


def _port(before: str | None, usual: int) -> int:
    """Return the former port, or the usual one; 0, for any port, if that is not free."""
    port = int(before.rpartition(":")[2]) if before else usual
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.bind((HOST, port))
        except OSError:
            return 0
    return port
