"""Real processes of a local placement: how they end, and what is known of it."""

import asyncio
import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest
from tests.environment.conftest import Here, zipped

from runtara_domain.launching.attention import Patience
from runtara_domain.model.interventions import Stop
from runtara_domain.model.stored_images import RunnerType
from runtara_domain.status import State

WAITS = "echo begun; exec sleep 1000"


async def test_causes_of_real_deaths(here: Here) -> None:
    """A code is exited; a signal is killed; each with what the process wrote."""
    async with here.environment():
        exits = await here.start(await here.shell("echo words >&2; exit 7"))
        dies = await here.start(await here.shell("kill -SEGV $$"))
        first, second = await here.closed(exits), await here.closed(dies)

    assert (first.cause, first.exit_code, first.stderr) == ("exited", 7, "words\n")
    assert (second.cause, second.exit_signal, second.exit_code) == ("killed", 11, None)
    assert first.memory_peak_bytes
    assert first.verdict == second.verdict == "crash"


async def test_a_program_says_by_output_json_how_it_ended(here: Here) -> None:
    """It reads its input, and what it leaves is its instance's result."""
    script = """printf '{"status": "completed", "result": %s}' "$(cat input.json)" > output.json"""
    async with here.environment():
        image = await here.shell(script)
        given = await here.start(image, given=b'{"n": 1}')
        without = await here.start(image)
        await here.closed(given)
        await here.closed(without)

        first, second = await here.instance(given), await here.instance(without)
    assert (first.state, first.output) == (State.COMPLETED, b'{"n": 1}')
    assert (second.state, second.output) == (State.COMPLETED, b"{}")


async def test_an_output_json_that_is_a_link_is_not_followed(here: Here, tmp_path: Path) -> None:
    """A process can't have the environment read another's file."""
    (tmp_path / "secret").write_text('{"status": "completed", "result": "secret"}')
    async with here.environment():
        image = await here.shell(f"ln -s {tmp_path}/secret output.json")
        instance_id = await here.start(image)
        launch = await here.closed(instance_id)

    assert launch.verdict == "crash"


@pytest.mark.parametrize("instance_id", ["../../x", ".", "ü" * 500, "a/b\x01c"])
async def test_folders_of_odd_ids_stay_below_runs(here: Here, instance_id: str) -> None:
    """Whatever an id is, its launch has a folder of its own there."""
    script = 'printf %s "$PWD" > "$RUNTARA_WORKSPACE_DIR/../../../where"; cat "$0" >/dev/null'
    async with here.environment():
        await here.start(await here.shell(script), instance_id)
        await here.closed(instance_id)

    where = Path((here.data_dir / "runs" / "where").read_text())
    assert len(where.relative_to(here.data_dir / "runs").parts) == 3


async def test_a_stopped_process_is_ended(here: Here) -> None:
    """One that ignores SIGTERM is killed a second later."""
    async with here.environment() as launcher:
        image = await here.shell("trap '' TERM; echo begun; while :; do sleep 0.1; done")
        instance_id = await here.start(image)
        await here.pid(instance_id)
        # As if it had registered: a PENDING instance is cancelled at once.
        stopped = await here.persistence.launches.stop(
            Stop(instance_id, timedelta(0), "enough"), at=launcher.now()
        )
        launcher.stopping(stopped)
        launch = await here.closed(instance_id)

    assert launch.cause == "stopped"
    assert (await here.instance(instance_id)).error == "enough"


async def test_a_process_that_hangs_before_it_registers_is_killed(here: Here) -> None:
    """Stopped by SIGSTOP it handles no signal, and is killed all the same."""
    async with here.environment():
        image = await here.shell(WAITS, start_timeout_s=1)
        instance_id = await here.start(image)
        os.kill(await here.pid(instance_id), signal.SIGSTOP)
        launch = await here.closed(instance_id)

    assert launch.cause == "start_timeout"


async def test_a_process_over_its_limit_of_memory_is_known_by_it(here: Here) -> None:
    """The kernel says so, and the environment tells it from another SIGKILL."""
    async with here.environment():
        script = "head -c 200000000 /dev/zero | tail -c 199999999 > /dev/null; exit 1"
        instance_id = await here.start(await here.shell(script, memory_mb=32))
        launch = await here.closed(instance_id)

    assert launch.cause == "out_of_memory"


async def test_processes_outlive_their_environment(here: Here) -> None:
    """The next one goes on with them, and learns how those ended that ended meanwhile."""
    async with here.environment(leaves_processes=True):
        lives = await here.start(await here.shell(WAITS))
        ends = await here.start(await here.shell("sleep 0.2; exit 9"))
        pid = await here.pid(lives)
        await here.pid(ends)
    async with here.environment():
        ended = await here.closed(ends)
        assert (ended.cause, ended.exit_code) == ("exited", 9)
        os.kill(pid, signal.SIGKILL)
        killed = await here.closed(lives)
    assert (killed.cause, killed.exit_signal) == ("killed", 9)


async def test_processes_outlive_their_spawner(here: Here) -> None:
    """The next spawner takes them over; how one ended is then not to be known."""
    async with here.environment():
        instance_id = await here.start(await here.shell(WAITS))
        pid = await here.pid(instance_id)
        before = here.spawner_pid()
        os.kill(before, signal.SIGKILL)

        async def is_replaced() -> bool:
            await asyncio.sleep(0.05)
            try:
                return here.spawner_pid() != before
            except AssertionError:
                return False

        await here.until(is_replaced)
        os.kill(pid, 0)
        os.kill(pid, signal.SIGKILL)
        launch = await here.closed(instance_id)

    assert launch.cause == "unknown"


async def test_processes_outlive_environment_and_spawner(here: Here) -> None:
    """They are found by pid, start time and boot id."""
    async with here.environment(leaves_processes=True):
        lives = await here.start(await here.shell(WAITS))
        ends = await here.start(await here.shell(WAITS))
        pid, other = await here.pid(lives), await here.pid(ends)
        os.kill(here.spawner_pid(), signal.SIGKILL)
    os.kill(other, signal.SIGKILL)
    async with here.environment():
        assert (await here.closed(ends)).cause == "unknown"
        assert (await here.launches(lives))[0].closed_at is None
        os.kill(pid, signal.SIGKILL)
        assert (await here.closed(lives)).cause == "unknown"


async def test_bytes_that_no_machine_runs_block_the_instance(here: Here) -> None:
    """The image shows why; the instance is not crashed again and again."""
    async with here.environment():
        image = await here.image(b"\x00\x01\x02 no program")
        instance_id = await here.start(image)
        launch = await here.closed(instance_id)

        found = await here.persistence.images.get(image.image_id)
    assert found is not None
    assert launch.cause == "refused"
    assert "no program" in (found.problem or "")
    assert (await here.instance(instance_id)).state is State.PAUSED


async def test_a_target_that_can_not_be_imported_blocks_the_instance(here: Here) -> None:
    """The image shows the traceback."""
    async with here.environment():
        content = zipped(flow="import no_such_module")
        image = await here.image(content, RunnerType.PYTHON, target="flow:run")
        instance_id = await here.start(image)
        launch = await here.closed(instance_id)

        found = await here.persistence.images.get(image.image_id)
    assert found is not None
    assert launch.cause == "refused"
    assert "ModuleNotFoundError: No module named 'no_such_module'" in (found.problem or "")
    assert (await here.instance(instance_id)).state is State.PAUSED


async def test_texts_that_no_database_keeps_harm_no_environment(here: Here) -> None:
    """A traceback and an output are kept without NUL and lone surrogates, the last 64 KiB."""
    async with here.environment():
        content = zipped(flow="raise Exception('words' * 99_999 + chr(0) + chr(0xD800))")
        image = await here.image(content, RunnerType.PYTHON, target="flow:run")
        blocked = await here.start(image)
        script = """printf '{"status": "failed", "error": "a\\\\u0000"}' > output.json; exit 1"""
        crashed = await here.start(await here.shell(script))
        assert (await here.closed(blocked)).verdict == "block"
        assert (await here.closed(crashed)).verdict == "crash"

        found = await here.persistence.images.get(image.image_id)
    assert found is not None
    assert (found.problem or "").rstrip().endswith("words��"[:-1] + "?")


async def test_the_end_of_an_environment_ends_its_processes(here: Here) -> None:
    """Processes that ignore SIGTERM are killed after the grace."""
    async with here.environment(shutdown_grace=timedelta(seconds=0.2), patience=Patience()):
        instance_id = await here.start(await here.shell("trap '' TERM; sleep 1000 & wait; wait"))
        pid = await here.pid(instance_id)
    [launch] = await here.launches(instance_id)

    assert (launch.cause, launch.verdict) == ("stopped", "relaunch")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
