"""The promises of every placement, as tests."""

import asyncio
import io
import json
import zipfile

import pytest

from runtara_domain.launching.verdicts import REFUSES
from runtara_domain.model.launch_ends import Cause, LaunchEnd, OutputStatus
from runtara_domain.model.stored_images import Image, RunnerType
from runtara_domain.ports.placements import LaunchFailed, StopSignal
from runtara_domain.status import State
from runtara_environment.placement_suite.rig import TENANT, Launched, Rig

LOCKS = 'exec 9>"{mark}"; flock 9; echo locked >&9; '
"""A process, and all that it starts, keeps a lock until its end."""
LIVES = LOCKS + "while :; do sleep 0.1; done"


_TWINS = """
import asyncio, os, pathlib
from runtara_sdk import step, workflow

@step
async def wait(folder: str) -> str:
    mark = pathlib.Path(folder, os.environ["RUNTARA_LAUNCH_ID"])
    mark.write_text("begun")
    while not mark.with_suffix(".go").exists():
        await asyncio.sleep(0.02)
    return mark.name

@workflow
async def run(folder: str) -> str:
    return await wait(folder)
"""


def _twins() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("twins.py", _TWINS)
    return made.getvalue()


@pytest.mark.asyncio(loop_scope="class")
class PlacementContract:
    """
    Derive from it, and provide a fixture `rig` of class scope with the loop scope `class`.

    `lose_engine` kills the owner of the placement's processes: a spawner, or an engine's head.
    """

    async def lose_engine(self, rig: Rig) -> None:
        """Kill the engine that the processes belong to, as a crash would; bring it back."""
        raise NotImplementedError

    # How launches end

    async def test_exit_codes_and_output(self, rig: Rig) -> None:
        """The end has the exit code, the end of the output, and the used resources."""
        fails = await rig.shell("echo words; echo more >&2; exit 7")
        ends = await rig.shell("exit 0")

        end, other = await rig.ended(fails), await rig.ended(ends)

        assert (end.cause, end.exit_code, end.signal) == (Cause.EXITED, 7, None)
        assert sorted(end.stderr.splitlines()) == ["more", "words"]
        assert (other.cause, other.exit_code, other.stderr) == (Cause.EXITED, 0, "")

    async def test_a_signal_of_its_own(self, rig: Rig) -> None:
        """The end of a process that a signal ended names the signal, and no exit code."""
        end = await rig.ended(await rig.shell("kill -SEGV $$"))

        assert (end.cause, end.exit_code, end.signal) == (Cause.KILLED, None, 11)

    async def test_input_and_output_json(self, rig: Rig) -> None:
        """A process finds its input, and its end has its output."""
        script = (
            """printf '{"status": "completed", "result": %s}' "$(cat input.json)" > output.json"""
        )
        with_input = await rig.shell(script, given=b'{"n": 1}')
        without = await rig.shell(script)

        for launched, result in ((with_input, {"n": 1}), (without, {})):
            output = (await rig.ended(launched)).output
            assert output is not None
            assert output.status is OutputStatus.COMPLETED
            assert json.loads(output.result or b"null") == result

    async def test_a_process_knows_its_launch(self, rig: Rig) -> None:
        """By its id the core tells the current launch from an old process of the instance."""
        mark = rig.mark()
        launched = await rig.shell(f'env > "{mark}.new"; mv "{mark}.new" "{mark}"')
        await rig.ended(launched)

        lines = (await rig.until_there(mark)).splitlines()
        found = dict(line.partition("=")[::2] for line in lines)
        assert found["RUNTARA_LAUNCH_ID"] == launched.launch_id
        assert found["RUNTARA_INSTANCE_ID"] == launched.assignment.instance_id
        assert found["RUNTARA_TENANT_ID"] == TENANT
        assert "RUNTARA_SERVER_ADDR" in found
        assert "RUNTARA_DATABASE_URL" not in found

    @pytest.mark.parametrize("instance_id", ["../../x", "ü" * 500, "a/b\x01 c'\"$(x)"])
    async def test_any_id_is_an_id(self, rig: Rig, instance_id: str) -> None:
        """Ids are quoted wherever they go."""
        image = await rig.image(b'#!/bin/sh\nprintf %s "$RUNTARA_INSTANCE_ID"\n')
        launched = await rig.start(rig.assigned(image, instance_id))

        assert (await rig.ended(launched)).stderr == instance_id

    async def test_a_limit_of_memory(self, rig: Rig) -> None:
        """A process that goes over its image's limit is ended, and known by it."""
        script = "head -c 200000000 /dev/zero | tail -c 199999999 > /dev/null; exit 1"
        end = await rig.ended(await rig.shell(script, memory_mb=32))

        assert end.cause is Cause.OUT_OF_MEMORY

    # Signals

    async def test_sigterm_can_be_heard(self, rig: Rig) -> None:
        """A process that is asked to leave chooses its exit code."""
        mark = rig.mark()
        script = f"trap 'exit 9' TERM; echo ready > {mark}; while :; do sleep 0.05; done"
        launched = await rig.shell(script)
        await rig.until_there(mark)
        await rig.placement.send(launched.launch_id, StopSignal.TERMINATE)
        end = await rig.ended(launched)

        assert (end.cause, end.exit_code) == (Cause.EXITED, 9)

    async def test_a_kill_ends_all_its_processes(self, rig: Rig) -> None:
        """Also those that ignore SIGTERM and have a session of their own."""
        mark = rig.mark()
        locks = LOCKS.format(mark=mark)
        launched = await rig.shell(f"trap '' TERM; {locks} setsid sleep 1000 & wait")
        await rig.until_there(mark)
        await rig.placement.send(launched.launch_id, StopSignal.KILL)
        end = await rig.ended(launched)

        assert (end.cause, end.signal) == (Cause.KILLED, 9)
        await rig.until_unlocked(mark)

    async def test_a_signal_to_no_process_does_nothing(self, rig: Rig) -> None:
        """A signal to an unknown process, or to one that has ended, does nothing."""
        launched = await rig.shell("exit 3")
        await rig.end_of(launched)
        await rig.placement.send("no such launch", StopSignal.KILL)
        await rig.placement.send(launched.launch_id, StopSignal.KILL)

        assert (await rig.ended(launched)).exit_code == 3

    # Starting

    async def test_one_launch_has_one_process(self, rig: Rig) -> None:
        """However often it is asked for."""
        mark = rig.mark()
        image = await rig.image(f"#!/bin/sh\necho begun >> {mark}; exec sleep 1000\n".encode())
        launched = rig.assigned(image)
        await asyncio.gather(rig.start(launched), rig.start(launched))
        await rig.start(launched)
        await rig.until_there(mark)
        await rig.killed(launched)

        assert mark.read_text() == "begun\n"

    async def test_a_lease_that_is_over_starts_nothing(self, rig: Rig) -> None:
        """It is asked right before a process is started."""
        mark = rig.mark()
        launched = rig.assigned(await rig.image(f"#!/bin/sh\necho begun > {mark}\n".encode()))
        with pytest.raises(LaunchFailed):
            await rig.placement.launch(launched.assignment, None, may_start=lambda: False)
        await rig.ended(await rig.start(rig.assigned(await rig.image(b"#!/bin/sh\n"))))

        assert not mark.exists()

    async def test_what_no_machine_runs_says_so(self, rig: Rig) -> None:
        """Its instances are blocked, and not tried for ever."""
        program = await rig.image(b"\x00\x01\x02 no program")
        flow = await rig.image(b"PK\x05\x06" + b"\0" * 18, RunnerType.PYTHON, target="gone:run")
        for image in (program, flow):
            launched = rig.assigned(image)
            try:
                await rig.start(launched)
            except LaunchFailed as failed:
                end, problem = failed.end, failed.problem
            else:
                end, problem = await rig.ended(launched), "reported with its end"
            assert problem
            # A process that was started reports that, by an exit code of our SDK.
            assert end.cause is Cause.REFUSED or (end.reports and end.exit_code in REFUSES)

    async def test_what_it_can_run_never_changes(self, rig: Rig) -> None:
        """It is asked inside the step of a claim."""
        image: Image = await rig.image(b"#!/bin/sh\n")
        wasm = await rig.image(b"\0asm", RunnerType.WASM)

        assert rig.placement.can_run(image)
        assert not rig.placement.can_run(wasm)

    # Twins

    async def test_twins_are_fenced_by_their_runs(self, rig: Rig) -> None:
        """
        When an instance is launched again while its first process lives, that one writes nothing.

        Each twin is a process of its own; the core distinguishes them by their launch ids.
        """
        image = await rig.image(_twins(), RunnerType.PYTHON, target="twins:run")
        instance_id = await rig.instance(image, json.dumps(str(rig.folder)).encode())
        twins: list[Launched] = []
        for _ in range(2):
            [launched] = await rig.claimed()
            twins.append(await rig.start(launched))
            await rig.until_there(rig.folder / launched.launch_id)
            if len(twins) == 1:
                await rig.closed(launched, LaunchEnd(cause=Cause.ENVIRONMENT_LOST, reports=True))
        older, newer = twins
        before = await rig.persistence.instances.get(instance_id)
        (rig.folder / f"{older.launch_id}.go").touch()
        await rig.ended(older)
        between = await rig.persistence.instances.get(instance_id)
        (rig.folder / f"{newer.launch_id}.go").touch()
        end = await rig.ended(newer)
        found = await rig.persistence.instances.get(instance_id)

        assert before is not None
        assert between is not None
        assert found is not None
        assert between.state is State.RUNNING
        assert between.checkpoint_id == before.checkpoint_id
        assert (end.cause, end.exit_code) == (Cause.EXITED, 0)
        assert found.state is State.COMPLETED
        assert json.loads(found.output or b"null") == newer.launch_id

    # After the environment's death

    async def test_processes_are_found_again(self, rig: Rig) -> None:
        """The next environment gets the ends of processes, also of those that ended meanwhile."""
        go, mark = rig.mark(), rig.mark()
        script = f"echo up > {mark}; while [ ! -e {go} ]; do sleep 0.05; done; echo end >&2; exit 5"
        lives = await rig.shell(script)
        ends = await rig.shell("echo over >&2; exit 6")
        await rig.until_there(mark)
        await rig.end_of(ends)

        await rig.reopen([lives, ends])

        end = await rig.ended(ends)
        assert (end.cause, end.exit_code, end.stderr) == (Cause.EXITED, 6, "over\n")
        assert lives.launch_id not in rig.ends
        go.touch()
        end = await rig.ended(lives)
        assert (end.cause, end.exit_code, end.stderr) == (Cause.EXITED, 5, "end\n")

    async def test_what_was_confirmed_is_forgotten(self, rig: Rig) -> None:
        """An end is reported again until it is confirmed, and not after that."""
        kept, confirmed = await rig.shell("exit 1"), await rig.shell("exit 2")
        await rig.end_of(kept)
        await rig.ended(confirmed)

        await rig.reopen([kept])
        await rig.ended(kept)
        await rig.ended(await rig.shell("exit 3"))

        assert confirmed.launch_id not in rig.ends

    async def test_launches_and_processes_that_have_lost_each_other(self, rig: Rig) -> None:
        """A process is ended whose launch was closed meanwhile; a launch without one ends."""
        mark = rig.mark()
        await rig.shell(LIVES.format(mark=mark))
        await rig.until_there(mark)
        never = rig.assigned(await rig.image(b"#!/bin/sh\n"))

        await rig.reopen([never])

        await rig.until_unlocked(mark)
        end = await rig.ended(never)
        assert end.exit_code is None
        assert end.cause in (Cause.RUNNER_FAILED, Cause.ENVIRONMENT_LOST, Cause.UNKNOWN)

    # After the engine's death

    async def test_a_lost_engine_loses_no_launch(self, rig: Rig) -> None:
        """Running processes can still be killed, their ends are reported, and launches go on."""
        mark = rig.mark()
        launched = await rig.shell(LIVES.format(mark=mark))
        await rig.until_there(mark)
        await self.lose_engine(rig)
        await rig.killed(launched)
        await rig.until_unlocked(mark)

        assert (await rig.ended(await rig.shell("exit 4"))).exit_code == 4
