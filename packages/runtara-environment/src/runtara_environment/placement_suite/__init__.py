"""
The contract of a placement as tests: a pytest plugin for packages that bring a placement.

In the top-level `conftest.py`:

    pytest_plugins = ["runtara_environment.placement_suite"]

In a test module:

    from runtara_environment.placement_suite import PlacementContract, Rig, running_core

    @pytest_asyncio.fixture(scope="class", loop_scope="class")
    async def rig(tmp_path_factory):
        folder = tmp_path_factory.mktemp("mine")
        async with running_core(f"sqlite:{folder}/core.db") as core:

            def make():
                # Its processes are to find core.address, and not to verify the certificate.
                return MyPlacement(core.persistence, core.address)

            async with Rig(core.persistence, make, folder, placement_name="mine") as rig:
                yield rig

    class TestMyPlacement(PlacementContract):
        async def lose_engine(self, rig): ...

A placement of several nodes derives from `ClusterContract`, which adds nodes that are lost,
resources that are not free, and output that is read from afar.

Needs the extra `runtara-environment[contract]`.
"""

from runtara_environment.placement_suite.cluster import ClusterContract
from runtara_environment.placement_suite.contract import PlacementContract
from runtara_environment.placement_suite.core import Core, running_core
from runtara_environment.placement_suite.rig import TENANT, Launched, Rig

__all__ = [
    "TENANT",
    "ClusterContract",
    "Core",
    "Launched",
    "PlacementContract",
    "Rig",
    "running_core",
]
