"""A worker's run that ends closes its launch in the same step: nothing is left to report."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.runtara.conftest import GENEROUS, Ways, end_spawner, servers, until
from tests.runtara.shop import WORKFLOWS, countdown, greet, picky, steps

from runtara import Client, Handle, InstanceStatus, Worker, WorkflowFailed, connect
from runtara.remote.stores import RemoteStore
from runtara_domain.launching import endings
from runtara_domain.model import Event
from runtara_domain.model.launches import InstanceStart
from runtara_domain.model.stored_launches import Launch, LaunchFilter
from runtara_domain.ports.persistence import Persistence
from runtara_domain.system_clock import SystemClock
from runtara_environment.runtime import EnvironmentRuntime, EnvironmentSettings
from runtara_management_sdk.workers import Workers
from runtara_persistence.sqlite.launches import SqliteLaunches
from runtara_persistence.sqlite.persistence import SqlitePersistence
from runtara_sdk.client.calls import Calls
from runtara_sdk.workflow.process.core_store import CoreStore
from runtara_server.instance_handlers import events
from runtara_server.runtime import CoreRuntime
from runtara_server.runtime import Settings as CoreSettings

OFTEN = {"poll_signals", "instance_event_batch"}
"""Requests of a run whose number depends on its pace."""


@dataclass
class Place:
    """Where the core is, and its storage."""

    where: str
    persistence: Persistence

    async def launches(self, handle: Handle[Any]) -> list[Launch]:
        return list(await self.persistence.launches.page(LaunchFilter(handle.id)))

    async def closed(self, handle: Handle[Any]) -> Launch:
        """The launch of an instance that has ended, which must be closed as soon as that is so."""
        [launch] = await self.launches(handle)
        assert launch.closed_at is not None
        return launch


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    """Servers."""
    async with servers(tmp_path) as runtime:
        host, port = runtime.address
        monkeypatch.setenv("RUNTARA_TLS_CA", str(tmp_path / "data/authority/ca.pem"))
        monkeypatch.setenv("RUNTARA_SERVER_ADDR", runtime.core_address)
        yield Place(f"{host}:{port}", runtime.persistence)
    end_spawner(tmp_path / "data")


@pytest.fixture
async def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    """Servers, where the environment has no core of its own."""
    url = f"sqlite:{tmp_path}/servers.db"
    async with CoreRuntime(CoreSettings(database_url=url, quic_port=0)) as core:
        address = "{}:{}".format(*core.address)
        monkeypatch.setenv("RUNTARA_SKIP_CERT_VERIFICATION", "true")
        monkeypatch.setenv("RUNTARA_SERVER_ADDR", address)
        settings = EnvironmentSettings(
            database_url=url, data_dir=tmp_path / "data", env_quic_port=0, core_addr=address
        )
        async with EnvironmentRuntime(settings) as runtime:
            yield Place("{}:{}".format(*runtime.address), runtime.persistence)
    end_spawner(tmp_path / "data")


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[Place]:
    """No servers: a file."""
    url = f"sqlite:{tmp_path}/shop.db"
    async with SqlitePersistence(f"{tmp_path}/shop.db") as persistence:
        yield Place(url, persistence)


@asynccontextmanager
async def working(place: Place, **options: Any) -> AsyncIterator[Client]:
    """A client, with a worker beside it."""
    how = {"isolate": "none", **options}
    async with connect(place.where) as client, Worker(*WORKFLOWS, where=place.where, **how):
        yield client


@pytest.fixture(params=["embedded", "place"])
def any_place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The launches that a worker in this process reports to its servers."""
    found: list[str] = []
    report = Workers.report

    async def noted(self: Workers, environment_id: str, ends: Any) -> Any:
        found.extend(end.launch_id for end in ends)
        return await report(self, environment_id, ends)

    monkeypatch.setattr(Workers, "report", noted)
    return found


async def run_one(client: Client) -> Handle[Any]:
    handle = await client.start(steps, 1)
    assert await handle.result("60s") == 1
    return handle


async def until_closed(place: Place, handle: Handle[Any]) -> None:
    async with asyncio.timeout(GENEROUS):
        while (await place.launches(handle))[0].closed_at is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_run_takes_a_request_for_each_thing_it_stores(
    place: Place, reports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its registration, the record of its step, its end."""
    asked: Counter[str] = Counter()
    ask = Calls.ask

    async def counted(self: Calls, request: Any, *more: Any, **options: Any) -> Any:
        made = request() if callable(request) else request
        asked[made.WhichOneof("request")] += 1
        return await ask(self, request, *more, **options)

    monkeypatch.setattr(Calls, "ask", counted)
    async with (
        connect(place.where) as client,
        Worker(*WORKFLOWS, where=place.where, isolate="none"),
    ):
        await place.closed(await run_one(client))

    stored = {name: count for name, count in asked.items() if name not in OFTEN}
    assert stored == {"register_instance": 1, "checkpoint_after": 1, "instance_event": 1}
    assert reports == []


async def test_an_ended_instance_has_no_open_launch(any_place: Place, reports: list[str]) -> None:
    """Also while the run's process has not yet said that the run is over."""
    place = any_place
    isolate = "none" if place.where.startswith("sqlite") else "shared"
    async with working(place, isolate=isolate) as client:
        done = await client.start(greet)
        assert await done.result("60s") == ["Hello, you!"]
        launch = await place.closed(done)
        assert (launch.cause, launch.exit_code, launch.run) == ("exited", 0, 1)
        failed = await client.start(picky, False)
        with pytest.raises(WorkflowFailed):
            await failed.result("60s")
        assert (await place.closed(failed)).exit_code == 1
        gone_on = await client.start(countdown, 1)
        assert await gone_on.result("60s") == "over"
        assert (await place.closed(gone_on)).exit_code == 0
    assert reports == []


async def test_a_refused_input_has_its_exit_code(any_place: Place) -> None:
    asked = InstanceStart(
        instance_id="i", tenant_id="default", workflow="greet", input=b'{"unknown": 1}'
    )
    async with working(any_place) as client:
        await any_place.persistence.launches.start(asked, at=SystemClock().now())
        handle = client.handle(greet, "i")
        with pytest.raises(WorkflowFailed):
            await handle.result("60s")
        assert (await any_place.closed(handle)).exit_code == 65


async def test_a_server_that_closes_no_launch_gets_a_report(
    place: Place, reports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is too old to know the exit code of an end."""
    made = events._event

    def older(message: Any) -> Event:
        message.ClearField("exit_code")
        return made(message)

    monkeypatch.setattr(events, "_event", older)
    async with (
        connect(place.where) as client,
        Worker(*WORKFLOWS, where=place.where, isolate="none"),
    ):
        handle = await run_one(client)
        await until(lambda: len(reports) == 1)
        await until_closed(place, handle)


@pytest.mark.parametrize("isolate", ["none", "shared"])
async def test_an_environment_without_a_core_hears_of_ends_by_reports(
    apart: Place, reports: list[str], monkeypatch: pytest.MonkeyPatch, isolate: str
) -> None:
    """So clients that wait for an end are answered before the environment reads it."""
    for name in ("_FIRST_LOOK", "_LAST_LOOK"):
        monkeypatch.setattr(endings, name, 1000.0)
    async with working(apart, isolate=isolate) as client:
        done, failed = await client.start(steps, 1), await client.start(picky, False)
        # The client's requests wait for longer, and would read the state at their end.
        async with asyncio.timeout(20):
            assert await done.result("60s") == 1
            with pytest.raises(WorkflowFailed):
                await failed.result("60s")
        for handle in (done, failed):
            await until_closed(apart, handle)
    codes = {(await apart.closed(handle)).exit_code for handle in (done, failed)}
    assert codes == {0, 1}
    assert len(reports) == 2


async def test_a_worker_that_names_no_exit_code_reports(
    place: Place, reports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is too old for that."""
    monkeypatch.setattr(RemoteStore, "complete", CoreStore.complete)
    async with (
        connect(place.where) as client,
        Worker(*WORKFLOWS, where=place.where, isolate="none"),
    ):
        handle = await run_one(client)
        await until(lambda: len(reports) == 1)
        await until_closed(place, handle)


async def test_a_cancelled_run_is_reported(place: Place, reports: list[str]) -> None:
    """With the reason of its stop or timeout, which only its worker and its environment know."""
    async with (
        connect(place.where) as client,
        Worker(*WORKFLOWS, where=place.where, isolate="none"),
    ):
        handle = await client.start(steps, 1, 1000.0)
        await Ways.until_state(handle, lambda found: found.status is InstanceStatus.RUNNING)
        await handle.cancel()
        await until(lambda: len(reports) == 1)
        await until_closed(place, handle)
        [launch] = await place.launches(handle)
        assert launch.exit_code == 130


async def test_a_worker_with_room_for_one_run_goes_on_to_the_next(
    any_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its place is free without a report or a step of its own."""
    closed: list[object] = []
    monkeypatch.setattr(SqliteLaunches, "close", lambda *given, **_: closed.append(given))
    async with working(any_place, concurrency=1) as client:
        handles = [await client.start(greet, f"{number}") for number in range(3)]
        for number, handle in enumerate(handles):
            assert await handle.result("60s") == [f"Hello, {number}!"]
    assert closed == []
