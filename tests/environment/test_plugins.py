"""Runners and placements of other packages, found by their entry points."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.environment.conftest import Here

from runtara_environment.config import EnvironmentSettings
from runtara_environment.runtime import EnvironmentRuntime, StartError
from runtara_management_sdk import ManagementClient, ManagementSettings, Runner
from runtara_persistence.memory import MemoryPersistence

TINY = '''
from contextlib import asynccontextmanager

from runtara_domain.model.launch_ends import Cause, LaunchEnd, OutputStatus, ProcessOutput
from runtara_environment.runners.port import ProcessSpec
from runtara_environment.runners.process import ProcessRunner


class Wasm(ProcessRunner):
    """Runs WASM images: here they are shell scripts without their first line."""

    def spec(self, image, folders, env, *, warm):
        spec = super().spec(image, folders, env, warm=warm)
        return ProcessSpec(argv=["/bin/sh", *spec.argv], env=spec.env, cwd=spec.cwd)


class Elsewhere:
    """A place that does all at once."""

    def __init__(self, setup):
        self.name = setup.environment_id

    def can_run(self, image):
        return True

    def sends_launch_id(self, image):
        return False

    @asynccontextmanager
    async def watch(self, ended):
        self.ended = ended
        yield

    async def launch(self, assignment, given, *, may_start):
        output = ProcessOutput(OutputStatus.COMPLETED, result=b'"elsewhere"')
        end = LaunchEnd(cause=Cause.EXITED, reports=False, exit_code=0, output=output)
        self.ended(assignment.launch_id, end)
        return "handle"

    async def send(self, launch_id, signal):
        raise AssertionError("nothing lives here")

    async def take_up(self, launches):
        assert not launches

    async def confirm(self, launch_id):
        return None
'''


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that brings a runner and a placement; gives its entry points' file."""
    site = tmp_path / "site"
    metadata = site / "tiny-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "tiny.py").write_text(TINY)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
    points = metadata / "entry_points.txt"
    points.write_text(
        "[runtara.runners]\nwasm = tiny:Wasm\n[runtara.placements]\nelsewhere = tiny:Elsewhere\n"
    )
    monkeypatch.syspath_prepend(str(site))
    return points


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EnvironmentSettings]:
    for name in [name for name in os.environ if name.startswith("RUNTARA_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    yield EnvironmentSettings(
        database_url=f"sqlite:{tmp_path}/core.db",
        data_dir=tmp_path / "data",
        env_quic_port=0,
        core_addr="127.0.0.1:0",
        embed_core=True,
        shutdown_grace_ms=1000,
    )
    try:
        os.kill(Here(tmp_path / "data", MemoryPersistence()).spawner_pid(), signal.SIGKILL)
    except AssertionError:
        return


async def test_a_package_brings_a_runner_and_a_placement(
    tiny: Path, settings: EnvironmentSettings
) -> None:
    """Images are registered for them, and run by them, as for ours."""
    script = b"""printf '{"status": "completed", "result": "wasm"}' > output.json"""
    async with EnvironmentRuntime(settings) as runtime:
        host, port = runtime.address
        told = ManagementSettings(
            environment_addr=f"{host}:{port}", tls_ca=settings.data_dir / "authority/ca.pem"
        )
        async with ManagementClient(told) as client:
            outputs = []
            for runner, metadata in (
                (Runner.WASM, {}),
                (Runner.NATIVE, {"placement": "elsewhere"}),
            ):
                image = await client.images.register("t", "i", script, runner, metadata=metadata)
                started = await client.instances.start("t", image_id=image.image_id)
                outputs.append((await client.instances.wait(started.instance_id)).output)

    assert outputs == [b'"wasm"', b'"elsewhere"']


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ("[runtara.runners]\nwasm = tiny:Missing\n", "'wasm' of runtara.runners"),
        ("[runtara.placements]\nfar = tiny:TINY\n", "'far' of runtara.placements"),
        ("[runtara.placements]\nlocal = tiny:Elsewhere\n", "this name is taken"),
    ],
)
def test_a_broken_package_is_named(
    tiny: Path, settings: EnvironmentSettings, points: str, said: str
) -> None:
    """The environment doesn't start without what it was given."""
    tiny.write_text(points)

    async def run() -> None:
        async with EnvironmentRuntime(settings):
            pass

    with pytest.raises(StartError, match="repair its package, or uninstall it") as refused:
        asyncio.run(run())

    assert said in str(refused.value)
