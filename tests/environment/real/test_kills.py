"""Sequences of kills and stalls: of an environment, its spawner, and the processes they run."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from tests.environment.real.fleet import TENANT, Fleet
from tests.environment.real.flows import FLOW, PROGRAM, begun, is_stopped, notes
from tests.support.environment_process import OddEnvironment
from tests.support.server_process import environment as variables_with

from runtara_domain.model.interventions import Retry
from runtara_domain.status import State

# An environment's estimate of the database's time is ahead or behind by at most the round trip of
# its last renewal, which takes long on a loaded machine.
CLOCKS_APART_S = 2


@pytest.mark.long
async def test_a_process_that_is_killed_in_a_held_sleep_is_launched_at_its_deadline(
    fleet: Fleet, tmp_path: Path
) -> None:
    """The core wakes the instance, and the environment is notified."""
    await fleet.environment("a").start()
    program = PROGRAM.format(folder=tmp_path, detach=False, seconds=5)
    await fleet.start(await fleet.program(program), "i")
    deadline = await fleet.until_asleep("i")
    os.kill(await fleet.process_of("i"), signal.SIGKILL)
    ended = await fleet.rests("i")

    first, second = await fleet.launches("i")
    assert (ended.state, notes(tmp_path)) == (State.COMPLETED, ["begun", "begun", "woken"])
    assert (first.cause, first.verdict) == ("killed", "nothing")
    late = (second.created_at - deadline).total_seconds()
    assert late > -CLOCKS_APART_S
    sys.stdout.write(f"launched {late:.2f} s after the deadline\n")


@pytest.mark.long
async def test_an_environment_alone_is_killed(fleet: Fleet, tmp_path: Path) -> None:
    """systemd does so with KillMode=process. Its processes go on, and the next one has them."""
    environment = fleet.environment("a")
    await environment.start()
    await fleet.start(await fleet.image(FLOW), "i", {"folder": str(tmp_path), "kind": "wait"})
    await begun(fleet)
    await environment.kill()
    assert len(environment.processes()) == 1
    (tmp_path / "go").touch()
    await environment.start()
    ended = await fleet.rests("i")

    [launch] = await fleet.launches("i")
    assert (ended.state, notes(tmp_path)) == (State.COMPLETED, ["first", "second"])
    assert (launch.cause, launch.exit_code) == ("exited", 0)


@pytest.mark.long
async def test_a_spawner_alone_is_killed(fleet: Fleet, tmp_path: Path) -> None:
    """Its environment starts another, which takes the process over; its code is not to be had."""
    environment = fleet.environment("a")
    await environment.start()
    await fleet.start(await fleet.image(FLOW), "i", {"folder": str(tmp_path), "kind": "wait"})
    await begun(fleet)
    killed = environment.kill_spawner()
    await environment.said("taking over its processes")
    (tmp_path / "go").touch()
    ended = await fleet.rests("i")

    [launch] = await fleet.launches("i")
    assert environment.spawner() not in (None, killed)
    assert (ended.state, notes(tmp_path)) == (State.COMPLETED, ["first", "second"])
    assert (launch.cause, launch.exit_code) == ("unknown", None)


@pytest.mark.long
async def test_a_process_dies_before_it_registers_while_its_instance_is_due(
    fleet: Fleet, tmp_path: Path
) -> None:
    """The instance, still due, is launched again after a back-off."""
    await fleet.environment("a").start()
    program = PROGRAM.format(folder=tmp_path, detach=True, seconds=2)
    await fleet.start(await fleet.program(program), "i")
    ended = await fleet.rests("i")

    first, second, third = await fleet.launches("i")
    assert (ended.state, notes(tmp_path)) == (State.COMPLETED, ["begun", "died", "begun", "woken"])
    assert (first.exit_code, second.exit_signal, third.exit_code) == (75, 9, 0)
    assert (second.run, second.verdict) == (None, "crash")


@pytest.mark.long
async def test_an_environment_stands_still_between_claim_and_fork(
    fleet: Fleet, tmp_path: Path
) -> None:
    """The other one runs the instance; once it goes on, it starts no process for its claim."""
    stall = tmp_path / "stall"
    stalled = fleet.environment("a", OddEnvironment, RUNTARA_LEASE_S="3", ODD_STALL=str(stall))
    other = fleet.environment("b", RUNTARA_LEASE_S="3")
    await stalled.start()
    stall.touch()
    await fleet.start(await fleet.image(FLOW), "i", {"folder": str(tmp_path), "kind": "go"})

    async def stands_still() -> bool:
        return is_stopped(stalled.process.pid)

    await fleet.until(stands_still)
    await other.start()
    ended = await fleet.rests("i")
    stalled.process.send_signal(signal.SIGCONT)
    await stalled.said("the environment's lease had expired")

    first, second = await fleet.launches("i")
    assert (ended.state, notes(tmp_path)) == (State.COMPLETED, ["first", "second"])
    assert (first.cause, first.started_at, first.run) == ("environment_lost", None, None)
    assert (second.environment_id, second.cause) == (other.environment_id, "exited")
    assert await stalled.terminate() == 0
    assert stalled.processes() == []


@pytest.mark.long
async def test_an_environment_stands_still_for_longer_than_its_lease(
    fleet: Fleet, tmp_path: Path
) -> None:
    """The other one runs its instances; once it goes on, it finds that out and ends its own."""
    stalled = fleet.environment("a", RUNTARA_LEASE_S="3")
    other = fleet.environment("b", RUNTARA_LEASE_S="3")
    await stalled.start()
    await fleet.start(await fleet.image(FLOW), "i", {"folder": str(tmp_path), "kind": "wait"})
    await begun(fleet)
    old = await fleet.process_of("i")
    for pid in (stalled.process.pid, old):
        os.kill(pid, signal.SIGSTOP)
    await other.start()

    async def is_taken_over() -> bool:
        launches = await fleet.launches("i")
        return len(launches) == 2 and launches[1].started_at is not None

    await fleet.until(is_taken_over)
    for pid in (stalled.process.pid, old):
        os.kill(pid, signal.SIGCONT)

    async def is_ended() -> bool:
        return stalled.processes() == []

    await fleet.until(is_ended)
    (tmp_path / "go").touch()
    ended = await fleet.rests("i")

    first, second = await fleet.launches("i")
    assert (ended.state, notes(tmp_path)) == (State.COMPLETED, ["first", "second"])
    assert (first.cause, second.cause) == ("environment_lost", "exited")
    assert second.environment_id == other.environment_id


@pytest.mark.long
async def test_a_verdict_comes_after_a_run_by_hand(fleet: Fleet, tmp_path: Path) -> None:
    """It changes nothing: the instance was another's, and has ended."""
    environment = fleet.environment("a")
    await environment.start()
    await fleet.start(await fleet.image(FLOW), "i", {"folder": str(tmp_path), "kind": "wait"})
    await begun(fleet)
    old = await fleet.process_of("i")
    environment.process.send_signal(signal.SIGSTOP)
    os.kill(old, signal.SIGKILL)
    (tmp_path / "go").touch()
    (tmp_path / "flow.py").write_text(FLOW)
    by_hand = {
        "RUNTARA_INSTANCE_ID": "i",
        "RUNTARA_TENANT_ID": TENANT,
        "RUNTARA_SERVER_ADDR": f"127.0.0.1:{fleet.core.port}",
        "RUNTARA_SKIP_CERT_VERIFICATION": "true",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "runtara_sdk", "run", "flow:run"),
        cwd=tmp_path,
        env=variables_with(by_hand, is_measured=False),
    )
    assert await process.wait() == 0
    environment.process.send_signal(signal.SIGCONT)
    [launch] = await fleet.launches("i")
    await environment.said(f"launch {launch.launch_id} ended: killed")
    ended = await fleet.rests("i")

    [launch] = await fleet.launches("i")
    assert (ended.state, notes(tmp_path)) == (State.COMPLETED, ["first", "second"])
    assert await fleet.endings("i") == {"completed": 1}
    assert (launch.cause, launch.verdict) == ("superseded", None)


async def test_an_instance_is_reopened_while_its_old_process_lives(
    fleet: Fleet, tmp_path: Path
) -> None:
    """The old process is killed first; the steps that were recorded are not done again."""
    environment = fleet.environment("a")
    await environment.start()
    await fleet.start(await fleet.image(FLOW), "i", {"folder": str(tmp_path), "kind": "wait"})
    await begun(fleet)
    old = await fleet.process_of("i")
    os.kill(old, signal.SIGSTOP)
    (tmp_path / "go").touch()
    await fleet.persistence.launches.retry(Retry(instance_id="i"), at=fleet.clock.now())
    ended = await fleet.rests("i")

    first, second = await fleet.launches("i")
    assert (ended.state, notes(tmp_path)) == (State.COMPLETED, ["first", "second"])
    assert (first.cause, second.cause) == ("superseded", "exited")
    assert environment.processes() == []
