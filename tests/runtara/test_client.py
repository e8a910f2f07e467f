"""What a client does with instances, whichever way the core is reached."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.runtara.conftest import Ways
from tests.runtara.shop import (
    APPROVAL,
    Decision,
    Declined,
    Order,
    Receipt,
    countdown,
    family,
    fulfil,
    greet,
    nap,
    picky,
    reading,
)

from runtara import (
    Client,
    Instance,
    InstanceAlreadyExists,
    InstanceNotFound,
    InstanceStatus,
    InstanceSummary,
    InvalidInstanceState,
    NotSerializable,
    Queue,
    WorkflowCancelled,
    WorkflowFailed,
    connect,
)
from runtara_sdk.errors import ClientNotOpen


def _is_paused(found: Instance) -> bool:
    return found.status is InstanceStatus.SUSPENDED and found.wake_at is None


async def waiting(client: Client, order: Order) -> str:
    """Start an order and return its id when it waits for a decision."""
    handle = await client.start(fulfil, order, id=f"order-{order.id}")
    await Ways.until_waiting(handle)
    return handle.id


async def test_a_result_comes_back_as_its_type(client: Client) -> None:
    handle = await client.start(greet, "Ann", 2)

    assert await handle.result("30s") == ["Hello, Ann!", "Hello, Ann!"]
    assert (await client.start(greet.bind(times=0))).created
    assert await (await client.start(nap)).result("30s") == "rested"


async def test_the_same_start_again_is_the_same_instance(client: Client) -> None:
    first = await client.start(greet, "Ann", id="greeting")
    again = await client.start(greet, "Ann", id="greeting")

    assert (first.created, again.created) == (True, False)
    assert await again.result("30s") == await first.result("30s")
    with pytest.raises(InstanceAlreadyExists, match="another input"):
        await client.start(greet, "Bob", id="greeting")
    with pytest.raises(InstanceAlreadyExists, match="another workflow"):
        await client.start(nap, id="greeting")


async def test_a_promise_is_kept_by_a_value_that_is_sent(client: Client) -> None:
    handle = client.handle(fulfil, await waiting(client, Order("17", 995)))

    [wait] = (await handle.status()).waiting_for
    assert (wait.kind, wait.name, wait.until) == ("promise", "approval", None)
    assert wait.since is not None
    wrong = await handle.send("aproval", Decision(True, "Ann"))
    assert wrong.warning is not None
    assert "'approval'" in wrong.warning
    with pytest.raises(NotSerializable, match="nothing was sent"):
        await handle.send(APPROVAL, "yes")  # type: ignore[misc]
    assert (await handle.send(APPROVAL, Decision(True, "Ann"))).is_first
    assert await handle.result("30s") == Receipt("17", 995, "Ann")


async def test_a_declared_error_comes_back_as_itself(client: Client) -> None:
    handle = client.handle(fulfil, await waiting(client, Order("16", 1)))
    await handle.send(APPROVAL, Decision(False, "Bob"))

    with pytest.raises(Declined) as declined:
        await handle.result("30s")
    assert declined.value.args == ("Bob",)


async def test_children_end_before_their_parent(client: Client) -> None:
    handle = await client.start(family.bind(names=["Ann", "Bob"]), id="family")

    assert await handle.result("30s") == ["Hello, Ann!", "Hello, Bob!"]


async def test_a_failure_says_what_went_wrong_and_is_retried(client: Client) -> None:
    handle = await client.start(picky, False, id="picky")
    with pytest.raises(WorkflowFailed, match="not today") as failed:
        await handle.result("30s")
    assert (failed.value.cause, failed.value.message) == ("ValueError", "not today")

    found = [one.instance_id async for one in client.list(picky, status="failed", since="1d")]
    assert found == ["picky"]
    assert [one async for one in client.list(picky, status="completed")] == []

    await handle.retry()
    with pytest.raises(WorkflowFailed):
        await handle.result("30s")


async def test_a_retry_makes_the_call_again_that_failed(client: Client, tmp_path: Path) -> None:
    """It makes no call again that succeeded."""
    path = tmp_path / "file"
    handle = await client.start(reading, str(path), id="reading")
    with pytest.raises(WorkflowFailed, match="FileNotFoundError"):
        await handle.result("30s")

    path.write_text("there now")
    plan = await handle.retry()
    assert (plan.forget, plan.again) == (("read#1",), ("read#1",))
    assert await handle.result("30s") == "there now"


async def test_a_cancelled_one_raises_that_it_is(client: Client) -> None:
    handle = client.handle(fulfil, await waiting(client, Order("18", 1)))
    with pytest.raises(TimeoutError, match="suspended"):
        await handle.result(0)

    await handle.cancel("changed my mind")
    with pytest.raises(WorkflowCancelled):
        await handle.result("30s")
    with pytest.raises(InvalidInstanceState):
        await handle.cancel()


async def test_a_paused_one_goes_on_when_it_is_resumed(client: Client) -> None:
    handle = client.handle(fulfil, await waiting(client, Order("19", 1)))
    await handle.pause()
    await handle.send("approval", Decision(True, "Ann"))
    # The value makes it launch, and then it gets the pause.
    await Ways.until_state(handle, _is_paused)

    await handle.resume()
    assert (await handle.result("30s")).approved_by == "Ann"


async def test_a_fork_goes_another_way_from_the_same_history(client: Client) -> None:
    handle = client.handle(fulfil, await waiting(client, Order("20", 7)))
    await handle.send("approval", Decision(True, "Ann"))
    await handle.result("30s")

    forked = await handle.fork(before="ship#1", id="order-20-again")
    assert "ship#1" in forked.repeated
    assert (await forked.handle.result("30s")).approved_by == "Ann"


async def test_one_that_goes_on_as_another_is_followed_to_its_end(client: Client) -> None:
    handle = await client.start(countdown, 2, id="countdown")

    assert await handle.result("30s") == "over"
    assert [one.instance_id async for one in client.list(countdown)] != ["countdown"]


async def test_a_list_begins_where_it_is_asked_to(client: Client) -> None:
    started = await client.start(nap, id="nap")
    await started.result("30s")
    begun = (await started.status()).created_at

    def since(span: timedelta) -> AsyncIterator[InstanceSummary]:
        return client.list(nap, since=begun + span)

    assert [one.instance_id async for one in since(timedelta(hours=-1))] == ["nap"]
    assert [one.instance_id async for one in since(timedelta(hours=1))] == []
    with pytest.raises(ValueError, match="takes pending, running"):
        await anext(client.list(nap, status="open"))


async def test_a_client_goes_on_when_another_user_of_its_connection_ends(
    client: Client, where: str
) -> None:
    async with connect(where) as other:
        handle = await other.start(greet, "Ann", id="greeting")
    with pytest.raises(ClientNotOpen, match="not open"):
        await other.start(greet, "Ann", id="greeting")

    assert await client.handle(greet, handle.id).result("30s") == ["Hello, Ann!"]


async def test_an_unknown_one_is_not_found(client: Client) -> None:
    with pytest.raises(InstanceNotFound):
        await client.handle(greet, "nobody").status()
    with pytest.raises(InstanceNotFound):
        await client.handle(greet, "nobody").result("1s")


async def test_a_delayed_one_waits_and_says_until_when(client: Client) -> None:
    handle = await client.start(greet, delay="1h", priority=3, queue="mail")

    found = await handle.status()
    assert (found.status, found.priority, found.queue) == (InstanceStatus.PENDING, 3, "mail")
    assert found.next_launch_at is not None
    await handle.cancel()
    with pytest.raises(WorkflowCancelled):
        await handle.result("30s")


async def test_one_that_waits_in_its_queue_says_until_when(client: Client) -> None:
    queue = Queue("slow", rate="1/1h")
    assert await (await client.start(greet, queue=queue)).result("30s") == ["Hello, you!"]
    handle = await client.start(greet, queue=queue)

    [wait] = (await handle.status()).waiting_for
    assert (wait.kind, wait.name) == ("queue", "slow")
    assert wait.reason == "1 of 1 starts within 3600 s, and it is number 1 in line"
    assert wait.until is not None
    await handle.cancel()
