"""The whole environment with its core: over QUIC, on both databases, with workflows that run."""

import asyncio
import io
import json
import os
import signal
import sys
import zipfile
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.environment.conftest import Here
from tests.support.postgres import cloned_database

from runtara_domain.launching import endings
from runtara_environment import dev
from runtara_environment.config import EnvironmentSettings
from runtara_environment.runtime import EnvironmentRuntime, StartError
from runtara_management_sdk import ManagementClient, ManagementSettings, Runner
from runtara_persistence.memory import MemoryPersistence

WORKFLOW = """
import os
from pathlib import Path
from runtara_sdk import sleep, step, workflow

@step
async def first(folder: str) -> int:
    with Path(folder, "first").open("a") as file:
        file.write("once\\n")
    return 20

@step
async def second(folder: str, number: int) -> int:
    lives = Path(folder, "lives")
    with lives.open("a") as file:
        file.write("another\\n")
    if lives.read_text().count("another") < 2:
        os.kill(os.getpid(), 9)
    return number + 1

@workflow(name="orders")
async def orders(folder: str) -> int:
    number = await first(folder)
    await sleep("100ms")
    return 2 * await second(folder, number)
"""
PATIENCE = timedelta(seconds=60)


def zipped(source: str) -> bytes:
    """Give a Python image of one module."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("orders.py", source)
    return made.getvalue()


@pytest.fixture(params=["sqlite", "postgres"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path}/core.db"
        return
    with cloned_database() as url:
        yield url


@pytest.fixture
def settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> EnvironmentSettings:
    """Settings of an environment with its core on this machine, in a folder of its own."""
    for name in [name for name in os.environ if name.startswith("RUNTARA_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return EnvironmentSettings(
        database_url=database_url,
        data_dir=tmp_path / "data",
        env_quic_port=0,
        core_addr="127.0.0.1:0",
        embed_core=True,
        shutdown_grace_ms=3000,
    )


@pytest.fixture
async def client(settings: EnvironmentSettings) -> AsyncIterator[ManagementClient]:
    """A client of an environment that runs."""
    async with EnvironmentRuntime(settings) as runtime:
        host, port = runtime.address
        told = ManagementSettings(
            environment_addr=f"{host}:{port}", tls_ca=settings.data_dir / "authority/ca.pem"
        )
        async with ManagementClient(told) as one:
            yield one
    end_spawner(settings.data_dir)


def end_spawner(data_dir: Path) -> None:
    """End the spawner of this folder, which would wait ten minutes for another environment."""
    os.kill(Here(data_dir, MemoryPersistence()).spawner_pid(), signal.SIGKILL)


async def test_a_workflow_that_is_killed_ends_once_with_its_result(
    client: ManagementClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A step that was recorded before a death by SIGKILL is not done again.

    The embedded core reports the end to the client that waits for it.
    """
    monkeypatch.setattr(endings, "_FIRST_LOOK", 1000.0)
    monkeypatch.setattr(endings, "_LAST_LOOK", 1000.0)
    registered = await client.images.register(
        "acme", "orders", zipped(WORKFLOW), Runner.PYTHON, metadata={"target": "orders:orders"}
    )

    started = await client.instances.start(
        "acme", image_id=registered.image_id, input=json.dumps(str(tmp_path)).encode()
    )
    # A request to wait is held for 30 s; then the state is read in any case.
    async with asyncio.timeout(28):
        ended = await client.instances.wait(started.instance_id, within=PATIENCE)

    launches = [one async for one in client.launches.list(instance_id=started.instance_id)]
    causes = [one.cause for one in launches]
    assert (ended.status, ended.output) == ("completed", b"42"), (ended, launches)
    assert (tmp_path / "first").read_text() == "once\n"
    assert causes.count("killed") == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_second_environment_in_a_folder_is_refused_naming_the_first(
    client: ManagementClient, settings: EnvironmentSettings
) -> None:
    """Two environments never share a spawner."""
    with pytest.raises(StartError, match=r"works in it: stop it, or name another folder"):
        async with EnvironmentRuntime(settings):
            pass

    assert (await client.health()).is_healthy


async def test_the_command_tries_things_out_and_ends_at_a_signal(tmp_path: Path) -> None:
    """`--dev` needs nothing but the command, and SIGTERM ends it with exit code 0."""
    variables = {name: value for name, value in os.environ.items() if "RUNTARA" not in name}
    variables |= {"RUNTARA_ENV_QUIC_PORT": "0", "RUNTARA_CORE_ADDR": "127.0.0.1:0"}
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "runtara_environment", "--dev"),
        cwd=tmp_path,
        env=variables,
        stdout=asyncio.subprocess.PIPE,
    )
    assert command.stdout is not None
    said = (await command.stdout.readuntil(b"RUNTARA_TENANT_ID")).decode()

    command.send_signal(signal.SIGTERM)
    code = await command.wait()

    end_spawner(tmp_path / ".runtara/environment")
    assert f"RUNTARA_TLS_CA={tmp_path}/.runtara/ca.pem" in said
    assert code == 0


def test_trying_out_changes_no_database_that_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--dev` doesn't start, and doesn't leave the named one unused without a word."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNTARA_DATABASE_URL", "sqlite:production.db")

    with pytest.raises(StartError, match="unset it, or leave out --dev"):
        dev.on_own_database(dev.DevSettings())


async def test_settings_that_cannot_be_used_are_a_line_each(tmp_path: Path) -> None:
    """A line names the variable and what it takes, and nothing is opened."""
    variables = {
        "RUNTARA_DATABASE_URL": "sqlite:core.db",
        "RUNTARA_CORE_ADDR": "here",
        "RUNTARA_ENV_CAPACITY": "0",
        "RUNTARA_OCI_RUNTIME": "docker",
    }
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "runtara_environment"),
        cwd=tmp_path,
        env={**os.environ, **variables},
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await command.communicate()

    assert command.returncode == 2
    assert told.decode().splitlines() == [
        "RUNTARA_CORE_ADDR: takes host:port, a port 0 to 65535, got 'here'",
        "RUNTARA_ENV_CAPACITY is '0': it takes a whole number, 1 to 100000",
        "RUNTARA_OCI_RUNTIME: takes runc, crun, the absolute path of a runtime, or process (no"
        " container), got 'docker'",
    ]
    assert os.listdir(tmp_path) == []
