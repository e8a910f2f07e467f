"""What a placement of several nodes promises besides, as tests."""

import pytest

from runtara_domain.model.launch_ends import Cause
from runtara_domain.ports.placements import LaunchFailed
from runtara_environment.placement_suite.contract import LIVES, PlacementContract
from runtara_environment.placement_suite.rig import Launched, Rig

FAR_TOO_MUCH_MB = 16 * 1024 * 1024


class ClusterContract(PlacementContract):
    """
    Derive from it as from `PlacementContract`.

    `lose_node` ends the node of a launch without a word, and leaves another one.
    """

    async def lose_node(self, rig: Rig, launched: Launched) -> None:
        """Take the node of a launch away, as a loss of power would; leave, or bring, another."""
        raise NotImplementedError

    async def test_what_no_node_has_free_waits_and_says_why(self, rig: Rig) -> None:
        """The launch is given back, to be tried again, with what it asks for and what there is."""
        image = await rig.image(b"#!/bin/sh\n", memory_mb=FAR_TOO_MUCH_MB)
        # A busy cluster may not answer at first: the launch is given back then, too.
        for _ in range(5):
            with pytest.raises(LaunchFailed) as failed:
                await rig.start(rig.assigned(image))
            assert failed.value.end.cause is Cause.WAITING
            assert failed.value.problem is None
            if f"{FAR_TOO_MUCH_MB} MiB" in failed.value.end.stderr:
                break
        else:
            pytest.fail(failed.value.end.stderr)

    async def test_a_lost_node_loses_its_launches(self, rig: Rig) -> None:
        """Something else than the node tells their ends, and launches go on elsewhere."""
        mark = rig.mark()
        launched = await rig.shell(LIVES.format(mark=mark))
        await rig.until_there(mark)
        await self.lose_node(rig, launched)
        end = await rig.ended(launched)

        assert end.cause in (Cause.ENVIRONMENT_LOST, Cause.RUNNER_FAILED)
        assert end.reason
        assert (await rig.ended(await rig.shell("exit 4"))).exit_code == 4
