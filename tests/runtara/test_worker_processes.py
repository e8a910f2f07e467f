"""Workers in processes of their own, ended in every way."""

import signal

import pytest
from tests.runtara.conftest import Shop, until
from tests.runtara.shop import Decision, Order, Receipt, fulfil, steps

pytestmark = pytest.mark.slow


async def test_an_order_goes_on_after_its_worker_was_killed(shop: Shop) -> None:
    """The example of the README: charged once, approved while no worker was there, shipped once."""
    async with shop.client() as client:
        with shop.worker() as first:
            handle = await client.start(fulfil, Order("17", 995), id="order-17")
            await until(lambda: "charged 17" in shop.noted())
            first.send_signal(signal.SIGKILL)
            first.wait()

        await handle.send("approval", Decision(True, "Ann"))
        with shop.worker():
            receipt = await handle.result(timeout="60s")

    assert receipt == Receipt("17", 995, "Ann")
    # It was killed before or after the result of the step was saved.
    assert shop.noted()[:2] == ["charging 17", "charged 17"]
    assert shop.noted().count("shipped 17") == 1


async def test_a_worker_that_ends_lets_its_step_end(shop: Shop) -> None:
    """SIGTERM: the step under way is saved and not run again; the next one runs elsewhere."""
    async with shop.client() as client:
        with shop.worker() as first:
            handle = await client.start(steps, 3, 1.0)
            await until(lambda: "charging 0" in shop.noted())
            first.send_signal(signal.SIGTERM)
            assert first.wait(timeout=60) == 0
            assert shop.noted() == ["charging 0", "charged 0"]

        with shop.worker():
            assert await handle.result(timeout="60s") == 3

    assert sorted(shop.noted()) == sorted(
        [f"charging {number}" for number in range(3)] + [f"charged {number}" for number in range(3)]
    )
