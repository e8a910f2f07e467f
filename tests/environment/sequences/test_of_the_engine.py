"""Sequences that the engine must get right, on the database in memory and a clock that tests move.

Two more are held on every database by the contract of persistence: a delete of an image against its
start, and a fork of an instance with an unfinished child.
"""

from datetime import timedelta

import pytest
from tests.domain.launching.world import TENANT, World
from tests.environment.sequences.worlds import (
    Gate,
    Gated,
    GatedPlacement,
    WrongClock,
    gone,
    launcher,
    living,
    start,
)

from runtara_domain.model import Caller, Ending, Event, EventType, Registration
from runtara_domain.model.interventions import Retry, Stop
from runtara_domain.model.launch_ends import Cause
from runtara_domain.model.limits import Limit, Scope
from runtara_domain.ports.placements import StopSignal
from runtara_domain.status import OPEN, State


async def test_a_process_that_is_killed_in_a_held_sleep_is_launched_at_its_deadline(
    world: World,
) -> None:
    """The core that holds the sleep wakes it; the run that slept is over, so it is launched."""
    async with launcher(world, "a"):
        await start(world, "i")
        process = world.placement("a").of("i")
        registered = await world.register(process)
        await world.fall_asleep(process, registered.run, 20, holder="core")
        world.placement("a").crash("i")
        await world.pass_time(19.5)
        assert (living(world), await world.state("i")) == ([], State.ASLEEP)
        world.clock.advance(timedelta(seconds=0.5))
        await world.persistence.claims.wake(
            Caller("i", registered.run), token="core", when=OPEN, at=world.clock.now()
        )
        await world.settle()

        assert living(world) == ["i"]
        first, second = await world.launches("i")
        assert (first.cause, first.verdict) == ("killed", "nothing")
        assert second.run is None


async def test_a_process_that_dies_before_it_registers_while_its_instance_is_due(
    world: World,
) -> None:
    """It is judged a crash, and the instance, which is still due, launched after its back-off."""
    async with launcher(world, "a"):
        await start(world, "i")
        process = world.placement("a").of("i")
        registered = await world.register(process)
        await world.fall_asleep(process, registered.run, 20)
        world.placement("a").exit("i", 75)
        await world.pass_time(20)
        world.placement("a").crash("i")
        await world.settle()
        assert (living(world), await world.state("i")) == ([], State.ASLEEP)
        await world.pass_time(1.5)

        assert living(world) == ["i"]
        assert [one.verdict for one in await world.launches("i")] == ["nothing", "crash", None]


async def test_an_environment_that_stalls_between_claim_and_fork(world: World) -> None:
    """It starts nothing after its lease: the other one has closed the launch, and runs it."""
    before_fork, database = Gate(), Gate()
    world.placements["a"] = GatedPlacement("a", before_fork)
    stalled = launcher(world, "a", persistence=Gated(world.persistence, database))
    async with stalled:
        before_fork.shut()
        await start(world, "i")
        database.shut()
        assert [one.environment_id for one in await world.launches("i")] == ["a"]
        async with launcher(world, "b"):
            await world.pass_time(70)
            assert world.placement("b").living() == ["i"]
            before_fork.open()
            database.open()
            await world.pass_time(5)

            assert world.placement("a").started == []
            assert living(world) == ["i"]
            assert [one.cause for one in await world.launches("i")] == ["environment_lost", None]


async def test_an_environment_that_renews_before_it_forks(world: World) -> None:
    """A claim of the lease before is given back: the instance may be another's meanwhile."""
    before_fork, database = Gate(), Gate()
    world.placements["a"] = GatedPlacement("a", before_fork)
    async with launcher(world, "a", persistence=Gated(world.persistence, database)):
        before_fork.shut()
        await start(world, "i")
        database.shut()
        await world.pass_time(40)
        database.open()
        await world.pass_time(2)
        before_fork.open()
        await world.settle()
        assert world.placement("a").started == []
        [launch] = await world.launches("i")
        assert (launch.cause, launch.verdict) == ("runner_failed", "relaunch")
        await world.pass_time(3)

        assert living(world) == ["i"]


async def test_a_verdict_that_comes_after_a_run_by_hand(world: World) -> None:
    """It changes nothing: the instance is another's, and has ended."""
    async with launcher(world, "a"):
        await start(world, "i")
        process = world.placement("a").of("i")
        process.heeds = False
        await world.register(process)
        by_hand = await world.register(process, by_hand=True)
        await world.complete(process, by_hand.run)
        world.placement("a").crash("i")
        await world.pass_time(30)

        assert (living(world), await world.state("i")) == ([], State.COMPLETED)
        [launch] = await world.launches("i")
        assert launch.verdict in (None, "nothing")


async def test_two_environments_at_a_limit_of_which_nine_of_ten_slots_are_taken(
    world: World,
) -> None:
    """One environment gets the last slot; when a process ends, one more is launched, never two."""
    await world.persistence.limits.put(Limit(Scope.TENANT, TENANT, max_concurrent=10))
    async with launcher(world, "a"):
        for number in range(9):
            await start(world, f"i{number}")
        assert len(living(world)) == 9
        async with launcher(world, "b"):
            for number in range(9, 15):
                await start(world, f"i{number}")
            await world.pass_time(12)
            assert len(living(world)) == 10
            for _ in range(4):
                ended = living(world)[0]
                for placement in world.placements.values():
                    if ended in placement.living():
                        placement.exit(ended, 1)
                await world.settle()
                assert len(living(world)) == 10


@pytest.mark.parametrize("off", [60, -60])
async def test_a_clock_that_is_sixty_seconds_off(world: World, off: int) -> None:
    """Leases, back-offs and wake-ups go by the database's clock, whose distance is kept."""
    wrong = WrongClock(world.clock, timedelta(seconds=off))
    async with launcher(world, "b", capacity=0), launcher(world, "a", clock=wrong):
        await start(world, "i")
        process = world.placement("a").of("i")
        registered = await world.register(process)
        await world.fall_asleep(process, registered.run, 40)
        world.placement("a").exit("i", 75)
        await world.pass_time(39)
        assert living(world) == []
        await world.pass_time(1)
        assert living(world) == ["i"]
        world.placement("a").crash("i")
        await world.pass_time(3)

        assert living(world) == ["i"]
        assert "environment_lost" not in [one.cause for one in await world.launches("i")]
        [environment, _] = await world.persistence.environments.page()
        assert environment.clock_offset_ms == off * 1000


async def test_an_outage_of_the_database_that_is_longer_than_all_leases(world: World) -> None:
    """All are late, so none is lost: processes go on, and what ended meanwhile is judged."""
    gate = Gate()
    gated = Gated(world.persistence, gate)
    async with (
        launcher(world, "a", persistence=gated),
        launcher(world, "b", persistence=gated, capacity=1),
    ):
        await world.pass_time(40)
        for name in ("i", "j", "k"):
            await start(world, name)
        before = {name: placement.living() for name, placement in world.placements.items()}
        assert sorted(before["a"] + before["b"]) == ["i", "j", "k"]
        gate.is_broken = True
        await world.pass_time(90, step=1)
        ended = before["a"][0]
        world.placement("a").exit(ended, 1)
        await world.pass_time(10)
        assert await world.state(ended) is State.PENDING
        gate.is_broken = False
        await world.pass_time(20)

        assert await world.state(ended) is State.FAILED
        assert {name: placement.living() for name, placement in world.placements.items()} == {
            **before,
            "a": before["a"][1:],
        }
        for name in ("i", "j", "k"):
            assert len(await world.launches(name)) == 1


@pytest.mark.parametrize("fails", [True, False], ids=["failures", "no answer"])
async def test_an_environment_that_was_cut_off_takes_no_other_for_lost(
    world: World, fails: bool
) -> None:
    """Its own lease was good all the time; the other one's was not, and it is only late."""
    here, there = Gate(), Gate()
    async with launcher(world, "b", persistence=Gated(world.persistence, there)):
        await start(world, "i")
        await world.pass_time(9)
        async with launcher(world, "a", persistence=Gated(world.persistence, here)):
            await world.pass_time(32.5)
            for gate in (here, there):
                gate.cut(fails=fails)
            await world.pass_time(23)
            here.mend()
            await world.pass_time(2)
            over = [one.environment_id for one in await gone(world)]
            assert (over, len(await world.launches("i"))) == (["b"], 1)
            there.mend()
            await world.pass_time(60)

            assert world.placement("b").living() == ["i"]
            assert [one.cause for one in await world.launches("i")] == [None]


async def test_a_stop_of_an_instance_that_another_environment_runs(world: World) -> None:
    """The one that runs it carries the stop out, wherever it was put in."""
    async with launcher(world, "a"):
        await start(world, "i")
        process = world.placement("a").of("i")
        await world.register(process)
        async with launcher(world, "b") as other:
            stop = Stop("i", timedelta(seconds=3), "enough")
            other.stopping(await world.persistence.launches.stop(stop, at=world.clock.now()))
            await world.settle()
            assert process.sent == []
            await world.pass_time(3)

            instance = await world.persistence.instances.get("i")
            assert instance is not None
            assert (instance.state, instance.error) == (State.CANCELLED, "enough")
            assert process.sent == [StopSignal.TERMINATE]
            assert living(world) == []


async def test_a_reopened_instance_whose_old_process_lives(world: World) -> None:
    """The old process is killed before the instance is launched again."""
    async with launcher(world, "a") as here:
        await start(world, "i")
        process = world.placement("a").of("i")
        process.heeds = False
        registered = await world.register(process)
        await world.persistence.events.end(
            Caller("i", registered.run),
            Event(EventType.FAILED, b"", world.clock.now()),
            Ending(State.FAILED, error="no stock"),
            when=OPEN,
            at=world.clock.now(),
        )
        await world.persistence.launches.retry(Retry(instance_id="i"), at=world.clock.now())
        here.recheck()
        await world.pass_time(2)

        assert process.sent == [StopSignal.KILL]
        assert living(world) == ["i"]
        events = world.placement("a").events
        assert events.index(("kill", "i")) < events.index(("start", "i"), 1)
        assert [one.cause for one in await world.launches("i")] == [Cause.SUPERSEDED, None]


@pytest.mark.parametrize("is_stopped", [True, False], ids=["stopped", "taken by hand"])
async def test_a_process_that_is_to_end_while_it_is_being_started(
    world: World, is_stopped: bool
) -> None:
    """It is ended as soon as it exists: an earlier signal has reached no process."""
    before_fork = Gate()
    world.placements["a"] = GatedPlacement("a", before_fork)
    async with launcher(world, "a") as here:
        before_fork.shut()
        await start(world, "i")
        if is_stopped:
            stop = Stop("i", timedelta(0), "enough")
            here.stopping(await world.persistence.launches.stop(stop, at=world.clock.now()))
        else:
            by_hand = Registration("i", TENANT)
            await world.persistence.instances.register(by_hand, when=OPEN, at=world.clock.now())
        await world.pass_time(12)
        before_fork.open()
        await world.pass_time(3)

        assert living(world) == []
