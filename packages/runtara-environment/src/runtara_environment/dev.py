"""`runtara-environment --dev`: a core and an environment to try things with, in `.runtara/`."""

import shlex
from pathlib import Path

from pydantic import Field

from runtara_environment.config import DatabaseUrl, EnvironmentSettings
from runtara_protocol.quic.certificates import LocalAuthority
from runtara_protocol.server.endpoint import StartError

FOLDER = Path(".runtara")
DATABASE_URL = f"sqlite:{FOLDER}/core.db"


class DevSettings(EnvironmentSettings):
    """An environment's settings with defaults for development; set variables still count."""

    database_url: DatabaseUrl = Field(
        DATABASE_URL,
        description=EnvironmentSettings.model_fields["database_url"].description,
        min_length=1,
    )
    data_dir: Path = Field(
        FOLDER / "environment",
        validation_alias="DATA_DIR",
        description=EnvironmentSettings.model_fields["data_dir"].description,
    )
    embed_core: bool = Field(True, description="true or false")


def on_own_database(settings: EnvironmentSettings) -> EnvironmentSettings:
    """
    Return the settings with the database in `.runtara/`.

    Raises StartError if RUNTARA_DATABASE_URL names another database: a trial must not change it.
    """
    if settings.database_url != DATABASE_URL:
        raise StartError(
            f"--dev uses only {DATABASE_URL}, and RUNTARA_DATABASE_URL names another database:"
            " unset it, or leave out --dev"
        )
    return settings.model_copy(update={"database_url": DATABASE_URL})


def authority() -> LocalAuthority:
    """Open the certificate authority that the core's `--dev` uses; raises StartError."""
    try:
        return LocalAuthority.open(FOLDER)
    except OSError as error:
        raise StartError(f"Cannot use the folder {FOLDER}: {error.strerror}") from error


def instructions(host: str, port: int, core_addr: str, ca_path: Path) -> str:
    """Return how to connect, in lines that can be pasted into any shell."""
    variables = {
        "RUNTARA_ENVIRONMENT_ADDR": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "RUNTARA_SERVER_ADDR": core_addr,
        "RUNTARA_TLS_CA": str(ca_path.resolve()),
        "RUNTARA_TENANT_ID": "dev",
    }
    exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())
    return f"Paste this into another terminal to work with this environment:\n\n{exports}"
