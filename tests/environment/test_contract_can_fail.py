"""Each promise of the placements' contract is held by a test that a placement fails without it."""

import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from tests.environment import test_local_contract
from tests.environment.conftest import Here, end_programs

from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.model.launches import Assignment, OpenLaunch
from runtara_domain.model.stored_images import Image
from runtara_domain.ports.persistence import Persistence
from runtara_domain.ports.placements import LaunchFailed, StopSignal
from runtara_environment.placement_suite import ClusterContract, Rig, running_core
from runtara_environment.placements.local import LocalPlacement, LocalSettings
from runtara_environment.runners.registry import runners
from runtara_persistence.memory import MemoryPersistence

pytestmark = pytest.mark.slow

_SHORT_S = 1.0
"""How long a promise that is not kept is waited for."""


class Whole(LocalPlacement):
    """The placement on this machine, with a report of ends that tests can change."""

    def _tell(self, launch_id: str, end: LaunchEnd) -> None:
        launch_id, end = self.told(launch_id, end)
        super()._tell(launch_id, end)

    def told(self, launch_id: str, end: LaunchEnd) -> tuple[str, LaunchEnd]:
        return launch_id, end


class NoCode(Whole):
    def told(self, launch_id: str, end: LaunchEnd) -> tuple[str, LaunchEnd]:
        return launch_id, replace(end, exit_code=None if end.exit_code is None else 0)


class NoStderr(Whole):
    def told(self, launch_id: str, end: LaunchEnd) -> tuple[str, LaunchEnd]:
        return launch_id, replace(end, stderr="")


class SignalsAreCodes(Whole):
    """As shells have it."""

    def told(self, launch_id: str, end: LaunchEnd) -> tuple[str, LaunchEnd]:
        if end.signal is None:
            return launch_id, end
        return launch_id, replace(end, cause=Cause.EXITED, exit_code=128 + end.signal, signal=None)


class NoOutput(Whole):
    def told(self, launch_id: str, end: LaunchEnd) -> tuple[str, LaunchEnd]:
        return launch_id, replace(end, output=None)


class NoInput(Whole):
    async def launch(
        self, assignment: Assignment, given: bytes | None, *, may_start: Callable[[], bool]
    ) -> str:
        return await super().launch(assignment, None, may_start=may_start)


class ByInstance(Whole):
    """One process an instance, however often that is launched."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]  # As the base takes them.
        self._ids: dict[str, str] = {}

    async def launch(
        self, assignment: Assignment, given: bytes | None, *, may_start: Callable[[], bool]
    ) -> str:
        first = f"of-{assignment.instance_id}"
        self._ids[first] = assignment.launch_id
        same = replace(assignment, launch_id=first)
        return await super().launch(same, given, may_start=may_start)

    def told(self, launch_id: str, end: LaunchEnd) -> tuple[str, LaunchEnd]:
        return self._ids.get(launch_id, launch_id), end


class NoLimit(Whole):
    async def launch(
        self, assignment: Assignment, given: bytes | None, *, may_start: Callable[[], bool]
    ) -> str:
        assert assignment.image is not None
        image = replace(assignment.image, metadata={})
        return await super().launch(replace(assignment, image=image), given, may_start=may_start)


class KillsAtOnce(Whole):
    async def send(self, launch_id: str, signal: StopSignal) -> None:
        await super().send(launch_id, StopSignal.KILL)


class NeverKills(Whole):
    async def send(self, launch_id: str, signal: StopSignal) -> None:
        await super().send(launch_id, StopSignal.TERMINATE)


class KnownOnly(Whole):
    async def send(self, launch_id: str, signal: StopSignal) -> None:
        if launch_id not in self._launched:
            raise KeyError(launch_id)
        await super().send(launch_id, signal)


class Again(Whole):
    """Starts a process whenever it is asked."""

    async def launch(
        self, assignment: Assignment, given: bytes | None, *, may_start: Callable[[], bool]
    ) -> str:
        other = replace(assignment, launch_id=uuid4().hex)
        await super().launch(other, given, may_start=may_start)
        return await super().launch(assignment, given, may_start=may_start)


class AlwaysStarts(Whole):
    async def launch(
        self, assignment: Assignment, given: bytes | None, *, may_start: Callable[[], bool]
    ) -> str:
        return await super().launch(assignment, given, may_start=lambda: True)


class NoProblem(Whole):
    async def launch(
        self, assignment: Assignment, given: bytes | None, *, may_start: Callable[[], bool]
    ) -> str:
        try:
            return await super().launch(assignment, given, may_start=may_start)
        except LaunchFailed as failed:
            raise LaunchFailed(Cause.RUNNER_FAILED, str(failed)) from failed


class RunsAll(Whole):
    def can_run(self, image: Image) -> bool:
        return True


class TakesUpNothing(Whole):
    async def take_up(self, launches: Sequence[OpenLaunch]) -> None:
        await super().take_up([])


class NeverForgets(Whole):
    async def confirm(self, launch_id: str) -> None:
        """Keep it."""


class LeavesOthers(Whole):
    async def take_up(self, launches: Sequence[OpenLaunch]) -> None:
        living, self._living = self._living, {}
        await super().take_up(launches)
        self._living = living


class LosesTheUnstarted(Whole):
    async def take_up(self, launches: Sequence[OpenLaunch]) -> None:
        await super().take_up([row for row in launches if row.handle is not None])


class AdoptsNothing(Whole):
    """A process that lost its spawner is never reported again."""

    async def _adopt(self, launch_id: str, launched: object) -> None:
        """Leave it."""


class NeverWakes(Whole):
    """Has room for two launches, and tells nothing when one of them ends."""

    async def launch(
        self, assignment: Assignment, given: bytes | None, *, may_start: Callable[[], bool]
    ) -> str:
        if len(self._launched) >= 2:
            raise LaunchFailed(Cause.WAITING, "two are launched already")
        return await super().launch(assignment, given, may_start=may_start)


class Cluster(ClusterContract):
    async def lose_node(self, rig: Rig, launched: object) -> None:
        """Nothing is lost, so nothing is reported."""


HERE = test_local_contract.TestLocalPlacement()
CLUSTER = Cluster()
BROKEN: dict[str, tuple[type[Whole], Callable[[Rig], Awaitable[None]]]] = {
    "no exit code": (NoCode, HERE.test_exit_codes_and_output),
    "no stderr": (NoStderr, HERE.test_exit_codes_and_output),
    "signals are codes": (SignalsAreCodes, HERE.test_a_signal_of_its_own),
    "no output": (NoOutput, HERE.test_input_and_output_json),
    "no input": (NoInput, HERE.test_input_and_output_json),
    "no launch id": (ByInstance, HERE.test_a_process_knows_its_launch),
    "no limit": (NoLimit, HERE.test_a_limit_of_memory),
    "kills at once": (KillsAtOnce, HERE.test_sigterm_can_be_heard),
    "never kills": (NeverKills, HERE.test_a_kill_ends_all_its_processes),
    "signals the known": (KnownOnly, HERE.test_a_signal_to_no_process_does_nothing),
    "starts again": (Again, HERE.test_one_launch_has_one_process),
    "needs no lease": (AlwaysStarts, HERE.test_a_lease_that_is_over_starts_nothing),
    "no problem": (NoProblem, HERE.test_what_no_machine_runs_says_so),
    "runs all": (RunsAll, HERE.test_what_it_can_run_never_changes),
    "one process an instance": (ByInstance, HERE.test_twins_are_fenced_by_their_runs),
    "takes up nothing": (TakesUpNothing, HERE.test_processes_are_found_again),
    "never forgets": (NeverForgets, HERE.test_what_was_confirmed_is_forgotten),
    "leaves others": (LeavesOthers, HERE.test_launches_and_processes_that_have_lost_each_other),
    "loses the unstarted": (
        LosesTheUnstarted,
        HERE.test_launches_and_processes_that_have_lost_each_other,
    ),
    "adopts nothing": (AdoptsNothing, HERE.test_a_lost_engine_loses_no_launch),
    "books nothing": (Whole, CLUSTER.test_what_no_node_has_free_waits_and_says_why),
    "shows no output": (Whole, CLUSTER.test_output_is_read_while_its_process_runs),
    "wakes none": (NeverWakes, CLUSTER.test_freed_room_is_used_at_once),
    "no loss is told": (Whole, CLUSTER.test_a_lost_node_loses_its_launches),
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Have a spawner that all of them share, and end what the broken placements leave running."""
    folder = tmp_path_factory.mktemp("broken")
    yield folder
    os.kill(Here(folder, MemoryPersistence()).spawner_pid(), signal.SIGKILL)
    end_programs(folder)


@pytest.mark.parametrize("name", BROKEN)
async def test_a_placement_that_breaks_a_promise_fails(
    name: str, data_dir: Path, tmp_path: Path
) -> None:
    """It is missed by the test that is there for it."""
    kind, promise = BROKEN[name]
    async with AsyncExitStack() as stack:
        settings = LocalSettings(data_dir=data_dir, skip_cert_verification=True)
        persistence: Persistence
        if promise == HERE.test_twins_are_fenced_by_their_runs:
            core = await stack.enter_async_context(running_core(f"sqlite:{tmp_path}/core.db"))
            settings, persistence = replace(settings, core_addr=core.address), core.persistence
        else:
            persistence = await stack.enter_async_context(MemoryPersistence())
        rig = Rig(
            persistence,
            lambda: kind(persistence.images, runners(), settings),
            tmp_path,
            patience=_SHORT_S,
        )
        with pytest.raises(
            (AssertionError, TimeoutError, KeyError, LaunchFailed, pytest.fail.Exception)
        ):
            async with rig:
                await promise(rig)
