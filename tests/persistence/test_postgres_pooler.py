"""PgBouncer in transaction mode, Debian's: refused with a line that says so."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.support.postgres import PostgresServer, shared_server

from runtara_domain.error import DatabaseError
from runtara_persistence.postgres.persistence import PostgresPersistence

SETTINGS = """
[databases]
* = host={server}
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
auth_type = any
pool_mode = transaction
ignore_startup_parameters = {ignored}
"""
# The URL that an operator would write after the first refusal, and after the second.
ALL_OURS = (
    "application_name,default_transaction_isolation,idle_in_transaction_session_timeout,jit,"
    "plan_cache_mode,statement_timeout"
)


@contextmanager
def pooler(server: PostgresServer, ignored: str) -> Iterator[str]:
    """Run PgBouncer in front of a server; give a URL of a database behind it."""
    program = shutil.which("pgbouncer", path=f"{os.defpath}:/usr/sbin")
    assert program is not None, "no pgbouncer: apt-get install pgbouncer"
    user = "nobody" if os.geteuid() == 0 else None
    with TemporaryDirectory(prefix="pgb-") as name:
        folder = Path(name)
        settings = folder / "pgbouncer.ini"
        settings.write_text(SETTINGS.format(server=server.folder, folder=folder, ignored=ignored))
        if user is not None:
            shutil.chown(folder, user)
        process = subprocess.Popen(
            [program, settings], stderr=subprocess.PIPE, text=True, user=user
        )
        assert process.stderr is not None
        try:
            told = []
            for line in process.stderr:
                told.append(line)
                if "process up" in line:
                    break
            else:
                raise RuntimeError("".join(told))
            yield f"postgresql://postgres@/postgres?host={folder}&port=6432"
        finally:
            process.terminate()
            process.communicate(timeout=30)


@pytest.mark.long
@pytest.mark.parametrize(
    "ignored", ["extra_float_digits", ALL_OURS], ids=["as_it_comes", "told_to_ignore"]
)
async def test_a_pooler_of_transactions_is_refused(ignored: str) -> None:
    with pooler(shared_server(), ignored) as url:
        persistence = PostgresPersistence(url)
        with pytest.raises(DatabaseError, match="PgBouncer") as refusal:
            await persistence.__aenter__()

    assert "connect to the server itself" in str(refusal.value)
    assert "\n" not in str(refusal.value)
