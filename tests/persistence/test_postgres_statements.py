"""What a step costs: one statement, which is its transaction, and nothing before or after it."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any, TypeAlias

import asyncpg
import pytest
from tests.contract.launching import close, hold_lease, offer_all, put_image, start
from tests.contract.states import TENANT
from tests.support.clock import START
from tests.support.postgres import PostgresServer, migrate

from runtara_domain.error import DatabaseError
from runtara_domain.model import (
    Caller,
    CheckpointWrite,
    Claim,
    CustomSignal,
    Ending,
    Event,
    EventType,
    NewInstance,
    Registration,
    RetryAttempt,
    Signal,
)
from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.model.launches import Closed, Offer
from runtara_domain.model.limits import Hold, Limit, Scope
from runtara_domain.model.stored_environments import EnvironmentKind
from runtara_domain.model.stored_launches import LaunchFilter
from runtara_domain.model.verdicts import Follow
from runtara_domain.status import ANY, OPEN, WORKING, SignalType, State
from runtara_persistence.postgres import claiming
from runtara_persistence.postgres.persistence import PostgresPersistence
from runtara_persistence.transactions import starting
from runtara_persistence.transactions.transaction import Transaction

# As it is logged; the server writes of its own affairs, too.
ASKED = re.compile(rb"LOG:  (?:execute|statement)")
CLAIM = Claim("me", START + timedelta(minutes=1))
CUSTOM = Event(EventType.CUSTOM, b"", START)
SUSPENDED = Event(EventType.SUSPENDED, b"", START)
COMPLETED = Event(EventType.COMPLETED, b"", START)

REFUSAL = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN RAISE EXCEPTION 'not this one'; END $$
"""
TRIGGER = """
CREATE TRIGGER refuse BEFORE UPDATE OF launch_id ON instances FOR EACH ROW
WHEN (NEW.instance_id = 'refused' AND NEW.launch_id IS NULL) EXECUTE FUNCTION refuse()
"""
DROPPING = """
CREATE FUNCTION drop_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$
"""
DROPS = """
CREATE TRIGGER drops BEFORE INSERT ON instances FOR EACH ROW EXECUTE FUNCTION drop_row()
"""

NEWEST = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"
WAITING = """
SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'
"""

Steps: TypeAlias = dict[str, Callable[[], Awaitable[object]]]


def steps(persistence: PostgresPersistence, name: str) -> Steps:
    """Give the steps of an instance's life."""
    instances, checkpoints = persistence.instances, persistence.checkpoints
    events, signals = persistence.events, persistence.signals
    me = Caller(name)
    return {
        "create": lambda: instances.create(NewInstance(name, "t"), at=START),
        "register": lambda: instances.register(Registration(name, "t"), when=OPEN, at=START),
        "save": lambda: checkpoints.save(me, CheckpointWrite("c", b""), when=WORKING, at=START),
        "get": lambda: checkpoints.get(name, "c"),
        "retry": lambda: checkpoints.record_retry(
            me, RetryAttempt("c", 1, START), when=WORKING, at=START
        ),
        "append": lambda: events.append(me, CUSTOM, when=ANY, at=START),
        "send": lambda: signals.send(name, Signal(SignalType.PAUSE), when=OPEN, at=START),
        "send_custom": lambda: signals.send_custom(name, CustomSignal("c"), when=OPEN, at=START),
        "suspend": lambda: events.suspend(me, SUSPENDED, at=START),
        "claim_due": lambda: persistence.claims.claim_due(CLAIM, limit=1, at=START),
        "renew": lambda: persistence.claims.renew(CLAIM, {me: None}, at=START),
        "mark_active": lambda: instances.mark_active([me], at=START),
        "end": lambda: events.end(me, COMPLETED, Ending(State.COMPLETED), when=OPEN, at=START),
    }


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that writes down whatever it is asked."""
    server = PostgresServer("log_statement=all")
    try:
        server.start()
        yield server
    finally:
        server.remove()


async def test_every_step_is_one_statement(server: PostgresServer) -> None:
    """This holds from the second of its kind on: the driver asks about types for the first."""
    log = server.folder / "log"
    asked: dict[str, int] = {}

    async with PostgresPersistence(
        server.url("postgres"), migrates=True, pool_size=1
    ) as persistence:
        for step in steps(persistence, "first").values():
            await step()
        for name, step in steps(persistence, "second").items():
            before = log.stat().st_size
            await step()
            asked[name] = len(ASKED.findall(log.read_bytes()[before:]))

    assert asked == dict.fromkeys(asked, 1)


@pytest.fixture(scope="module")
def template(server: PostgresServer) -> str:
    """A database with today's schema, for the tests to clone."""
    name = server.create_database()
    migrate(server.url(name))
    return name


@pytest.fixture
async def worker(server: PostgresServer, template: str) -> AsyncIterator[PostgresPersistence]:
    """A database with a worker's lease."""
    url = server.url(server.create_database(template))
    async with PostgresPersistence(url, pool_size=3) as persistence:
        kind = EnvironmentKind.WORKER
        await hold_lease(persistence, "w", kind=kind, tenant_id=TENANT, workflows=("orders",))
        yield persistence


async def claim(worker: PostgresPersistence, *names: str) -> list[str]:
    """Start instances, and claim what there is; gives the ids of the launches."""
    for name in names:
        await start(worker, name)
    offer = Offer(environment_id="w", tenant_id=TENANT, workflows={"orders"})
    claims = await worker.launches.claim(offer, limit=9, at=START)
    return [one.launch_id for one in claims.assignments]


async def end(worker: PostgresPersistence, launch_ids: list[str]) -> None:
    """Close launches at once, whose worker leaves; their instances are due an hour later."""
    left = LaunchEnd(cause=Cause.STOPPED, reports=False)
    at = START + timedelta(hours=1)
    await asyncio.gather(*(close(worker, launch_id, left, at=at) for launch_id in launch_ids))


async def test_a_workers_claim_is_one_statement(
    server: PostgresServer, worker: PostgresPersistence
) -> None:
    """And no transaction: a claim that takes nothing leaves no mark of its own."""
    log = server.folder / "log"
    await end(worker, await claim(worker, "prepared"))
    asked: list[tuple[int, int]] = []
    newest: list[object] = []
    for names in ((), ("a",), ("b", "c", "d"), ()):
        for name in names:
            await start(worker, name)
        before = log.stat().st_size
        found = await claim(worker)
        asked.append((len(found), len(ASKED.findall(log.read_bytes()[before:]))))
        newest += await worker._database.read("ask", NEWEST)

    assert asked == [(0, 1), (1, 1), (3, 1), (0, 1)]
    assert newest[-1] == newest[-2], "a claim that finds nothing has written something"


@pytest.fixture
async def stranger(
    server: PostgresServer, worker: PostgresPersistence
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Another program's connection to the database."""
    [(name,)] = await worker._database.read("ask", "SELECT current_database()")
    connection = await asyncpg.connect(server.url(name))
    yield connection
    await connection.close()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE environments SET is_draining = TRUE",
        "UPDATE environments SET capacity = 0",
        "UPDATE environments SET closed_at = now()",
        "UPDATE environments SET lease_until = '2000-01-01'",
        "UPDATE instances SET status = 'failed', finished_at = now()",
    ],
)
async def test_what_changes_while_a_workers_claim_waits_is_heeded(
    worker: PostgresPersistence, stranger: "asyncpg.Connection[asyncpg.Record]", change: str
) -> None:
    """The claim has read the rows by then, and waits for the environment's, which is locked."""
    await start(worker, "a")
    async with asyncio.timeout(30):
        async with stranger.transaction():
            await stranger.execute("SELECT FROM environments FOR UPDATE")
            if "instances" in change:
                # Not in this transaction: a locked row would be skipped, whatever it holds.
                claiming = asyncio.create_task(claim(worker))
                await until_one_waits(stranger)
                await worker._database.read("change", change)
            else:
                await stranger.execute(change)
                claiming = asyncio.create_task(claim(worker))
                await until_one_waits(stranger)
        assert await claiming == []

    assert await worker.launches.page(LaunchFilter()) == []


async def until_one_waits(stranger: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Return when another connection waits for a lock of a row."""
    while not await stranger.fetchval(WAITING):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_a_start_and_a_look_at_an_ended_instance_are_one_statement_each(
    server: PostgresServer, worker: PostgresPersistence
) -> None:
    """Without an image nothing else is to be written, or read."""
    log, asked = server.folder / "log", list[int]()
    completed, launches = Ending(State.COMPLETED), worker.launches
    for name in ("prepared", "a"):
        before = log.stat().st_size
        await start(worker, name)
        asked.append(len(ASKED.findall(log.read_bytes()[before:])))
        await worker.events.end(Caller(name), COMPLETED, completed, when=ANY, at=START)
        before = log.stat().st_size
        view = await launches.view(name, at=START)
        asked.append(len(ASKED.findall(log.read_bytes()[before:])))
        assert view is not None
        assert view.instance.state is State.COMPLETED

    assert asked[2:] == [1, 1]


async def test_saves_at_once_share_a_statement_and_large_ones_another(
    server: PostgresServer, worker: PostgresPersistence
) -> None:
    """Small saves that come while a large one is under way don't wait for it."""
    log, names = server.folder / "log", ("prepared", "a", "b", "large")
    for name in names:
        await worker.instances.register(Registration(name, TENANT), when=OPEN, at=START)

    async def save(name: str, key: str) -> None:
        write = CheckpointWrite(key, bytes(100_000 if name == "large" else 100))
        await worker.checkpoints.save(Caller(name), write, when=WORKING, at=START)

    await asyncio.gather(*(save(name, "first") for name in names))
    before = log.stat().st_size
    await asyncio.gather(*(save(name, "second") for name in names))

    assert len(ASKED.findall(log.read_bytes()[before:])) == 2


@pytest.mark.parametrize("change", ["drain", "leave", "close", "hold", "limit"])
async def test_what_changes_before_a_claim_takes_is_heeded(
    worker: PostgresPersistence, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """The claim of images has found some by then, and has read no limit and no hold."""
    image = await put_image(worker)
    await start(worker, "a", image_id=image.image_id)
    changes: dict[str, Callable[[], Awaitable[object]]] = {
        "drain": lambda: worker.environments.drain("w", draining=True),
        "leave": lambda: worker.environments.leave("w"),
        "close": lambda: worker.environments.close("w"),
        "hold": lambda: worker.limits.hold(Hold(Scope.TENANT, TENANT, "", "wait", START), at=START),
        "limit": lambda: worker.limits.put(Limit(Scope.TENANT, TENANT, max_concurrent=0)),
    }
    wait, changed = claiming._waiting, asyncio.Event()

    async def change_first(*arguments: Any) -> Any:
        found = await wait(*arguments)
        if not changed.is_set():
            changed.set()
            await changes[change]()
        return found

    monkeypatch.setattr(claiming, "_waiting", change_first)
    claims = await worker.launches.claim(offer_all("w"), limit=9, at=START)
    assert claims.assignments == ()
    assert changed.is_set()


async def test_launches_that_end_together_are_closed_in_two_statements(
    server: PostgresServer, worker: PostgresPersistence
) -> None:
    log = server.folder / "log"
    await end(worker, await claim(worker, "prepared"))
    launch_ids = await claim(worker, "a", "b", "c")
    before = log.stat().st_size
    await end(worker, launch_ids)
    asked = len(ASKED.findall(log.read_bytes()[before:]))
    causes = [one.cause for one in await worker.launches.page(LaunchFilter())]

    assert asked == 2
    assert causes == ["stopped"] * 4


async def test_launches_of_instances_that_have_ended_are_closed_in_one_statement(
    server: PostgresServer, worker: PostgresPersistence
) -> None:
    """Of others that end with them, too, what happens is decided as ever."""
    log, exited = server.folder / "log", LaunchEnd(cause=Cause.EXITED, reports=True, exit_code=0)

    async def end_all(*names: str) -> tuple[int, list[Closed]]:
        launch_ids = await claim(worker, *names)
        for name in names:
            if name != "open":
                caller, done = Caller(name), Ending(State.COMPLETED)
                await worker.events.end(caller, COMPLETED, done, when=ANY, at=START)
        before = log.stat().st_size
        closed = await asyncio.gather(*(close(worker, one, exited) for one in launch_ids))
        return len(ASKED.findall(log.read_bytes()[before:])), closed

    await end_all("prepared")
    alone = await end_all("a", "b")
    mixed = await end_all("c", "open")
    again = await close(worker, "unknown", exited)
    launches = {one.instance_id: one for one in await worker.launches.page(LaunchFilter())}
    view = await worker.launches.view("a", at=START)

    assert (alone[0], mixed[0]) == (1, 2)
    verdicts = [one.verdict and one.verdict.follow for one in (*alone[1], *mixed[1], again)]
    assert verdicts == [Follow.NOTHING] * 3 + [Follow.CRASH, None]
    stored = [(one.cause, one.exit_code, one.verdict) for one in launches.values()]
    assert stored.count(("exited", 0, "nothing")) == 4
    assert view is not None
    assert (view.instance.state, view.instance.launch_id) == (State.COMPLETED, None)


async def test_a_launch_whose_instance_is_locked_holds_up_no_other(
    worker: PostgresPersistence, stranger: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    """It is closed alone, once the lock is gone."""
    launch_ids = await claim(worker, "a", "b", "held")
    async with stranger.transaction():
        await stranger.execute("SELECT FROM instances WHERE instance_id = 'held' FOR UPDATE")
        ending = asyncio.create_task(end(worker, launch_ids))
        while len(await worker.launches.page(LaunchFilter(open_only=True))) > 1:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        [still_open] = await worker.launches.page(LaunchFilter(open_only=True))
    await ending

    assert still_open.instance_id == "held"
    assert await worker.launches.page(LaunchFilter(open_only=True)) == []


async def test_a_launch_that_the_database_refuses_to_close_holds_up_no_other(
    worker: PostgresPersistence,
) -> None:
    """As by a trigger of an operator's: all others of its group are closed, and it is told."""
    await worker._database.read("make", REFUSAL)
    await worker._database.read("make", TRIGGER)
    launch_ids = await claim(worker, "a", "b", "refused")
    with pytest.raises(DatabaseError, match="not this one"):
        await end(worker, launch_ids)
    async with asyncio.timeout(30):
        while len(await worker.launches.page(LaunchFilter(open_only=True))) > 1:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    [still_open] = await worker.launches.page(LaunchFilter(open_only=True))

    assert still_open.instance_id == "refused"


async def test_what_is_launched_may_have_any_name_in_any_encoding(server: PostgresServer) -> None:
    """A database in SQL_ASCII, too, which takes bytes and no escapes of characters."""
    server.execute(
        "CREATE DATABASE plain TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    kind, name = EnvironmentKind.WORKER, "bestellung-\u00e4\u6f22"
    async with PostgresPersistence(server.url("plain"), migrates=True) as persistence:
        await hold_lease(persistence, "w", kind=kind, tenant_id=TENANT, workflows=("orders",))
        [launch_id] = await claim(persistence, name)
        died = LaunchEnd(cause=Cause.RUNNER_FAILED, reports=False, stderr=name)
        closed = await close(persistence, launch_id, died)
        [launch] = await persistence.launches.page(LaunchFilter())

    assert closed.is_closed
    assert (launch.instance_id, launch.stderr) == (name, name)


async def test_a_start_whose_row_was_just_deleted_is_stored(
    worker: PostgresPersistence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row in the way may be gone when it is looked at."""
    create, tries = starting._create, list[bool]()

    def stand_in_the_way_once(*arguments: Any) -> Transaction[bool]:
        tries.append(bool(tries) and (yield from create(*arguments)))
        return tries[-1]

    monkeypatch.setattr(starting, "_create", stand_in_the_way_once)
    started = await start(worker, "a")

    assert (started.created, tries) == (True, [False, True])
    assert await worker.instances.get("a") is not None


async def test_a_start_whose_row_is_never_stored_is_an_error(worker: PostgresPersistence) -> None:
    """As with an operator's trigger that drops rows: a start is not tried for ever."""
    await worker._database.read("make", DROPPING)
    await worker._database.read("make", DROPS)
    with pytest.raises(DatabaseError, match="a trigger on the table instances drops rows"):
        async with asyncio.timeout(30):
            await start(worker, "a")

    assert await worker.instances.get("a") is None
