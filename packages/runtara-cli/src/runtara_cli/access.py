"""Finds a command's environment: named by an option or a variable, or that of `runtara dev`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from runtara_domain.record import record

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from runtara_cli.dev_file import DevFile
    from runtara_management_sdk import ManagementClient

FOLDER = ".runtara"
VARIABLE = "RUNTARA_ENVIRONMENT_ADDR"


@record
class Access:
    """
    How to reach an environment. A field that is None is taken from the variables.

    dev_folder: the folder of the `runtara dev` that is reached, None for any other environment.
    database_url: a database that is used without servers, None if an environment is asked.
    """

    environment_addr: str | None = None
    tls_ca: str | None = None
    tenant_id: str | None = None
    dev_folder: Path | None = None
    database_url: str | None = None

    def client(self) -> "AbstractAsyncContextManager[ManagementClient]":
        """Return a client to enter; ConfigurationError is raised here or on entering."""
        if self.database_url is not None:
            from runtara_cli import direct

            return direct.opened(self.database_url)
        from runtara_management_sdk import ManagementClient, ManagementSettings

        return ManagementClient(
            ManagementSettings(environment_addr=self.environment_addr, tls_ca=self.tls_ca)
        )


def silence_connections() -> None:
    """
    Let aioquic log nothing in this process; only for a process that is a command.

    What ends a connection is in the error of the call, and aioquic would print it as well.
    """
    # Only now: --help needs no log.
    import logging

    logging.getLogger("quic").setLevel(logging.CRITICAL)


def find(
    address: str | None,
    database_url: str | None = None,
    variables: Mapping[str, str] = os.environ,
    start: Path | None = None,
) -> Access:
    """
    Choose the given database or address, else the variable's address, else the nearest `.runtara/`.

    The nearest is in `start` or in a folder above it.
    """
    tenant_id = variables.get("RUNTARA_TENANT_ID") or None
    if database_url:
        return Access(tenant_id=tenant_id, database_url=database_url)
    if address or variables.get(VARIABLE):
        return Access(environment_addr=address, tenant_id=tenant_id)
    found = nearest(start)
    if found is None:
        return Access(tenant_id=tenant_id)
    folder, dev = found
    return Access(dev.environment_addr, dev.tls_ca, tenant_id or dev.tenant_id, folder)


def nearest(start: Path | None = None) -> "tuple[Path, DevFile] | None":
    """Find the nearest `.runtara/` in a folder or above it; return its folder and its file."""
    # Only now: a command with an address needs no file.
    from runtara_cli.dev_file import DevFile

    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        found = DevFile.read(folder / FOLDER)
        if found is not None:
            return folder, found
    return None
