"""`runtara-server --dev`: a core to try things with, in `.runtara/` of the current folder."""

import shlex
import sys
from pathlib import Path

from pydantic import Field

from runtara_protocol.quic.certificates import LocalAuthority
from runtara_server.config import DatabaseUrl, Host, Settings
from runtara_server.runtime import StartError

FOLDER = Path(".runtara")

_TRY = """\
import asyncio
from runtara_sdk import Client

async def main():
    async with Client() as client:
        await client.register()
        saved = await client.checkpoint("greeting", b"hello")
        print("found from an earlier run:" if saved.found else "saved:", saved.state)

asyncio.run(main())"""


class DevSettings(Settings):
    """The server's settings with defaults for trying things; what is set still wins."""

    database_url: DatabaseUrl = Field(
        f"sqlite:{FOLDER}/core.db",
        description=Settings.model_fields["database_url"].description,
        min_length=1,
    )
    quic_host: Host = Field(
        "127.0.0.1", description=Settings.model_fields["quic_host"].description, min_length=1
    )


def authority() -> LocalAuthority:
    """
    Open the local certificate authority, made at its first use.

    Raises StartError, or CertificateError if what is there is none.
    """
    try:
        return LocalAuthority.open(FOLDER)
    except OSError as error:
        raise StartError(f"Cannot use the folder {FOLDER}: {error.strerror}") from error


def instructions(host: str, port: int, ca_path: Path) -> str:
    """Say how to connect, in lines that work when pasted into a shell."""
    variables = {
        "RUNTARA_SERVER_ADDR": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "RUNTARA_TLS_CA": str(ca_path.resolve()),
        "RUNTARA_TENANT_ID": "dev",
        "RUNTARA_INSTANCE_ID": "hello-1",
    }
    exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())
    return (
        "Connect like this, in another terminal (twice: the second run finds what the first"
        f" saved):\n\n{exports}\n{shlex.quote(sys.executable)} - <<'END'\n{_TRY}\nEND\n"
    )
