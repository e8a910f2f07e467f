"""docs/images-and-launches.md: its program runs, and its tables name all that there is."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.architecture.house import ROOT
from tests.environment.conftest import Here
from tests.support.server_process import environment

from runtara_domain.model.launch_ends import Cause
from runtara_domain.model.stored_images import RunnerType
from runtara_environment.config import EnvironmentSettings
from runtara_environment.images.metadata import KEYS
from runtara_environment.runtime import EnvironmentRuntime
from runtara_persistence.memory import MemoryPersistence

TEXT = (ROOT / "docs/images-and-launches.md").read_text()


def first_cells(heading: str) -> list[str]:
    """Give the first cell of each row of the table below a heading."""
    section = TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


@pytest.mark.parametrize(
    ("heading", "names"), [("Images", RunnerType), ("Metadata", KEYS), ("Causes", Cause)]
)
def test_each_name_has_its_row(heading: str, names: object) -> None:
    """Runners, keys of the metadata, and causes: each once."""
    assert sorted(first_cells(heading)) == sorted(map(str, names))  # type: ignore[call-overload]  # Names of all kinds.


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
    os.kill(Here(tmp_path / "data", MemoryPersistence()).spawner_pid(), signal.SIGKILL)


async def test_the_program_runs(settings: EnvironmentSettings) -> None:
    """It prints the result, the launch, and what the process wrote, its result at the end."""
    [program] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    async with EnvironmentRuntime(settings) as runtime:
        host, port = runtime.address
        variables = {
            "RUNTARA_ENVIRONMENT_ADDR": f"{host}:{port}",
            "RUNTARA_TLS_CA": str(settings.data_dir / "authority/ca.pem"),
        }
        run = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program),
            env=environment(variables),
            stdout=subprocess.PIPE,
        )
        told, _ = await run.communicate()

    assert told.decode().splitlines() == [
        "output b'9' after 1 launch",
        "launch 1 exited 0 nothing",
        "wrote b'pricing apple\\npricing pear\\n9\\n'",
    ]
