"""Python workflows launched by an environment, with a real core on the same SQLite database."""

import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.environment.conftest import TENANT, Here, zipped

from runtara_domain.model import CustomSignal
from runtara_domain.model.interventions import Stop
from runtara_domain.model.stored_images import Image, RunnerType
from runtara_domain.status import OPEN, State
from runtara_persistence.sqlite.persistence import SqlitePersistence
from runtara_server.config import Settings
from runtara_server.runtime import CoreRuntime

FLOW = """
import argparse
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from runtara_sdk import promise, sleep, step, workflow

LOADED_BY = os.getpid()
LOADED = {"flow", *sys.modules}
PARSERS = []

def noting(make):
    def init(*arguments, **options):
        PARSERS.append("a parser")
        make(*arguments, **options)
    return init

argparse.ArgumentParser.__init__ = noting(argparse.ArgumentParser.__init__)

def needless() -> list[str]:
    found = sorted({*sys.modules} - LOADED) + PARSERS
    usual = ("MainThread", "runtara-life")
    found += [one.name for one in threading.enumerate() if one.name not in usual]
    loops = 0
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            loops += "eventpoll" in os.readlink(f"/proc/self/fd/{number}")
    return found if loops == 1 else [*found, f"{loops} loops"]

@step
async def note(word: str) -> str:
    with open(os.environ["RUNTARA_WORKSPACE_DIR"] + "/notes", "a") as notes:
        notes.write(f"{word} {LOADED_BY != os.getpid()}\\n")
    return word

@workflow
async def run(word: str = "none") -> str:
    await note("first")
    if word == "crash" and not Path(os.environ["RUNTARA_WORKSPACE_DIR"], "crashed").exists():
        Path(os.environ["RUNTARA_WORKSPACE_DIR"], "crashed").touch()
        os.kill(os.getpid(), 9)
    if word == "sleep":
        await sleep(1.5)
    if word == "wait":
        await promise("go", str)
    if word == "hang":
        time.sleep(1000)
    await note("second")
    Path(os.environ["RUNTARA_WORKSPACE_DIR"], "needless").write_text(" ".join(needless()))
    return f"done {word}"
"""


@pytest.fixture
async def core(tmp_path: Path) -> AsyncIterator[Here]:
    """A core and an environment's folder on one database."""
    settings = Settings.model_validate(
        {"database_url": f"sqlite:{tmp_path}/core.db", "quic_host": "127.0.0.1", "quic_port": 0}
    )
    async with (
        CoreRuntime(settings) as runtime,
        SqlitePersistence(str(tmp_path / "core.db")) as persistence,
    ):
        host, port = runtime.address
        here = Here(tmp_path / "data", persistence, f"{host}:{port}")
        yield here
    try:
        os.kill(here.spawner_pid(), signal.SIGKILL)
    except AssertionError:
        return


async def flow(here: Here, **metadata: object) -> Image:
    return await here.image(zipped(flow=FLOW), RunnerType.PYTHON, target="flow:run", **metadata)


def notes(here: Here, instance_id: str) -> list[str]:
    folder = here.placement.folder(TENANT, instance_id, "x").workspace
    return (folder / "notes").read_text().splitlines()


def needless(here: Here, instance_id: str) -> str:
    """Read what its process had that a launch needs not: late imports, threads, loops."""
    folder = here.placement.folder(TENANT, instance_id, "x").workspace
    return (folder / "needless").read_text()


async def test_workflows_are_forked_crash_sleep_wait_and_complete(core: Here) -> None:
    """Each step is done once, whatever ends the process; each death has its cause."""
    async with core.environment():
        image = await flow(core)
        crashes = await core.start(image, given=b'"crash"')
        sleeps = await core.start(image, given=b'"sleep"')
        waits = await core.start(image, given=b'"wait"')
        hangs = await core.start(image, given=b'"hang"')
        os.kill(await core.pid(hangs), signal.SIGSTOP)
        await core.persistence.signals.send_custom(
            waits, CustomSignal("go", b'"now"'), when=OPEN, at=core.launcher.now()
        )
        for instance_id, word in ((crashes, "crash"), (sleeps, "sleep"), (waits, "wait")):
            ended = await core.ended(instance_id)
            assert (ended.state, ended.output) == (State.COMPLETED, f'"done {word}"'.encode())
            assert notes(core, instance_id) == ["first True", "second True"]
            assert needless(core, instance_id) == ""
        stopped = await core.persistence.launches.stop(
            Stop(hangs, timedelta(0), "enough"), at=core.launcher.now()
        )
        core.launcher.stopping(stopped)
        cancelled = await core.ended(hangs)
        first, second = await core.launches(crashes)

    assert (first.cause, first.exit_signal, first.verdict) == ("killed", 9, "crash")
    assert (second.cause, second.exit_code) == ("exited", 0)
    assert (cancelled.state, cancelled.error) == (State.CANCELLED, "enough")


@pytest.mark.long
async def test_an_image_that_starts_threads_is_started_anew(core: Here) -> None:
    """Its processes import it themselves; `warm: false` says so from the beginning."""
    thread = "threading.Thread(target=time.sleep, args=(99,), daemon=True).start()"
    threads = f"import threading, time\n{thread}\n"
    async with core.environment():
        content = zipped(flow=threads + FLOW)
        found_out = await core.image(content, RunnerType.PYTHON, target="flow:run")
        told = await flow(core, warm=False)
        for image in (found_out, told):
            instance_id = await core.start(image)
            assert (await core.ended(instance_id)).state is State.COMPLETED
            assert notes(core, instance_id) == ["first False", "second False"]


@pytest.mark.long
async def test_an_environment_that_is_killed_loses_nothing(core: Here) -> None:
    """Its processes go on; what ends meanwhile is judged by the next one."""
    async with core.environment(leaves_processes=True):
        image = await flow(core)
        sleeps = await core.start(image, given=b'"sleep"')
        waits = await core.start(image, given=b'"wait"')
        await core.pid(sleeps)
        await core.pid(waits)
    await core.persistence.signals.send_custom(
        waits, CustomSignal("go", b'"now"'), when=OPEN, at=core.launcher.now()
    )
    async with core.environment():
        for instance_id in (sleeps, waits):
            assert (await core.ended(instance_id)).state is State.COMPLETED
            assert notes(core, instance_id) == ["first True", "second True"]
            assert len(await core.launches(instance_id)) <= 2
