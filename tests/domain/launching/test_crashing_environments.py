"""Any order of deaths, outages and signals, and environments that crash and come back."""

import asyncio
from contextlib import nullcontext, suppress
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contract.launching import put_image
from tests.domain.launching.world import TENANT, Process, World

from runtara_domain.launching.launcher import Launcher
from runtara_domain.model.interventions import Retry, Stop
from runtara_domain.model.launches import InstanceStart
from runtara_domain.model.stored_launches import LaunchFilter
from runtara_domain.status import OPEN

ENVIRONMENTS = ("a", "b")
INSTANCES = ("i", "j", "k")

_instances = st.sampled_from(INSTANCES)
_environments = st.sampled_from(ENVIRONMENTS)
EVENTS = st.one_of(
    st.tuples(st.sampled_from(["start", "register", "crash", "exit", "leave"]), _instances),
    st.tuples(st.sampled_from(["sleep", "complete", "stop", "resume", "retry"]), _instances),
    st.tuples(st.sampled_from(["open", "open", "kill", "machine"]), _environments),
    st.tuples(st.just("pass"), st.sampled_from([0.5, 1, 3, 10, 40, 130])),
)


class Fleet:
    """Environments of one database, and what happens to them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.running: dict[str, asyncio.Task[None]] = {}
        self.launchers: dict[str, Launcher] = {}
        self.runs: dict[str, int] = {}

    async def execute(self, event: str, what: str | float) -> None:
        await getattr(self, f"do_{event}")(what)
        await self.world.settle(30)
        self.check_twins()

    def check_twins(self) -> None:
        """Living environments never have two living processes of an instance."""
        living = [
            instance_id
            for environment_id in self.running
            for instance_id in self.world.placement(environment_id).living()
        ]
        assert len(living) == len(set(living)), living

    async def do_start(self, instance_id: str) -> None:
        image = await put_image(self.world.persistence, tenant_id=TENANT)
        start = InstanceStart(instance_id=instance_id, tenant_id=TENANT, image_id=image.image_id)
        launcher = next(iter(self.launchers.values()), None)
        with nullcontext() if launcher is None else launcher.offering(start) as offer:
            started = await self.world.persistence.launches.start(
                start, at=self.world.clock.now(), offer=offer
            )
        if launcher is not None:
            launcher.take(started.claims)

    async def do_register(self, instance_id: str) -> None:
        for process in self.processes(instance_id):
            registered = await self.world.register(process)
            before = registered.before
            if registered.launch_is_open and before is not None and before.state in OPEN:
                self.runs[process.assignment.launch_id] = registered.run

    async def do_crash(self, instance_id: str) -> None:
        for environment_id in ENVIRONMENTS:
            with suppress(ValueError):
                self.world.placement(environment_id).crash(instance_id)

    async def do_exit(self, instance_id: str) -> None:
        for environment_id in ENVIRONMENTS:
            with suppress(ValueError):
                self.world.placement(environment_id).exit(instance_id, 0)

    async def do_leave(self, instance_id: str) -> None:
        for environment_id in ENVIRONMENTS:
            with suppress(ValueError):
                self.world.placement(environment_id).exit(instance_id, 4)

    async def do_sleep(self, instance_id: str) -> None:
        for process in self.processes(instance_id):
            if process.assignment.launch_id in self.runs:
                run = self.runs[process.assignment.launch_id]
                await self.world.fall_asleep(process, run, 20)

    async def do_complete(self, instance_id: str) -> None:
        for process in self.processes(instance_id):
            if process.assignment.launch_id in self.runs:
                await self.world.complete(process, self.runs[process.assignment.launch_id])

    async def do_stop(self, instance_id: str) -> None:
        await self.world.persistence.launches.stop(
            Stop(instance_id, timedelta(seconds=1)), at=self.world.clock.now()
        )

    async def do_resume(self, instance_id: str) -> None:
        await self.world.persistence.launches.resume(instance_id, at=self.world.clock.now())

    async def do_retry(self, instance_id: str) -> None:
        await self.world.persistence.launches.retry(
            Retry(instance_id=instance_id), at=self.world.clock.now()
        )

    async def do_open(self, environment_id: str) -> None:
        """Start an environment, unless it runs."""
        if environment_id not in self.running:
            launcher = self.world.launcher(environment_id)
            task = asyncio.create_task(self._run(launcher))
            self.running[environment_id] = task
            await self.world.settle()
            self.launchers[environment_id] = launcher

    async def _run(self, launcher: Launcher) -> None:
        async with launcher:
            await asyncio.Event().wait()

    async def do_kill(self, environment_id: str) -> None:
        """End an environment as SIGKILL does: its processes live on."""
        task = self.running.pop(environment_id, None)
        self.launchers.pop(environment_id, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def do_machine(self, environment_id: str) -> None:
        """End an environment with its whole machine."""
        await self.do_kill(environment_id)
        self.world.placement(environment_id).processes.clear()

    async def do_pass(self, seconds: float) -> None:
        await self.world.pass_time(seconds, step=max(seconds / 4, 0.5))

    def processes(self, instance_id: str) -> list[Process]:
        return [
            process
            for environment_id in ENVIRONMENTS
            for process in self.world.placement(environment_id).processes.values()
            if process.assignment.instance_id == instance_id and process.end is None
        ]

    async def come_to_rest(self) -> None:
        """Let one environment run, and each process complete, until nothing more happens."""
        await self.do_machine("b")
        await self.do_open("a")
        for _ in range(25):
            await self.do_pass(20)
            for instance_id in self.world.placement("a").living():
                await self.do_register(instance_id)
                await self.do_complete(instance_id)
                await self.do_exit(instance_id)
                await self.world.settle(30)


async def _execute(events: list[tuple[str, str | float]]) -> None:
    async with World() as world:
        fleet = Fleet(world)
        try:
            for event, what in events:
                await fleet.execute(event, what)
            await fleet.come_to_rest()
            started = [one.instance_id for one in world.persistence.store.instances.values()]
            states = {instance_id: await world.state(instance_id) for instance_id in started}
            open_launches = await world.persistence.launches.page(LaunchFilter(open_only=True))
        finally:
            for environment_id in ENVIRONMENTS:
                await fleet.do_kill(environment_id)
    assert all(state.is_final for state in states.values()), states
    assert open_launches == []


@pytest.mark.parametrize("examples", [25, pytest.param(300, marks=pytest.mark.long)])
def test_every_instance_is_launched_until_it_has_ended(examples: int) -> None:
    """No order of events leaves one behind, and living environments launch none twice at once."""

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(EVENTS, min_size=3, max_size=25))
    def holds(events: list[tuple[str, str | float]]) -> None:
        asyncio.run(_execute(events))

    holds()
