"""Watches report signals, whichever program inserts them."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

import pytest
from tests.contract.database import Database
from tests.contract.states import put_instance
from tests.support.clock import START

from runtara_domain.error import DatabaseError
from runtara_domain.model import CustomSignal, Signal
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import OPEN, SignalType, State

PATIENCE = 60.0  # seconds; a watch tells within one


class Told:
    """The calls of a watch, and the tasks that wait for one."""

    def __init__(self) -> None:
        self.calls: list[Collection[str] | None] = []
        self.loops: set[asyncio.AbstractEventLoop] = set()
        self._news = asyncio.Event()

    def __call__(self, instance_ids: Collection[str] | None) -> None:
        self.loops.add(asyncio.get_running_loop())
        self.calls.append(instance_ids)
        self._news.set()

    async def of(self, instance_id: str) -> None:
        """Return when the instance was meant by a call since the last one waited for."""
        async with asyncio.timeout(PATIENCE):
            while not any(ids is None or instance_id in ids for ids in self.calls):
                self._news.clear()
                await self._news.wait()
        self.calls.clear()


async def send(database: Database, sender: Persistence) -> None:
    await sender.signals.send("i", Signal(SignalType.PAUSE), when=OPEN, at=START)


async def replace(database: Database, sender: Persistence) -> None:
    for signal in (SignalType.PAUSE, SignalType.CANCEL):
        await sender.signals.send("i", Signal(signal), when=OPEN, at=START)


async def send_custom(database: Database, sender: Persistence) -> None:
    await sender.signals.send_custom("i", CustomSignal("c"), when=OPEN, at=START)


async def put(database: Database, sender: Persistence) -> None:
    await database.put_signal("i", SignalType.RESUME)


async def put_custom(database: Database, sender: Persistence) -> None:
    await database.put_custom_signal("i", "c", b"answer")


WAYS = pytest.mark.parametrize("way", [send, replace, send_custom, put, put_custom])
Way = Callable[[Database, Persistence], Awaitable[None]]


@WAYS
async def test_whatever_its_own_process_puts_in_calls_the_watch(
    persistence: Persistence, database: Database, way: Way
) -> None:
    """The watch is called in the event loop."""
    await put_instance(database, State.RUNNING)
    told = Told()

    async with persistence.watch(told):
        await way(database, persistence)
        await told.of("i")

    assert told.loops == {asyncio.get_running_loop()}


@WAYS
async def test_whatever_another_process_puts_in_calls_the_watch(
    persistence: Persistence, neighbour: Persistence, database: Database, way: Way
) -> None:
    """Another process through its own adapter, any program by plain SQL."""
    await put_instance(database, State.RUNNING)
    told = Told()

    async with persistence.watch(told):
        await way(database, neighbour)
        await told.of("i")


async def test_every_signal_calls_the_watch_not_just_the_first(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """One after the other, wherever each comes from."""
    told = Told()
    names = [f"i{number}" for number in range(6)]
    for name in names:
        await put_instance(database, State.RUNNING, name)

    async with persistence.watch(told):
        for number, name in enumerate(names):
            signal = Signal(SignalType.PAUSE)
            if number % 3 == 0:
                await database.put_signal(name, signal.type)
            else:
                sender = (persistence, neighbour)[number % 3 - 1]
                await sender.signals.send(name, signal, when=OPEN, at=START)
            await told.of(name)


async def test_a_reported_signal_can_be_read(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """No report comes before the signal can be read."""
    await put_instance(database, State.RUNNING)
    told = Told()

    async with persistence.watch(told):
        await neighbour.signals.send("i", Signal(SignalType.CANCEL), when=OPEN, at=START)
        await told.of("i")
        rows = await database.rows("pending_signals")

    assert [row["signal_type"] for row in rows] == [SignalType.CANCEL]


async def test_all_open_watches_are_called_and_ended_ones_are_not(
    persistence: Persistence, neighbour: Persistence, database: Database
) -> None:
    """The same callback may watch twice; leaving one watch leaves the others on."""
    await put_instance(database, State.RUNNING)
    first, second, before, after = Told(), Told(), Told(), Told()

    async with persistence.watch(before):
        pass
    async with persistence.watch(first), neighbour.watch(second):
        async with persistence.watch(first):
            pass
        await database.put_signal("i", SignalType.PAUSE)
        await asyncio.gather(first.of("i"), second.of("i"))
    quiet = len(first.calls), len(second.calls), len(before.calls)
    async with persistence.watch(after):
        await neighbour.signals.send("i", Signal(SignalType.CANCEL), when=OPEN, at=START)
        await after.of("i")

    assert (len(first.calls), len(second.calls), len(before.calls)) == quiet


async def test_it_may_be_watched_again(persistence: Persistence, database: Database) -> None:
    """Watches begin and end with the waits."""
    told = Told()
    for number in range(3):
        name = f"i{number}"
        await put_instance(database, State.RUNNING, name)

        async with persistence.watch(told):
            await database.put_signal(name, SignalType.PAUSE)
            await told.of(name)


async def test_an_error_within_a_watch_passes_through(
    persistence: Persistence, database: Database
) -> None:
    """It also ends the watch."""
    with pytest.raises(LookupError, match="mine"):
        async with persistence.watch(Told()):
            raise LookupError("mine")


async def test_what_is_closed_cannot_be_watched(database: Database) -> None:
    """A watch that begins too late raises, and does not wait for ever."""
    persistence = database.connect()
    async with persistence:
        pass

    with pytest.raises(DatabaseError):
        async with persistence.watch(Told()):
            pass
