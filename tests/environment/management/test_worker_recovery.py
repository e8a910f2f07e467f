"""The package's worker on an environment's port: what it does about lost answers and leases."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.environment.management.conftest import Port

from runtara.core import HasEnded, Order, Plan, nothing
from runtara.remote import worker
from runtara_domain.model import Caller, Ending, Event, EventType, Registration
from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.status import OPEN, State
from runtara_environment.management_handlers import workers
from runtara_management_sdk import Environment
from runtara_management_sdk.errors import LeaseLost
from runtara_management_sdk.worker_records import Assignment, Ended, Renewed
from runtara_sdk.errors import RuntaraError

PATIENCE_S = 30


class Runs:
    """Runs that last until they are asked to leave, or are killed."""

    def __init__(self, ended: HasEnded) -> None:
        self.orders: dict[str, Order] = {}
        self.turns: list[Callable[[], None]] = []
        self.begun = asyncio.Event()
        self._ended = ended

    def __contains__(self, launch_id: str) -> bool:
        return launch_id in self.orders

    def start(self, order: Order, begun: Callable[[], None] = nothing) -> None:
        self.orders[order.launch_id] = order
        self.turns.append(begun)
        self.begun.set()

    def leave(self, launch_id: str) -> None:
        self.tell(launch_id, LaunchEnd(cause=Cause.EXITED, reports=True, exit_code=4))

    kill = leave

    def tell(self, launch_id: str, end: LaunchEnd) -> None:
        """Let a run end so."""
        self._ended(launch_id, end)


@asynccontextmanager
async def working(port: Port, grace: timedelta = timedelta(seconds=10)) -> AsyncIterator[Runs]:
    """Serve a workflow until the block ends, within some time."""
    opened: list[Runs] = []

    @asynccontextmanager
    async def runs(ended: HasEnded) -> AsyncIterator[Runs]:
        opened.append(Runs(ended))
        yield opened[0]

    plan = Plan(tenant_id="acme", workflows=frozenset(["flow"]), capacity=2, grace=grace)
    async with asyncio.timeout(PATIENCE_S), worker.serving(port.client, plan, runs):
        yield opened[0]


async def the_worker(port: Port) -> Environment:
    """Read the worker's row."""
    [row] = [one for one in await port.client.environments.list() if one.kind == "worker"]
    return row


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_AFTER_FAILURE", 0.01)
    monkeypatch.setattr(workers, "RENEW_EVERY", timedelta(milliseconds=50))


async def test_what_a_claim_took_whose_answer_was_lost_is_given_back(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This holds also for launches that a still held claim takes after the worker has asked."""
    monkeypatch.setattr(worker, "_CLAIM_IS_OVER", 0.05)
    monkeypatch.setattr(worker, "_WAIT", timedelta(milliseconds=100))
    claim, lost = port.client.workers.claim, list[str]()
    may_end = asyncio.Event()

    async def lose(worker_id: str, *arguments: Any, **options: Any) -> Sequence[Assignment]:
        if not lost:
            lost.extend(one.launch_id for one in await claim(worker_id, *arguments, **options))
            raise RuntaraError("the connection was lost")
        if len(lost) == 1:
            # Nothing is known of this one here: the first claim is carried out once more.
            await port.client.instances.start("acme", workflow="flow", instance_id="j")
            late = await claim(worker_id, 1, wait=timedelta(seconds=10))
            lost.extend(one.launch_id for one in late)
            await may_end.wait()
            return ()
        return await claim(worker_id, *arguments, **options)

    monkeypatch.setattr(port.client.workers, "claim", lose)
    await port.client.instances.start("acme", workflow="flow", instance_id="i")
    async with working(port) as runs:
        while len(lost) < 2:  # noqa: ASYNC110  # It tells nothing.
            await asyncio.sleep(0.01)
        may_end.set()
        while {one.instance_id for one in runs.orders.values()} != {"i", "j"}:
            runs.begun.clear()
            await runs.begun.wait()
        begun = set(runs.orders)
    launches = [one async for one in port.client.launches.list()]

    assert begun.isdisjoint(lost)
    assert {one.launch_id for one in launches} == {*begun, *lost}
    assert {one.cause for one in launches if one.launch_id in lost} == {"stopped"}


async def test_what_the_last_claim_took_waits_for_no_run_that_ends(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer is lost as the worker leaves: it is given back while a step has its grace."""
    claim, has_lost = port.client.workers.claim, asyncio.Event()

    async def lose(*arguments: Any, **options: Any) -> Sequence[Assignment]:
        claimed = await claim(*arguments, **options)
        if [one.instance_id for one in claimed] != ["lost"]:
            return claimed
        has_lost.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def causes() -> dict[str, str | None]:
        return {one.instance_id: one.cause async for one in port.client.launches.list()}

    async def end_when_given_back(runs: Runs) -> dict[str, str | None]:
        while (found := await causes())["lost"] is None:  # noqa: ASYNC110  # It tells nothing.
            await asyncio.sleep(0.01)
        [launch_id] = runs.orders
        runs.kill(launch_id)
        return found

    monkeypatch.setattr(port.client.workers, "claim", lose)
    await port.client.instances.start("acme", workflow="flow", instance_id="slow")
    async with working(port) as runs:
        await runs.begun.wait()
        monkeypatch.setattr(runs, "leave", lambda launch_id: None)
        await port.client.instances.start("acme", workflow="flow", instance_id="lost")
        await has_lost.wait()
        ending = asyncio.create_task(end_when_given_back(runs))

    assert await ending == {"slow": None, "lost": "stopped"}


@pytest.mark.parametrize("is_closed", [False, True])
async def test_a_drain_outlives_the_loss_of_a_lease(
    port: Port, monkeypatch: pytest.MonkeyPatch, *, is_closed: bool
) -> None:
    """The server may not know the lease after a restart, or the lease was given up."""
    claim, renew = port.client.workers.claim, port.client.workers.renew
    may_fail, knows_drain, has_opened = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def fail(*arguments: Any, **options: Any) -> Sequence[Assignment]:
        if not may_fail.is_set():
            await may_fail.wait()
            raise LeaseLost("open the worker first")
        has_opened.set()
        return await claim(*arguments, **options)

    async def note(*arguments: Any) -> Renewed:
        renewed = await renew(*arguments)
        if renewed.is_draining:
            knows_drain.set()
        return renewed

    monkeypatch.setattr(port.client.workers, "claim", fail)
    monkeypatch.setattr(port.client.workers, "renew", note)
    async with working(port) as runs:
        worker_id = (await the_worker(port)).environment_id
        await port.client.environments.drain(worker_id)
        if is_closed:
            await knows_drain.wait()
            await port.persistence.environments.close(worker_id)
        may_fail.set()
        await has_opened.wait()
        drained = await the_worker(port)
        while drained.lease_until <= datetime.now(UTC):
            drained = await the_worker(port)
        await port.client.instances.start("acme", workflow="flow", instance_id="i")
        await port.client.environments.drain(worker_id, drain=False)
        await runs.begun.wait()

    assert drained.is_draining


@pytest.mark.parametrize("is_heard", [False, True])
async def test_a_run_has_time_to_say_that_its_launch_is_closed(
    port: Port, monkeypatch: pytest.MonkeyPatch, *, is_heard: bool
) -> None:
    """Its end has closed the launch before the worker hears of it; only silence is superseded."""
    monkeypatch.setattr(worker, "_END_COMES", 60.0 if is_heard else 0.05)
    renew, knows = port.client.workers.renew, asyncio.Event()
    killed, reported = list[str](), asyncio.Event()

    async def note(*arguments: Any) -> Renewed:
        renewed = await renew(*arguments)
        if renewed.closed:
            asyncio.get_running_loop().call_soon(knows.set)
        return renewed

    async def report(worker_id: str, ends: Collection[Ended]) -> None:
        killed.extend(one.cause for one in ends)
        reported.set()

    monkeypatch.setattr(port.client.workers, "renew", note)
    monkeypatch.setattr(port.client.workers, "report", report)
    await port.client.instances.start("acme", workflow="flow", instance_id="i")
    async with working(port) as runs:
        await runs.begun.wait()
        [launch_id] = runs.orders
        await end_at_once(port, launch_id)
        await knows.wait()
        if is_heard:
            code = LaunchEnd(cause=Cause.EXITED, reports=True, exit_code=0, is_closed=True)
            runs.tell(launch_id, code)
        else:
            await reported.wait()

    assert killed == ([] if is_heard else ["superseded"])
    [launch] = [one async for one in port.client.launches.list()]
    assert (launch.cause, launch.exit_code) == ("exited", 0)


async def end_at_once(port: Port, launch_id: str) -> None:
    """Store the end of a run in the database, and with it its launch's."""
    at = datetime.now(UTC)
    asked = Registration("i", "acme", launch_id=launch_id)
    registered = await port.persistence.instances.register(asked, when=OPEN, at=at)
    event, ending = Event(EventType.COMPLETED, b"1", at, exit_code=0), Ending(State.COMPLETED, b"1")
    caller = Caller("i", registered.run)
    ended = await port.persistence.events.end(caller, event, ending, when=OPEN, at=at)
    assert ended.is_launch_closed


async def test_the_end_of_an_idle_worker_waits_for_no_server(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its grace is for its runs."""

    async def never(worker_id: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(worker, "_DRAIN", 0.01)
    monkeypatch.setattr(port.client.environments, "drain", never)
    async with working(port, grace=timedelta(hours=1)):
        pass


async def test_the_timeout_of_a_launch_counts_from_its_turn(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A suspect may wait long for that."""
    armed: list[float] = []
    monkeypatch.setattr(
        worker._RemoteWorker, "_after", lambda self, launch_id, seconds, act: armed.append(seconds)
    )
    await port.client.instances.start(
        "acme", workflow="flow", instance_id="i", launch_timeout=timedelta(seconds=7)
    )
    async with working(port) as runs:
        await runs.begun.wait()
        assert not armed
        runs.turns[0]()
        assert armed == [7.0]
