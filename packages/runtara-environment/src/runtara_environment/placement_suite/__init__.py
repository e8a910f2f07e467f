"""
The contract of a placement as tests: a pytest plugin for packages that bring a placement.

In the top-level `conftest.py`:

    pytest_plugins = ["runtara_environment.placement_suite"]

In a test module:

    from runtara_environment.placement_suite import PlacementContract, Rig

    @pytest_asyncio.fixture(scope="class", loop_scope="class")
    async def rig(tmp_path_factory):
        ...
        async with Rig(persistence, make, folder) as rig:
            yield rig

    class TestMyPlacement(PlacementContract):
        async def lose_engine(self, rig): ...

A placement of several nodes derives from `ClusterContract`, which adds nodes that are lost and
resources that are not free. Needs the extra `runtara-environment[contract]`.
"""

from runtara_environment.placement_suite.cluster import ClusterContract
from runtara_environment.placement_suite.contract import PlacementContract
from runtara_environment.placement_suite.rig import TENANT, Launched, Rig

__all__ = ["TENANT", "ClusterContract", "Launched", "PlacementContract", "Rig"]
