"""The engine of launches on the database in memory, with a clock that tests move."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.contract.launching import put_image
from tests.domain.launching.world import TENANT, FakePlacement, World

from runtara_domain.error import DatabaseError
from runtara_domain.launching.attention import Patience
from runtara_domain.launching.crashes import CrashPolicy
from runtara_domain.launching.launcher import Launcher
from runtara_domain.launching.lease import LeaseTimes
from runtara_domain.model.environments import NewEnvironment
from runtara_domain.model.interventions import Stop
from runtara_domain.model.launch_ends import Cause
from runtara_domain.model.launches import Assignment, Claims, InstanceStart, Offer, OpenLaunch
from runtara_domain.model.limits import Limit, Scope
from runtara_domain.model.stored_environments import EnvironmentKind
from runtara_domain.ports.placements import LaunchFailed, StopSignal
from runtara_domain.status import State


async def start(world: World, launcher: Launcher, instance_id: str, **metadata: object) -> None:
    image = await put_image(world.persistence, tenant_id=TENANT, **metadata)  # type: ignore[arg-type]  # Metadata by name.
    started = InstanceStart(instance_id=instance_id, tenant_id=TENANT, image_id=image.image_id)
    with launcher.offering(started) as offer:
        found = await world.persistence.launches.start(started, at=world.clock.now(), offer=offer)
    launcher.take(found.claims)
    launcher.recheck()
    await world.settle()


async def test_a_started_instance_is_launched_and_judged(world: World) -> None:
    """Its process is started once; its launch is closed with what the process left behind."""
    async with world.launcher() as launcher:
        await start(world, launcher, "i")
        process = world.placement().of("i")
        registered = await world.register(process)
        await world.complete(process, registered.run)
        world.placement().exit("i", 0)
        await world.settle()

        [launch] = await world.launches("i")
        assert (launch.cause, launch.exit_code, launcher.active) == ("exited", 0, 0)
        assert await world.state("i") is State.COMPLETED
        assert world.placement().confirmed == [launch.launch_id]


async def test_a_crash_is_launched_again_after_its_back_off(world: World) -> None:
    """Five crashes in a row without progress fail the instance."""
    async with world.launcher() as launcher:
        await start(world, launcher, "i")
        for _ in range(4):
            world.placement().crash("i")
            await world.settle()
            assert world.placement().living() == []
            await world.pass_time(20)
            assert world.placement().living() == ["i"]
        world.placement().crash("i")
        await world.pass_time(100, step=10)

        assert await world.state("i") is State.FAILED
        assert [one.cause for one in await world.launches("i")] == ["killed"] * 5


async def test_an_end_asks_for_a_claim_if_its_instance_goes_on(world: World) -> None:
    """It needs no watch for that; a final end asks for none."""
    watch = world.persistence.watch
    world.persistence.watch = lambda changed, **_: watch(changed)  # type: ignore[method-assign]  # Silent.
    calls = world.count_calls()
    async with world.launcher(crashes=CrashPolicy(first=timedelta(0))) as launcher:
        await start(world, launcher, "i")
        world.placement().crash("i")
        await world.settle()
        assert world.placement().living() == ["i"]
        process = world.placement().of("i")
        registered = await world.register(process)
        await world.complete(process, registered.run)
        calls.clear()
        world.placement().exit("i", 0)
        await world.settle()

        assert (calls["close"], calls["claim"]) == (1, 0)


async def test_an_end_is_followed_by_a_claim_if_a_limit_held_something_back(world: World) -> None:
    """It needs no watch for that."""
    await world.persistence.limits.put(Limit(Scope.TENANT, TENANT, max_concurrent=1))
    watch = world.persistence.watch
    world.persistence.watch = lambda changed, **_: watch(changed)  # type: ignore[method-assign]  # Silent.
    async with world.launcher() as launcher:
        await start(world, launcher, "i")
        await start(world, launcher, "j")
        assert world.placement().living() == ["i"]
        process = world.placement().of("i")
        registered = await world.register(process)
        await world.complete(process, registered.run)
        world.placement().exit("i", 0)
        await world.settle()

        assert world.placement().living() == ["j"]


async def test_a_launcher_claims_only_what_waiting_workers_leave_to_it(world: World) -> None:
    """If no worker answers, it claims after 100 ms."""
    calls = world.count_calls()
    async with world.launcher() as launcher:
        await world.settle()
        calls.clear()
        with launcher.launchable.calling(lambda: None):
            launcher.take(None)
            await world.settle()
            launcher.answered(Claims(), launcher.launchable.count, 9)
            await world.pass_time(1)
            assert calls["claim"] == 0
            launcher.take(None)
            launcher.answered(Claims(has_others=True), launcher.launchable.count, 9)
            await world.settle()
            assert calls["claim"] == 1
            launcher.take(None)
            launcher.answered(Claims(), launcher.launchable.count - 1, 9)
            await world.settle()
            assert calls["claim"] == 1
            await world.pass_time(0.1, step=0.1)
            assert calls["claim"] == 2
        await world.pass_time(0.05, step=0.05)
        launcher.take(None)
        await world.settle()
        assert calls["claim"] == 3


async def test_at_rest_only_the_lease_is_renewed(world: World) -> None:
    """An environment without work asks nothing but the renewal for as long as it has none."""
    calls = world.count_calls()
    async with world.launcher():
        await world.pass_time(20)
        calls.clear()
        await world.pass_time(300)

        assert set(calls) == {"renew"}
        assert 28 <= calls["renew"] <= 31


async def test_a_launch_costs_no_renewal_of_the_lease(world: World) -> None:
    """Neither its claim nor its end, however many there are: claims tell what comes next."""
    calls = world.count_calls()
    async with world.launcher() as launcher:
        await world.pass_time(2)
        calls.clear()
        for name in ("a", "b", "c"):
            await start(world, launcher, name)
            process = world.placement().of(name)
            registered = await world.register(process)
            await world.fall_asleep(process, registered.run, 2)
            world.placement().exit(name, 75)
        await world.pass_time(4)

        assert world.placement().living() == ["a", "b", "c"]
        assert calls["renew"] == 0


async def test_what_becomes_launchable_during_a_claim_is_claimed_next(world: World) -> None:
    """An instance that a claim came too early for does not wait for the lease's renewal."""
    async with world.launcher() as launcher:
        await world.pass_time(2)
        claim = world.slow_claim()
        launcher.recheck()
        await claim.is_done.wait()
        image = await put_image(world.persistence, tenant_id=TENANT)
        started = InstanceStart(instance_id="i", tenant_id=TENANT, image_id=image.image_id)
        await world.persistence.launches.start(started, at=world.clock.now())
        await world.settle()
        claim.may_answer.set()
        await world.settle()

        assert world.placement().living() == ["i"]


async def test_a_claim_whose_answer_comes_after_a_gap_in_the_lease_starts_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another environment may have taken its launches over meanwhile."""

    async def fail(*args: object, **more: object) -> None:
        raise DatabaseError("it is away")

    async with world.launcher() as launcher:
        image = await put_image(world.persistence, tenant_id=TENANT)
        await world.pass_time(2)
        claim = world.slow_claim()
        started = InstanceStart(instance_id="i", tenant_id=TENANT, image_id=image.image_id)
        await world.persistence.launches.start(started, at=world.clock.now())
        launcher.recheck()
        await claim.is_done.wait()
        with monkeypatch.context() as away:
            away.setattr(world.persistence.environments, "renew", fail)
            await world.pass_time(40)
        await world.pass_time(5)
        claim.may_answer.set()
        await world.settle()

        assert world.placement().started == []
        [launch] = await world.launches("i")
        assert launch.cause == "runner_failed"


async def test_one_that_runs_by_hand_is_launched_once_it_is_silent(world: World) -> None:
    """It is launched at that moment, although no launch of it was ever open here."""
    async with world.launcher(patience=Patience(silence=timedelta(seconds=33))) as launcher:
        await world.pass_time(2)
        await start(world, launcher, "i")
        process = world.placement().of("i")
        await world.register(process, by_hand=True)
        await world.pass_time(32.5)
        assert world.placement().living() == []
        await world.pass_time(0.5)
        assert world.placement().living() == ["i"]


async def test_a_back_off_of_an_environment_that_died_ends_in_time_elsewhere(world: World) -> None:
    """The other one learned that the launch was closed, and asked what becomes launchable."""
    async with world.launcher("b") as other:
        await world.pass_time(2)
        async with world.launcher("a", leaves_processes=True) as launcher:
            await start(world, launcher, "i")
            world.placement("a").crash("i")
            await world.settle()
        await world.pass_time(2)

        assert (other.active, world.placement("b").living()) == (1, ["i"])


async def test_a_sleeper_is_launched_when_it_is_due(world: World) -> None:
    """It is launched at its moment, however far that is, also if many follow one another."""
    async with world.launcher() as launcher:
        for name in ("a", "b", "c"):
            await start(world, launcher, name)
        for name, seconds in (("a", 33), ("b", 35), ("c", 36.5)):
            process = world.placement().of(name)
            registered = await world.register(process)
            await world.fall_asleep(process, registered.run, seconds)
            world.placement().exit(name, 75)
        await world.pass_time(32.5)
        assert world.placement().living() == []
        await world.pass_time(1)
        assert world.placement().living() == ["a"]
        await world.pass_time(2)
        assert world.placement().living() == ["a", "b"]
        await world.pass_time(1.5)
        assert world.placement().living() == ["a", "b", "c"]


async def test_a_sleeper_that_is_due_before_the_next_renewal_is_launched_then(
    world: World,
) -> None:
    """Its end tells that there is a moment to be known."""
    async with world.launcher() as launcher:
        await start(world, launcher, "a")
        process = world.placement().of("a")
        registered = await world.register(process)
        await world.pass_time(1)
        await world.fall_asleep(process, registered.run, 3)
        world.placement().exit("a", 75)
        await world.pass_time(2.5)
        assert world.placement().living() == []
        await world.pass_time(0.75)
        assert world.placement().living() == ["a"]


async def test_a_stop_ends_the_process_after_its_grace(world: World) -> None:
    """SIGTERM at the end of the grace, SIGKILL a second later, CANCELLED with the reason."""
    async with world.launcher() as launcher:
        await start(world, launcher, "i")
        process = world.placement().of("i")
        await world.register(process)
        process.heeds = False
        stopped = await world.persistence.launches.stop(
            Stop("i", timedelta(seconds=5), "enough"), at=world.clock.now()
        )
        launcher.stopping(stopped)
        await world.pass_time(4.5)
        assert process.sent == []
        await world.pass_time(0.5)
        assert process.sent == [StopSignal.TERMINATE]
        await world.pass_time(1)

        instance = await world.persistence.instances.get("i")
        assert instance is not None
        assert (instance.state, instance.error) == (State.CANCELLED, "enough")
        assert process.sent == [StopSignal.TERMINATE, StopSignal.KILL]


async def test_a_stop_of_what_no_environment_runs_ends_two_seconds_later(world: World) -> None:
    """Any environment does it."""
    async with world.launcher() as launcher:
        await start(world, launcher, "i")
        process = world.placement().of("i")
        registered = await world.register(process)
        await world.fall_asleep(process, registered.run, 1000)
        world.placement().exit("i", 75)
        await world.settle()
        world.placement().failure = LaunchFailed(Cause.RUNNER_FAILED, "no")
        stopped = await world.persistence.launches.stop(
            Stop("i", timedelta(0), "enough"), at=world.clock.now()
        )
        launcher.stopping(stopped)
        await world.pass_time(3)

        assert await world.state("i") is State.CANCELLED


class Unseen(FakePlacement):
    """Has no handles: a launch is looked at again only when something asks for it."""

    async def launch(  # type: ignore[override]  # As the port allows.
        self, assignment: Assignment, given: bytes | None, *, may_start: Callable[[], bool]
    ) -> None:
        await super().launch(assignment, given, may_start=may_start)


async def test_a_stop_between_a_claim_and_its_launch_is_heeded_soon(world: World) -> None:
    """The environment was not watching the instance when the stop was stored."""
    world.placements["here"] = Unseen()
    image = await put_image(world.persistence, tenant_id=TENANT)
    asked = InstanceStart(instance_id="i", tenant_id=TENANT, image_id=image.image_id)
    async with world.launcher() as launcher:
        await world.settle()
        with launcher.offering(asked) as offer:
            started = await world.persistence.launches.start(
                asked, at=world.clock.now(), offer=offer
            )
        assert started.claims is not None
        stop = Stop("i", timedelta(0), "enough")
        await world.persistence.launches.stop(stop, at=world.clock.now())
        await world.settle()
        launcher.take(started.claims)
        await world.settle()
        process = world.placement().of("i")
        assert process.sent == []
        await world.pass_time(0.05)

        assert process.sent == [StopSignal.TERMINATE]


async def test_a_timeout_cancels_then_kills(world: World) -> None:
    """FAILED with the timeout if the process doesn't heed the cancel within its grace."""
    async with world.launcher() as launcher:
        await start(world, launcher, "i", timeout_s=20, grace_s=3)
        process = world.placement().of("i")
        await world.register(process)
        await world.pass_time(20.5)
        instance = await world.persistence.instances.get("i")
        assert instance is not None
        assert process.sent == []
        await world.pass_time(3)

        [launch] = await world.launches("i")
        failed = await world.persistence.instances.get("i")
        assert failed is not None
        assert (failed.state, launch.cause) == (State.FAILED, "timed_out")
        assert "timed out after 20 s" in (failed.error or "")


async def test_a_timeout_of_one_that_never_registered_fails_its_instance(world: World) -> None:
    """No cancel is put in, which would end the instance while the process lives."""
    async with world.launcher() as launcher:
        await start(world, launcher, "i", timeout_s=20, grace_s=3)
        await world.pass_time(20.5)
        assert (world.placement().living(), await world.state("i")) == (["i"], State.PENDING)
        await world.pass_time(3)

        failed = await world.persistence.instances.get("i")
        assert failed is not None
        assert (failed.state, world.placement().living()) == (State.FAILED, [])
        assert "timed out after 20 s" in (failed.error or "")


async def test_the_timeouts_of_a_suspect_in_a_worker_count_from_its_turn(world: World) -> None:
    """A worker begins only a few at once: the time before is no time of its process."""
    turn = world.placement().turn = asyncio.Event()
    image = await put_image(world.persistence, tenant_id=TENANT, timeout_s=20)
    started = InstanceStart(instance_id="i", tenant_id=TENANT, image_id=image.image_id)
    async with world.launcher() as launcher:
        await world.settle()
        with launcher.offering(started) as offer:
            found = await world.persistence.launches.start(
                started, at=world.clock.now(), offer=offer
            )
        assert found.claims is not None
        [one] = found.claims.assignments
        suspect = replace(one, image=None, crashes=1)
        launcher.take(replace(found.claims, assignments=(suspect,)))
        await world.pass_time(310, step=2)
        assert await world.state("i") is State.PENDING

        turn.set()
        await world.settle()
        await world.register(world.placement().of("i"))
        await world.pass_time(25)
        assert world.placement().living() == ["i"]
        await world.pass_time(6)

        failed = await world.persistence.instances.get("i")
        assert failed is not None
        assert (failed.state, world.placement().living()) == (State.FAILED, [])
        assert "timed out after 20 s" in (failed.error or "")


async def test_a_process_that_never_registers_is_killed(world: World) -> None:
    """It is killed after its start timeout, and that counts as a crash."""
    async with world.launcher() as launcher:
        await start(world, launcher, "i", start_timeout_s=30)
        await world.pass_time(29.5)
        assert world.placement().living() == ["i"]
        await world.pass_time(1)

        first, *_ = await world.launches("i")
        assert (first.cause, first.verdict) == ("start_timeout", "crash")


async def test_a_silent_process_is_killed(world: World) -> None:
    """One that is RUNNING and unheard of for the silence; one that is asleep is not."""
    async with world.launcher() as launcher:
        await start(world, launcher, "i")
        await start(world, launcher, "asleep")
        quiet, asleep = world.placement().of("i"), world.placement().of("asleep")
        await world.register(quiet)
        registered = await world.register(asleep)
        await world.fall_asleep(asleep, registered.run, 3600, holder="core")
        await world.pass_time(119, step=1)
        assert quiet.sent == []
        await world.pass_time(2, step=1)

        assert quiet.sent == [StopSignal.KILL]
        assert asleep.sent == []


async def test_an_instance_that_fails_by_silence_says_so(world: World) -> None:
    """Its error names the time of silence, not the signal that ended its process."""
    silence = Patience(silence=timedelta(seconds=33))
    once = CrashPolicy(maximum=1)
    async with world.launcher(patience=silence, crashes=once) as launcher:
        await start(world, launcher, "i")
        await world.register(world.placement().of("i"))
        await world.pass_time(34)

        instance = await world.persistence.instances.get("i")
        assert instance is not None
        assert (instance.state, instance.error) == (
            State.FAILED,
            "crashed 1 times in a row without progress, the last time: killed because it gave no"
            " sign of life for 33 s",
        )
        [launch] = await world.launches("i")
        assert (launch.cause, launch.exit_signal) == ("killed", 9)


async def test_a_process_that_lives_on_while_its_instance_is_due_is_ended(world: World) -> None:
    """It has two seconds, then SIGTERM, a second, SIGKILL; then the instance is launched."""
    async with world.launcher() as launcher:
        await start(world, launcher, "i")
        process = world.placement().of("i")
        process.heeds = False
        registered = await world.register(process)
        await world.fall_asleep(process, registered.run, 20)
        await world.pass_time(21.5)
        assert process.sent == []
        await world.pass_time(1)
        assert process.sent == [StopSignal.TERMINATE]
        await world.pass_time(1.5)

        assert process.sent == [StopSignal.TERMINATE, StopSignal.KILL]
        assert world.placement().living() == ["i"]


async def test_a_superseded_process_is_killed(world: World) -> None:
    """It is killed as soon as the launcher notices that a run without a launch has the instance."""
    async with world.launcher() as launcher:
        await start(world, launcher, "i")
        process = world.placement().of("i")
        await world.register(process)
        await world.register(process, by_hand=True)
        await world.pass_time(11)

        assert world.placement().living() == []
        [launch] = await world.launches("i")
        assert launch.cause == "superseded"


async def test_no_more_is_launched_than_there_are_slots(world: World) -> None:
    """The rest waits; a process in a held sleep leaves its slot to another."""
    async with world.launcher(capacity=2) as launcher:
        for name in ("a", "b", "c", "d"):
            await start(world, launcher, name)
        assert len(world.placement().living()) == 2
        process = world.placement().of("a")
        registered = await world.register(process)
        await world.fall_asleep(process, registered.run, 1000, holder="core")
        await world.pass_time(11)
        assert world.placement().living() == ["a", "b", "c"]
        world.placement().exit("b", 1)
        await world.settle()

        assert world.placement().living() == ["a", "c", "d"]


async def test_while_instances_wait_few_slots_are_filled_together(world: World) -> None:
    """A claim of each by itself would cost more than the launches; none waits for long."""
    calls = world.count_calls()
    async with world.launcher(capacity=16) as launcher:
        for number in range(32):
            await start(world, launcher, f"i{number:02}")
        placement = world.placement()
        # The claim that follows finds that more instances wait.
        placement.exit("i00", 1)
        await world.settle()
        before = calls["claim"]
        placement.exit("i01", 1)
        await world.settle()
        assert (calls["claim"], len(placement.living())) == (before, 15)
        placement.exit("i02", 1)
        await world.settle()
        assert (calls["claim"], len(placement.living())) == (before + 1, 16)

        placement.exit("i03", 1)
        await world.settle()
        await world.pass_time(0.06, step=0.06)

        assert (calls["claim"], len(placement.living())) == (before + 2, 16)


async def test_an_image_that_can_not_run_blocks_its_instances(world: World) -> None:
    """They are blocked with the image's problem, and don't crash again and again."""
    problem = "Traceback: no module"
    world.placement().failure = LaunchFailed(Cause.REFUSED, problem, problem=problem)
    async with world.launcher() as launcher:
        await start(world, launcher, "i")

        [launch] = await world.launches("i")
        instance = await world.persistence.instances.get("i")
        image = await world.persistence.images.get(launch.image_id or "")
        assert instance is not None
        assert image is not None
        assert (launch.cause, image.problem) == ("refused", problem)
        assert (instance.state, instance.error) == (State.PAUSED, problem)


async def test_a_line_of_the_log_is_short_whatever_an_image_says(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """All of it is stored with the launch."""
    problem = "x" * 50_000
    world.placement().failure = LaunchFailed(Cause.REFUSED, problem, problem=problem)
    with caplog.at_level(logging.INFO):
        async with world.launcher() as launcher:
            await start(world, launcher, "i")

    instance = await world.persistence.instances.get("i")
    assert instance is not None
    assert instance.error == problem
    assert max(len(record.getMessage()) for record in caplog.records) < 2000


async def test_what_a_placement_raises_costs_one_launch(world: World) -> None:
    """The instance is launched again after a back-off that counts for nothing."""
    world.placement().failure = ZeroDivisionError()
    async with world.launcher() as launcher:
        await start(world, launcher, "i")
        [launch] = await world.launches("i")
        assert (launch.cause, launch.verdict) == ("runner_failed", "relaunch")
        world.placement().failure = None
        await world.pass_time(3)

        assert world.placement().living() == ["i"]


async def test_the_end_of_an_environment_asks_its_processes_to_leave(world: World) -> None:
    """What leaves, and what is killed after the grace, is launchable at once elsewhere."""
    async with world.launcher("other", capacity=0):
        async with world.launcher(shutdown_grace=timedelta(0)) as launcher:
            await start(world, launcher, "i")
            await start(world, launcher, "j")
            world.placement().of("j").heeds = False

        assert world.placement().living() == []
        assert await world.state("i") is State.PENDING
    async with world.launcher("next"):
        await world.settle()
        assert world.placement("next").living() == ["i", "j"]


async def test_what_an_environment_has_claimed_at_its_end_is_given_back(world: World) -> None:
    """A claim that its end cuts off is carried out all the same, and its answer is lost."""
    async with world.launcher(capacity=1) as launcher:
        await start(world, launcher, "fills")
        await start(world, launcher, "i")
        offer = Offer(environment_id="here", can_run=lambda image: True)
        claims = await world.persistence.launches.claim(offer, limit=1, at=world.clock.now())
        assert len(claims.assignments) == 1

    [launch] = await world.launches("i")
    assert launch.cause == "stopped"
    async with world.launcher("next"):
        await world.settle()
        assert world.placement("next").living() == ["fills", "i"]


async def test_a_claim_that_is_still_under_way_at_the_end_takes_nothing(world: World) -> None:
    """One that was cut off may be carried out after what is open was read."""
    launches = world.persistence.launches
    read = launches.open_launches
    late: list[Claims] = []
    offer = Offer(environment_id="here", can_run=lambda image: True)

    async def read_then_claim(environment_id: str, *, at: datetime) -> Sequence[OpenLaunch]:
        rows = await read(environment_id, at=at)
        if not world.placement().living():
            late.append(await launches.claim(offer, limit=1, at=at))
        return rows

    async with world.launcher(capacity=1) as launcher:
        await start(world, launcher, "fills")
        await start(world, launcher, "i")
        launches.open_launches = read_then_claim  # type: ignore[method-assign]  # A claim comes late.

    assert [claims.is_draining for claims in late] == [True]
    assert await world.launches("i") == []


async def test_a_process_that_no_signal_ends_keeps_its_launch(world: World) -> None:
    """The end of its environment neither waits for it for ever nor has it launched elsewhere."""

    async def begin_and_end() -> None:
        async with world.launcher(shutdown_grace=timedelta(0)) as launcher:
            await start(world, launcher, "i")
            world.placement().of("i").is_stuck = True

    ending = asyncio.create_task(begin_and_end())
    await world.pass_time(30)
    await ending

    async with world.launcher("next"):
        await world.pass_time(10)
        assert world.placement("next").living() == []
    assert world.placement().of("i").sent == [StopSignal.TERMINATE, StopSignal.KILL]
    [launch] = await world.launches("i")
    assert launch.cause is None


async def test_processes_that_are_left_are_taken_up(world: World) -> None:
    """The next environment of the id goes on with them, and judges what ended meanwhile."""
    async with world.launcher(leaves_processes=True) as launcher:
        await start(world, launcher, "i")
        await start(world, launcher, "j")
    world.placement().crash("j")
    async with world.launcher():
        await world.settle()
        assert world.placement().living() == ["i"]
        assert [one.cause for one in await world.launches("j")] == ["killed"]
        world.placement().exit("i", 1)
        await world.settle()
        assert await world.state("i") is State.FAILED


async def test_what_is_taken_up_gives_a_place_back_under_a_new_bound_of_tenants(
    world: World,
) -> None:
    """The former environment claimed it without a bound, so its end is told by no watch."""
    async with world.launcher(leaves_processes=True) as launcher:
        await start(world, launcher, "i")
    async with world.launcher(tenant_limit=1) as launcher:
        await start(world, launcher, "j")
        assert world.placement().living() == ["i"]
        process = world.placement().of("i")
        registered = await world.register(process)
        await world.complete(process, registered.run)
        world.placement().exit("i", 0)
        await world.settle()

        assert world.placement().living() == ["j"]


async def test_launches_of_a_lost_environment_are_taken_over(world: World) -> None:
    """Only by one that has renewed well for a while, and a RUNNING instance must be silent."""
    async with world.launcher("lost", leaves_processes=True) as launcher:
        await start(world, launcher, "i")
        await world.register(world.placement("lost").of("i"))
    async with world.launcher("other"):
        await world.pass_time(28)
        assert world.placement("other").living() == []
        [launch] = await world.launches("i")
        assert launch.cause is None
        await world.pass_time(60)

        assert world.placement("other").living() == ["i"]
        assert [one.cause for one in await world.launches("i")] == ["environment_lost", None]


async def test_a_lost_environment_is_noticed_when_its_lease_is_over(world: World) -> None:
    """The next renewal may come long after that moment."""
    times = LeaseTimes(every=timedelta(seconds=25), steady=timedelta(seconds=1))
    async with world.launcher("lost", leaves_processes=True, lease=times) as launcher:
        await start(world, launcher, "i")
    async with world.launcher("other", lease=times):
        await world.pass_time(29)
        [launch] = await world.launches("i")
        assert launch.cause is None
        await world.pass_time(1)

        [launch] = await world.launches("i")
        assert launch.cause == "environment_lost"


async def test_one_that_has_just_begun_takes_over_as_soon_as_it_may(world: World) -> None:
    """It does so once it has renewed well for long enough, before its next regular renewal."""
    async with world.launcher("lost", leaves_processes=True) as launcher:
        await start(world, launcher, "i")
    await world.pass_time(31)
    times = LeaseTimes(every=timedelta(seconds=25), steady=timedelta(seconds=7))
    async with world.launcher("other", lease=times):
        await world.pass_time(6)
        assert [one.cause for one in await world.launches("i")] == [None]
        await world.pass_time(1)

        assert next(one.cause for one in await world.launches("i")) == "environment_lost"


async def test_a_drained_environment_goes_on_as_soon_as_the_drain_is_taken_back(
    world: World,
) -> None:
    """While it is drained it asks for no more than at rest."""
    calls = world.count_calls()
    async with world.launcher() as here:
        await world.settle()
        await world.persistence.environments.drain("here", draining=True)
        await start(world, here, "i")
        another = InstanceStart(instance_id="j", tenant_id=TENANT, image_id="any")
        with here.offering(another) as offered:
            pass
        calls.clear()
        await world.pass_time(60)
        asked = dict(calls)
        await world.persistence.environments.drain("here", draining=False)
        await world.settle()

        assert offered is None
        assert set(asked) == {"renew"}
        assert world.placement().living() == ["i"]


@pytest.mark.parametrize("is_drained", [False, True])
async def test_one_that_was_killed_as_it_left_goes_on(world: World, *, is_drained: bool) -> None:
    """The next process of its id claims, unless an operator has drained it."""
    kind, environments = EnvironmentKind.WORKER, world.persistence.environments
    new = NewEnvironment(environment_id="here", machine="m", kind=kind, capacity=9)
    await environments.open(new, ttl=timedelta(seconds=30))
    await environments.drain("here", draining=is_drained)
    await environments.leave("here")
    async with world.launcher(kind=kind) as here:
        await start(world, here, "i")

        assert world.placement().living() == ([] if is_drained else ["i"])


async def test_of_concurrent_starts_one_has_the_offer(world: World) -> None:
    """What the others start is claimed together; for what can't be launched now there is none."""
    image = await put_image(world.persistence, tenant_id=TENANT)
    one = InstanceStart(instance_id="i", tenant_id=TENANT, image_id=image.image_id)
    later = replace(one, launch_after=world.clock.now() + timedelta(hours=1))
    by_name = replace(one, image_id=None, workflow="flow")
    async with world.launcher() as here:
        await world.settle()
        with here.offering(later) as delayed, here.offering(by_name) as named:
            pass
        with here.offering(one) as first, here.offering(one) as second:
            pass
        with here.offering(one) as third:
            pass
        await world.persistence.launches.start(one, at=world.clock.now())
        here.take(None)
        await world.settle()

        assert [each is not None for each in (delayed, named, first, second, third)] == [
            *(False, False),
            *(True, False, True),
        ]
        assert world.placement().living() == ["i"]


async def test_a_queue_goes_on_when_its_window_has_a_place_again(world: World) -> None:
    """It goes on at that moment, by itself."""
    limit = Limit(Scope.QUEUE, TENANT, "mail", rate=1, rate_period=timedelta(seconds=7))
    await world.persistence.limits.put(limit)
    image = await put_image(world.persistence, tenant_id=TENANT)
    for name in ("a", "b"):
        one = InstanceStart(
            instance_id=name, tenant_id=TENANT, image_id=image.image_id, queue="mail"
        )
        await world.persistence.launches.start(one, at=world.clock.now())
    async with world.launcher():
        await world.settle()
        await world.pass_time(6.5)
        assert world.placement().living() == ["a"]
        await world.pass_time(0.5)
        assert world.placement().living() == ["a", "b"]
