"""A watch calls `launchable` when something may have become launchable, and at no other time."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from tests.contract.database import Database, Row
from tests.contract.launching import (
    KILLED,
    LONG,
    hold_lease,
    judge_as_usual,
    launch,
    offer_all,
    put_image,
    start,
)
from tests.contract.states import TENANT, put_checkpoint, put_instance
from tests.contract.test_signals_watch import Told

from runtara_domain.model import (
    Caller,
    CheckpointWrite,
    Claim,
    CustomSignal,
    Ending,
    Event,
    EventType,
    NewChild,
    NewChildren,
    NewInstance,
    Registration,
    Reopening,
    Signal,
    Sleep,
)
from runtara_domain.model.interventions import Stop
from runtara_domain.model.launches import Closing
from runtara_domain.model.limits import Hold, Limit, Scope
from runtara_domain.ports.persistence import LAUNCHABLE_WITHIN, Persistence
from runtara_domain.status import OPEN, WORKING, SignalType, State

PATIENCE = 60.0
ME = Caller("i", 2)
TOKEN = "core/me"
SUSPENDED = EventType.SUSPENDED
# The triggers know only the real time.
NOW = datetime.now(UTC).replace(microsecond=0)
SOON = NOW + LAUNCHABLE_WITHIN / 2
LATER = NOW + timedelta(hours=1)
CLAIMED: Row = {"wake_claim_by": TOKEN, "wake_claim_until": LATER}

Way = Callable[[Database, Persistence], Awaitable[object]]


class Launches:
    """How often a watch has said that there may be something to launch."""

    def __init__(self) -> None:
        self.count = 0
        self._news = asyncio.Event()

    def __call__(self) -> None:
        self.count += 1
        self._news.set()

    async def heard(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._news.wait()


async def create(database: Database, core: Persistence) -> None:
    await core.instances.create(NewInstance("new", TENANT), at=NOW)


async def start_a_child(database: Database, core: Persistence) -> None:
    await core.instances.start_child(ME, NewChild("new", "w"), when=WORKING, at=NOW)


async def start_children(database: Database, core: Persistence) -> None:
    new = NewChildren((NewChild("new", "w"),), (CheckpointWrite("new!started", b"1"),))
    await core.instances.start_children(ME, new, when=WORKING, at=NOW)


async def put_in_by_sql(database: Database, core: Persistence) -> None:
    row: Row = {"instance_id": "new", "tenant_id": TENANT, "status": "pending", "created_at": NOW}
    await database.put("instances", row)


async def resume(database: Database, core: Persistence) -> None:
    await core.signals.send("i", Signal(SignalType.RESUME), when=OPEN, at=NOW)


async def cancel(database: Database, core: Persistence) -> None:
    await core.signals.send("i", Signal(SignalType.CANCEL), when=OPEN, at=NOW)


async def resume_by_sql(database: Database, core: Persistence) -> None:
    await database.put_signal("i", SignalType.RESUME)


async def send_custom(database: Database, core: Persistence) -> None:
    await core.signals.send_custom("i", CustomSignal("c"), when=OPEN, at=NOW)


async def end_a_child(database: Database, core: Persistence) -> None:
    done = Event(EventType.COMPLETED, b"", NOW)
    await core.events.end(Caller("child"), done, Ending(State.COMPLETED, b""), when=WORKING, at=NOW)


async def give_back(database: Database, core: Persistence) -> None:
    await core.claims.release(TOKEN, ["i"], at=NOW)


async def suspend(database: Database, core: Persistence) -> None:
    await core.events.suspend(ME, Event(SUSPENDED, b"", NOW), at=NOW)


async def nap(database: Database, core: Persistence) -> None:
    """Sleep, under a claim that ends before long."""
    claim = Claim(TOKEN, NOW + timedelta(seconds=1))
    sleep = Sleep("nap", b"", timedelta(seconds=1))
    await core.checkpoints.sleep(ME, sleep, when=WORKING, claim=claim, earliest=None, at=NOW)


async def reopen(database: Database, core: Persistence) -> None:
    await core.instances.reopen(Reopening("i"), when=frozenset({State.FAILED}), at=NOW)


async def close_a_launch(database: Database, core: Persistence) -> None:
    launched = await launch(core, "launched")
    await core.launches.close(Closing(launched.launch_id, KILLED), judge_as_usual, at=NOW)


async def stop(database: Database, core: Persistence) -> None:
    await core.launches.stop(Stop("i", reason="why"), at=NOW)


async def end_a_back_off(database: Database, core: Persistence) -> None:
    await core.launches.resume("i", at=NOW)


async def raise_a_limit(database: Database, core: Persistence) -> None:
    await core.limits.put(Limit(Scope.TENANT, TENANT, max_concurrent=9))


async def release_a_hold(database: Database, core: Persistence) -> None:
    await core.limits.hold(Hold(Scope.TENANT, TENANT), at=NOW)
    await core.limits.release(Scope.TENANT, TENANT)


async def register_an_image(database: Database, core: Persistence) -> None:
    await put_image(core)


async def drain(database: Database, core: Persistence) -> None:
    await hold_lease(core, "e")
    await core.environments.drain("e", draining=True)


async def free_a_slot(database: Database, core: Persistence) -> None:
    """End the launch of a finished instance that counted under a limit."""
    await core.limits.put(Limit(Scope.TENANT, TENANT, max_concurrent=1))
    launched = await launch(core, "launched")
    ending = Ending(State.CANCELLED)
    await core.instances.finish(Caller("launched"), ending, when=OPEN, at=NOW)
    await core.launches.close(Closing(launched.launch_id, KILLED), judge_as_usual, at=NOW)


async def wake(database: Database, core: Persistence) -> None:
    await core.claims.wake(ME, token=TOKEN, when=frozenset({State.ASLEEP}), at=NOW)


BACKING_OFF: Row = {"launch_after": LATER, "backoff_ms": 60_000, "image_id": "image"}
ASLEEP: Row = {"sleep_until": LATER, "wake_claim_by": None, "wake_claim_until": None}
WAYS: dict[str, tuple[Way, State, Row]] = {
    "created": (create, State.RUNNING, {}),
    "a child started": (start_a_child, State.RUNNING, {}),
    "children started": (start_children, State.RUNNING, {}),
    "put in by SQL": (put_in_by_sql, State.RUNNING, {}),
    "paused and resumed": (resume, State.PAUSED, {}),
    "asleep and cancelled": (cancel, State.ASLEEP, ASLEEP),
    "resumed by SQL": (resume_by_sql, State.PAUSED, {}),
    "sent a value": (send_custom, State.ASLEEP, ASLEEP),
    "a child ended": (end_a_child, State.ASLEEP, ASLEEP),
    "given back": (give_back, State.ASLEEP, CLAIMED | {"sleep_until": NOW}),
    "given back soon before": (give_back, State.ASLEEP, CLAIMED | {"sleep_until": SOON}),
    "awake without its process": (wake, State.ASLEEP, CLAIMED | {"ended_run": 2}),
    "asleep for a moment": (nap, State.RUNNING, {}),
    "reopened": (reopen, State.FAILED, {}),
    "a launch is over": (close_a_launch, State.RUNNING, {}),
    "stopped": (stop, State.RUNNING, {"launch_id": "open"}),
    "a back-off taken back": (end_a_back_off, State.PENDING, BACKING_OFF),
    "a limit raised": (raise_a_limit, State.RUNNING, {}),
    "a hold released": (release_a_hold, State.RUNNING, {}),
    "an image registered": (register_an_image, State.RUNNING, {}),
    "an environment drained": (drain, State.RUNNING, {}),
    "a slot free again": (free_a_slot, State.RUNNING, {}),
}
ways = pytest.mark.parametrize("name", WAYS)


@ways
async def test_whatever_may_be_launched_calls_the_watch(
    persistence: Persistence, neighbour: Persistence, database: Database, name: str
) -> None:
    """A watch in the same process and one in another are called for each way to become so."""
    way, state, columns = WAYS[name]
    await put_instance(database, state, **columns)
    await put_instance(database, State.RUNNING, "child", parent_id="i")
    here, there = Launches(), Launches()

    async with (
        persistence.watch(Told(), launchable=here),
        neighbour.watch(Told(), launchable=there),
    ):
        await way(database, persistence)
        await here.heard()
        await there.heard()


@pytest.mark.parametrize("signal", [SignalType.RESUME, SignalType.CANCEL])
async def test_one_that_suspends_with_a_signal_pending_calls_the_watch(
    persistence: Persistence, database: Database, signal: SignalType
) -> None:
    """An instance that is sent a resume while RUNNING is launchable as soon as it suspends."""
    await put_instance(database, State.RUNNING)
    if signal is SignalType.RESUME:
        await database.put_signal("i", signal)
    else:
        await put_instance(database, State.PAUSED, "other")
    launches = Launches()

    async with persistence.watch(Told(), launchable=launches):
        if signal is SignalType.RESUME:
            await suspend(database, persistence)
        else:
            await persistence.signals.send("other", Signal(signal), when=OPEN, at=NOW)
        await launches.heard()


async def save(database: Database, core: Persistence) -> None:
    for number in range(5):
        write = CheckpointWrite(f"c-{number}", b"1")
        await core.checkpoints.save(ME, write, when=WORKING, at=NOW)


async def sleep_held(database: Database, core: Persistence) -> None:
    claim = Claim(TOKEN, LATER)
    sleep = Sleep("nap", b"", timedelta(seconds=5))
    await core.checkpoints.sleep(ME, sleep, when=WORKING, claim=claim, earliest=None, at=NOW)
    await core.claims.renew(claim, {ME: None}, at=NOW)
    await core.claims.wake(ME, token=TOKEN, when=frozenset({State.ASLEEP}), at=NOW)


async def register(database: Database, core: Persistence) -> None:
    await core.instances.register(Registration("i", TENANT), when=OPEN, at=NOW)
    await core.instances.register(Registration("unknown", TENANT), when=OPEN, at=NOW)


async def tell_of_itself(database: Database, core: Persistence) -> None:
    await core.instances.mark_active([ME], at=NOW)
    await core.events.append(ME, Event(EventType.CUSTOM, b"", NOW), when=OPEN, at=NOW)


async def end(database: Database, core: Persistence) -> None:
    await core.instances.finish(ME, Ending(State.CANCELLED), when=OPEN, at=NOW)


async def pause(database: Database, core: Persistence) -> None:
    await core.signals.send("i", Signal(SignalType.PAUSE), when=OPEN, at=NOW)
    await suspend(database, core)


async def give_back_early(database: Database, core: Persistence) -> None:
    await core.claims.release(TOKEN, ["sleeper"], at=NOW)


async def delay_for_long(database: Database, core: Persistence) -> None:
    await start(core, "new", launch_after=LATER)


async def claim_and_renew(database: Database, core: Persistence) -> None:
    """Claim a launch that was started before, and let it register."""
    [launched] = (await core.launches.claim(offer_all("e"), limit=9, at=NOW)).assignments
    own = Registration(launched.instance_id, TENANT, launch_id=launched.launch_id)
    await core.instances.register(own, when=OPEN, at=NOW)
    await core.environments.renew("e", ttl=LONG)


QUIET: dict[str, Way] = {
    "a start that is delayed for long": delay_for_long,
    "a claim and a lease's renewal": claim_and_renew,
    "checkpoints": save,
    "a sleep that is held": sleep_held,
    "registrations": register,
    "signs of life": tell_of_itself,
    "an ending": end,
    "a pause": pause,
    "a claim given back long before": give_back_early,
}


@pytest.mark.parametrize("name", QUIET)
async def test_what_may_not_be_launched_calls_no_watch(
    persistence: Persistence, neighbour: Persistence, database: Database, name: str
) -> None:
    """A saved checkpoint, a held sleep and all other steps of a run at work call no watch."""
    await put_instance(database, State.RUNNING)
    await put_instance(database, State.RUNNING, "marker")
    await put_instance(database, State.ASLEEP, "sleeper", **(CLAIMED | {"sleep_until": LATER}))
    await put_checkpoint(database)
    image = await put_image(persistence)
    await put_instance(database, State.PENDING, "waits", run=0, image_id=image.image_id)
    await hold_lease(persistence, "e")
    here, there, told, neighbours = Launches(), Launches(), Told(), Told()

    async with (
        persistence.watch(told, launchable=here),
        neighbour.watch(neighbours, launchable=there),
    ):
        await QUIET[name](database, persistence)
        # A watch reports this signal after everything that came before it.
        await database.put_custom_signal("marker", "c", b"")
        await told.of("marker")
        await neighbours.of("marker")

    assert (here.count, there.count) == (0, 0)


async def bound_the_tenant(core: Persistence) -> None:
    await core.limits.put(Limit(Scope.TENANT, TENANT, max_concurrent=1))


async def bound_the_queue(core: Persistence) -> None:
    await core.limits.put(Limit(Scope.QUEUE, TENANT, "mail", max_concurrent=1))


async def bound_the_image(core: Persistence) -> None:
    await core.limits.put(Limit(Scope.IMAGE, TENANT, "orders", max_concurrent=1))


async def register_with_a_bound(core: Persistence) -> None:
    await put_image(core, code=b"new", max_concurrent=1)


async def bound_others(core: Persistence) -> None:
    await core.limits.put(Limit(Scope.TENANT, "other", max_concurrent=1))
    await core.limits.put(Limit(Scope.QUEUE, TENANT, "other", max_concurrent=1))
    await put_image(core, "other", max_concurrent=1)


BOUNDS: dict[str, tuple[Callable[[Persistence], Awaitable[None]], bool]] = {
    "of its tenant": (bound_the_tenant, True),
    "of its queue": (bound_the_queue, True),
    "of its image": (bound_the_image, True),
    "of a new version of its image": (register_with_a_bound, True),
    "of others": (bound_others, False),
}


@pytest.mark.parametrize("name", BOUNDS)
async def test_a_limit_that_is_set_while_a_launch_is_open_counts_at_its_end(
    persistence: Persistence, neighbour: Persistence, database: Database, name: str
) -> None:
    """The launch of a finished instance gives a place back under a limit that was set later."""
    bound, is_told = BOUNDS[name]
    await put_instance(database, State.RUNNING, "marker")
    launched = await launch(persistence, "launched", queue="mail")
    await bound(persistence)
    ending = Ending(State.CANCELLED)
    await persistence.instances.finish(Caller("launched"), ending, when=OPEN, at=NOW)
    told, there = Told(), Launches()

    async with neighbour.watch(told, launchable=there):
        await database.put_custom_signal("marker", "before", b"")
        await told.of("marker")
        before = there.count
        closing = Closing(launched.launch_id, KILLED)
        await persistence.launches.close(closing, judge_as_usual, at=NOW)
        await database.put_custom_signal("marker", "after", b"")
        await told.of("marker")

    assert (there.count > before) is is_told


async def test_a_watch_that_has_ended_is_not_called(
    persistence: Persistence, database: Database
) -> None:
    """Neither is a watch that did not ask for it."""
    left, stays = Launches(), Launches()
    told = Told()

    async with persistence.watch(told), persistence.watch(Told(), launchable=stays):
        async with persistence.watch(Told(), launchable=left):
            pass
        await create(database, persistence)
        await stays.heard()

    assert left.count == 0
    assert told.calls == []


async def test_a_new_signal_to_a_blocked_one_calls_the_watch(
    persistence: Persistence, database: Database
) -> None:
    """The cancel that was pending as an instance blocked calls no watch, the next signal does."""
    await put_instance(database, State.RUNNING)
    await database.put_signal("i", SignalType.CANCEL, created_at=NOW)
    await put_instance(database, State.RUNNING, "marker")
    launches, told = Launches(), Told()

    async with persistence.watch(told, launchable=launches):
        await persistence.instances.block(ME, "changed", when=OPEN, at=NOW)
        await database.put_custom_signal("marker", "c", b"")
        await told.of("marker")
        before = launches.count
        due_before = await persistence.claims.next_due(at=NOW)
        await resume(database, persistence)
        await launches.heard()

    assert (before, due_before) == (0, None)
    assert await persistence.claims.next_due(at=NOW) == NOW
