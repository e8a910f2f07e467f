"""The further promises of a placement with several nodes, as tests."""

import asyncio
from datetime import timedelta

import pytest

from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.ports.placements import KeepsLogs, LaunchFailed, LogPiece
from runtara_environment.placement_suite.contract import LIVES, PlacementContract
from runtara_environment.placement_suite.rig import TENANT, Launched, Rig

FAR_TOO_MUCH_MB = 16 * 1024 * 1024
MANY_NODES = 16
"""More than a cluster under test has."""


class ClusterContract(PlacementContract):
    """
    Derive from it as from `PlacementContract`.

    `lose_node` kills the node of a launch, and leaves another node. node_cpus: the CPUs of each
    node; there are a few nodes.
    """

    node_cpus = 1

    async def lose_node(self, rig: Rig, launched: Launched) -> None:
        """Take the node of a launch away, as a loss of power would; leave, or bring, another."""
        raise NotImplementedError

    async def test_what_no_node_has_free_waits_and_says_why(self, rig: Rig) -> None:
        """The launch is given back to be tried again, with the requested and the free resources."""
        image = await rig.image(b"#!/bin/sh\n", memory_mb=FAR_TOO_MUCH_MB)
        # A busy cluster may not answer at first: then the launch is given back, too.
        for _ in range(5):
            with pytest.raises(LaunchFailed) as failed:
                await rig.start(rig.assigned(image))
            assert failed.value.end.cause is Cause.WAITING
            assert failed.value.problem is None
            if f"{FAR_TOO_MUCH_MB} MiB" in failed.value.end.stderr:
                break
        else:
            pytest.fail(failed.value.end.stderr)

    async def test_output_is_read_while_its_process_runs(self, rig: Rig) -> None:
        """Wherever that is; and from any byte on."""
        mark = rig.mark()
        launched = await rig.shell(f"echo one; echo two >&2; echo up > {mark}; exec sleep 1000")
        await rig.until_there(mark)
        assert isinstance(rig.placement, KeepsLogs)
        ids = (TENANT, launched.assignment.instance_id, launched.launch_id)
        async with asyncio.timeout(rig.patience):
            while (whole := await rig.placement.read_log(*ids, 0, 100)) is None or whole.end < 8:  # noqa: ASYNC110  # It tells nothing.
                await asyncio.sleep(0.05)
        part = await rig.placement.read_log(*ids, 4, 2)
        nothing = await rig.placement.read_log(TENANT, "no instance", "no launch", 0, 100)
        await rig.killed(launched)

        assert (whole, part) == (LogPiece(b"one\ntwo\n", 8, 8), LogPiece(b"tw", 6, 8))
        assert nothing is None

    async def test_freed_room_is_used_at_once(self, rig: Rig) -> None:
        """An instance that waits for room is launchable as soon as a launch has ended."""
        launches: list[Launched] = []
        end = None
        while end is None:
            assert len(launches) < MANY_NODES, "what no node has free was launched"
            launched, end = await self._launched_or_waiting(rig)
            launches.append(launched)
        waiting = launches.pop().assignment.instance_id
        assert end.cause is Cause.WAITING
        before = await rig.claimed()
        for launched in launches:
            await rig.killed(launched)
        after = await self._claimed(rig)
        await rig.killed(await rig.start(after[0]))

        assert before == []
        assert [one.assignment.instance_id for one in after] == [waiting]

    async def _launched_or_waiting(self, rig: Rig) -> tuple[Launched, LaunchEnd | None]:
        """Launch a process that takes a node's CPUs; return its end if no node has them free."""
        mark = rig.mark()
        script = f"#!/bin/sh\necho up > {mark}; exec sleep 1000\n"
        await rig.instance(await rig.image(script.encode(), cpus=self.node_cpus))
        [launched] = await rig.claimed()
        try:
            await rig.start(launched)
        except LaunchFailed as failed:
            end = failed.end
        else:
            async with asyncio.timeout(rig.patience):
                while not (mark.exists() or launched.launch_id in rig.ends):  # noqa: ASYNC110  # It tells nothing.
                    await asyncio.sleep(0.05)
            if mark.exists():
                return launched, None
            end = rig.ends[launched.launch_id]
        await rig.closed(launched, end, backoff=timedelta(hours=1))
        await rig.placement.confirm(launched.launch_id)
        return launched, end

    async def _claimed(self, rig: Rig) -> list[Launched]:
        async with asyncio.timeout(rig.patience):
            while not (found := await rig.claimed()):  # noqa: ASYNC110  # It tells nothing.
                await asyncio.sleep(0.05)
        return found

    async def test_a_lost_node_loses_its_launches(self, rig: Rig) -> None:
        """The ends are reported without the node, and launches go on elsewhere."""
        mark = rig.mark()
        launched = await rig.shell(LIVES.format(mark=mark))
        await rig.until_there(mark)
        await self.lose_node(rig, launched)
        end = await rig.ended(launched)

        assert end.cause in (Cause.ENVIRONMENT_LOST, Cause.RUNNER_FAILED)
        assert end.reason
        assert (await rig.ended(await rig.shell("exit 4"))).exit_code == 4
