"""The client for code without a loop: the async one, waited for."""

import asyncio
import gc
import inspect

import pytest
from tests.environment.management.conftest import Port

from runtara_management_sdk import (
    InstanceFilter,
    Runner,
    Status,
    client,
    images,
    instances,
    launches,
    operations,
    schedules,
    sync,
    workers,
)
from runtara_sdk.errors import ClientNotOpen, InstanceNotFound

MANY = 120
"""More than a page."""


async def test_it_does_what_the_async_one_does(port: Port) -> None:
    """Results, pages, errors and callbacks come to the thread that called."""
    sent: list[int] = []

    def work() -> tuple[Status, int, list[str], list[str]]:
        with sync.ManagementClient(port.settings()) as runtara:
            image = runtara.images.register(
                "acme", "orders", b"code", Runner.OCI, on_progress=lambda now, _: sent.append(now)
            )
            for number in range(MANY):
                runtara.instances.start("acme", image_id=image.image_id, instance_id=f"i{number}")
            which = InstanceFilter(tenant_id="acme")
            names = [one.instance_id for one in runtara.instances.list(which)]
            first = next(iter(runtara.instances.list(which)))
            with pytest.raises(InstanceNotFound):
                runtara.instances.cancel("unknown")
            found = runtara.instances.get(first.instance_id)
            assert found is not None
            machines = [one.machine for one in runtara.environments.list()]
            return found.status, runtara.instances.count(), names, machines

    status, count, names, machines = await asyncio.to_thread(work)

    assert (status, count, machines) == (Status.PENDING, MANY, ["machine"])
    assert sorted(names) == sorted(f"i{number}" for number in range(MANY))
    assert sent == [4]


async def test_a_call_outside_of_with_is_refused(port: Port) -> None:
    """A left-over iterator is refused, too, and does no harm when it is freed."""
    runtara = sync.ManagementClient(port.settings())
    with pytest.raises(ClientNotOpen, match="use it as `with"):
        runtara.health()

    def work() -> None:
        with runtara:
            image = runtara.images.register("acme", "orders", b"code", Runner.OCI)
            for number in range(2):
                runtara.instances.start("acme", image_id=image.image_id, instance_id=f"i{number}")
            left = runtara.instances.list()
            next(left)
        with pytest.raises(ClientNotOpen):
            next(left)

    await asyncio.to_thread(work)
    gc.collect()


@pytest.mark.parametrize(
    ("whole", "face"),
    [
        (client.ManagementClient, sync.ManagementClient),
        (images.Images, sync.Images),
        (instances.Instances, sync.Instances),
        (launches.Launches, sync.Launches),
        (operations.Environments, sync.Environments),
        (operations.Queues, sync.Queues),
        (schedules.Schedules, sync.Schedules),
        (workers.Workers, sync.Workers),
    ],
)
def test_it_has_every_method(whole: type, face: type) -> None:
    """A list is an iterator where the async one is one."""
    methods = {name: one for name, one in vars(whole).items() if inspect.isfunction(one)}
    public = {name for name in methods if not name.startswith("_") and name != "aclose"}
    made = {
        name: one for name, one in vars(face).items() if isinstance(one, sync.Waits | sync.Iterates)
    }

    assert set(made) == public
    for name, one in made.items():
        assert isinstance(one, sync.Iterates) == inspect.isasyncgenfunction(methods[name])
        assert one.__doc__ == methods[name].__doc__
