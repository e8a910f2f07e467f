"""OCI images in containers of a real runc: what they see, how they end, how they are found."""

import asyncio
import os
import signal
import socket
from datetime import timedelta
from pathlib import Path

import pytest
from tests.environment.conftest import TENANT, Here

from runtara_domain.model.interventions import Stop
from runtara_domain.model.stored_images import Image, RunnerType
from runtara_domain.model.stored_launches import Launch
from runtara_domain.status import State
from runtara_environment.placements.local import LocalPlacement, LocalSettings

CONTROLLERS = Path("/sys/fs/cgroup")
NO_TIME = timedelta(seconds=0.1)


@pytest.fixture
def contained(here: Here) -> Here:
    """An environment's folder; its OCI images run in containers."""
    here.oci_runtime = "runc"
    return here


async def script(here: Here, text: str, **metadata: object) -> Image:
    return await here.image(f"#!/bin/sh\n{text}\n".encode(), RunnerType.OCI, **metadata)


async def is_cleared(here: Here, launch: Launch) -> None:
    """Wait until nothing of a launch's container is left: no state, no control group."""

    folder = here.data_dir / "containers" / launch.launch_id

    async def is_so() -> bool:
        return not (folder.exists() or left_groups(launch))

    await here.until(is_so)


def left_groups(launch: Launch) -> list[Path]:
    return list(CONTROLLERS.glob(f"*/runtara/{launch.launch_id}"))


async def test_a_container_shows_a_program_little(contained: Here) -> None:
    """Its own folder at /data, the workspace, no capability; the rest can't be written."""
    text = """
        grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status
        for place in / /usr /etc /program /proc/sys; do test -w $place && echo "$place"; done
        touch /no 2>/dev/null && echo "the root can be written"
        echo kept > "$RUNTARA_WORKSPACE_DIR/kept" && echo x > /tmp/x && echo x > /data/x
        ls /root /home /var /sys /proc/1/root/etc/shadow 2>/dev/null
        printf '{"status": "completed", "result": "%s %s %s"}' "$$" "$PWD" "$HOME" > output.json
    """
    async with contained.environment():
        instance_id = await contained.start(await script(contained, text))
        launch = await contained.closed(instance_id)
        ended = await contained.instance(instance_id)
        await is_cleared(contained, launch)

    folder = contained.placement.folder(TENANT, instance_id, launch.launch_id)
    assert (ended.state, ended.output) == (State.COMPLETED, b'"1 /data /data"')
    assert (launch.stderr or "").split() == [
        *("CapEff:", "0" * 16, "CapBnd:", "0" * 16, "NoNewPrivs:", "1")
    ]
    assert (folder.workspace / "kept").read_text() == "kept\n"


async def test_causes_of_deaths_in_containers(contained: Here) -> None:
    """A code, a signal, the limit of memory: as of any other process, with what they used."""
    hungry = "head -c 200000000 /dev/zero | tail -c 199999999 > /dev/null; exit 1"
    async with contained.environment(shutdown_grace=NO_TIME):
        exits = await contained.start(await script(contained, "echo words >&2; exit 7"))
        dies = await contained.start(await script(contained, "exec sleep 1000"))
        starves = await contained.start(await script(contained, hungry, memory_mb=32))
        os.kill(await contained.pid(dies), signal.SIGKILL)
        first, second, third = [
            await contained.closed(instance_id) for instance_id in (exits, dies, starves)
        ]
        for launch in (first, second, third):
            await is_cleared(contained, launch)

    assert (first.cause, first.exit_code, first.stderr) == ("exited", 7, "words\n")
    assert (second.cause, second.exit_signal) == ("killed", 9)
    assert third.cause == "out_of_memory"
    assert third.memory_peak_bytes == 32 << 20
    assert first.cpu_usage_usec


async def test_a_container_is_stopped_with_all_its_processes(contained: Here) -> None:
    """The first process of a container gets no SIGTERM that it doesn't handle: it is killed."""
    async with contained.environment() as launcher:
        image = await script(contained, "sleep 1000 & echo $! > /data/other; wait")
        instance_id = await contained.start(image)
        pid = await contained.pid(instance_id)
        stopped = await contained.persistence.launches.stop(
            Stop(instance_id, timedelta(0), "enough"), at=launcher.now()
        )
        launcher.stopping(stopped)
        launch = await contained.closed(instance_id)
        await is_cleared(contained, launch)

    assert launch.cause == "stopped"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_container_is_found_again(contained: Here) -> None:
    """The next environment gets its exit code; the next spawner finds it without one."""
    text = "while ! test -e /data/go; do sleep 0.05; done; exit 9"
    async with contained.environment(leaves_processes=True):
        image = await script(contained, text)
        one, other = await contained.start(image), await contained.start(image)
        await contained.pid(one)
        await contained.pid(other)
    async with contained.environment(leaves_processes=True):
        (await folder_of(contained, one) / "go").touch()
        ended = await contained.closed(one)
        os.kill(contained.spawner_pid(), signal.SIGKILL)
    async with contained.environment(shutdown_grace=NO_TIME):
        assert (await contained.launches(other))[0].closed_at is None
        (await folder_of(contained, other) / "go").touch()
        unknown = await contained.closed(other)
        await is_cleared(contained, unknown)

    assert (ended.cause, ended.exit_code) == ("exited", 9)
    assert unknown.cause == "unknown"


async def folder_of(here: Here, instance_id: str) -> Path:
    [launch] = await here.launches(instance_id)
    return here.placement.folder(TENANT, instance_id, launch.launch_id).path


async def test_its_network_is_the_machine_s(contained: Here) -> None:
    """A core on 127.0.0.1 is reached; names are resolved as outside."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(60)
        port = listening.getsockname()[1]
        text = f"#!/bin/bash\ngetent hosts localhost > /dev/udp/127.0.0.1/{port}\n"
        async with contained.environment():
            image = await contained.image(text.encode(), RunnerType.OCI)
            instance_id = await contained.start(image)
            await contained.closed(instance_id)
            heard = await asyncio.to_thread(listening.recv, 100)
    assert b"localhost" in heard


async def test_bytes_that_are_no_program_block_the_instance(contained: Here) -> None:
    """They are refused before a container is made, and the image shows why."""
    async with contained.environment():
        image = await contained.image(b"\x00\x01\x02 no program", RunnerType.OCI)
        instance_id = await contained.start(image)
        launch = await contained.closed(instance_id)
        found = await contained.persistence.images.get(image.image_id)

    assert found is not None
    assert launch.cause == "refused"
    assert "neither ELF" in (found.problem or "")
    assert (await contained.instance(instance_id)).state is State.PAUSED


async def test_a_runtime_that_fails_is_tried_again(here: Here, tmp_path: Path) -> None:
    """It isn't the instance's fault, so nothing is counted; the launch says what was wrong."""
    runtime = tmp_path / "runtime"
    runtime.write_text(FAILING_RUNTIME)
    runtime.chmod(0o755)
    here.oci_runtime = str(runtime)
    async with here.environment(shutdown_grace=NO_TIME):
        instance_id = await here.start(await script(here, "exit 0"))
        launch = await here.closed(instance_id)

    assert (launch.cause, launch.verdict) == ("runner_failed", "relaunch")
    assert "no room for it" in (launch.stderr or "")


FAILING_RUNTIME = """#!/bin/sh
test "$6" = json && echo '{"level": "error", "msg": "no room for it"}' > "$4" && exit 1
"""


async def test_without_a_runtime_images_can_not_be_run(here: Here) -> None:
    """The reason names what to do."""
    image = await script(here, "exit 0")
    placement = LocalPlacement(here.persistence.images, {}, LocalSettings(data_dir=here.data_dir))

    assert not placement.can_run(image)
    assert "install runc" in (placement.obstacle(image) or "")
