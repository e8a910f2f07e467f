"""Schedules and queues that user code declares, in a worker and through the servers."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.runtara.conftest import GENEROUS, end_spawner, servers

from runtara import Queue, Tick, Worker, connect, workflow
from runtara_persistence.connect import connect as database_at

MAIL = Queue("mail", concurrency=5, rate="100/1m", per_worker=2)


@workflow(cron="30 2 * * *", tz="Europe/Paris")
async def nightly(tick: Tick) -> datetime:
    return tick.at


@workflow
async def send(letter: str) -> str:
    return letter


async def test_a_worker_declares_schedules_and_carries_out_their_ticks(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'core.db'}"
    async with database_at(url, migrates=True) as stored, Worker(nightly, send, where=url):
        [declared] = await stored.schedules.page()
        assert (declared.schedule.name, declared.is_declared) == ("nightly", True)
        assert declared.code_versions == (nightly.code_version,)
        tick = datetime.now(UTC).replace(second=0, microsecond=0)
        await stored.schedules.pause("default", "nightly")
        [paused] = await stored.schedules.page()
        await stored.schedules.resume(paused, next_tick_at=tick)

        async with connect(url) as client:
            handle = client.handle(nightly, declared.schedule.instance_id(tick))
            async with asyncio.timeout(GENEROUS):
                while await stored.instances.get(handle.id) is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert await handle.result() == tick
        [moved] = await stored.schedules.page()
        assert moved.next_tick_at is not None
        assert moved.next_tick_at > tick


async def test_a_worker_declares_through_servers_and_its_queue_is_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with servers(tmp_path) as runtime:
        host, port = runtime.address
        monkeypatch.setenv("RUNTARA_TLS_CA", str(tmp_path / "data/authority/ca.pem"))
        monkeypatch.setenv("RUNTARA_SERVER_ADDR", runtime.core_address)
        where = f"{host}:{port}"
        async with Worker(nightly, send, where=where), connect(where) as client:
            [declared] = await runtime.persistence.schedules.page()
            assert (declared.schedule.timing.time_zone, declared.is_declared) == (
                "Europe/Paris",
                True,
            )
            handle = await client.start(send, "hello", queue=MAIL)
            assert await handle.result(timeout=f"{GENEROUS}s") == "hello"
            [use] = await runtime.persistence.limits.page("default")
            assert (use.limit.max_concurrent, use.limit.per_environment) == (5, 2)
            assert (use.limit.rate, use.limit.rate_period) == (100, timedelta(minutes=1))
    end_spawner(tmp_path / "data")


async def test_a_queue_bounds_what_an_embedded_worker_runs_at_once() -> None:
    one = Queue("one", concurrency=1)
    running: list[int] = []
    most: list[int] = []

    @workflow(name="busy")
    async def busy(number: int) -> int:
        running.append(number)
        most.append(len(running))
        await asyncio.sleep(0.01)
        running.remove(number)
        return number

    where = "sqlite::memory:"
    async with connect(where) as client, Worker(busy, where=where):
        handles = [await client.start(busy, number, queue=one) for number in range(5)]
        assert [await handle.result() for handle in handles] == list(range(5))
    assert most == [1] * 5


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Queue(""), "takes a name"),
        (lambda: Queue("q", concurrency=0), r"concurrency=\): takes 1 or more, got 0"),
        (lambda: Queue("q", per_worker=2**31), "per_worker"),
        (lambda: Queue("q", rate="often"), "as \"100/1m\", got 'often'"),
        (lambda: Queue("q", rate="0/1m"), "got '0/1m'"),
        (lambda: Queue("q", rate="5/soon"), "rate="),
    ],
)
def test_what_is_no_queue_is_refused(make: Callable[[], Queue], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
