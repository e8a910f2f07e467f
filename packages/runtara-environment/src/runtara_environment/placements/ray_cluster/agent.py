"""
The agent of a node: it launches processes by a spawner, and remembers how they ended.

It runs as an actor of Ray, but this module doesn't import Ray: the helper makes the actor.
"""

import asyncio
import logging
import os
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from runtara_domain.error import DatabaseError
from runtara_domain.launching.attention import Patience
from runtara_domain.launching.lease import LeaseKeeper
from runtara_domain.model.environments import NewEnvironment
from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.model.launches import OpenLaunch
from runtara_domain.model.stored_environments import EnvironmentKind
from runtara_domain.ports.instances import Instances
from runtara_domain.ports.placements import LaunchFailed, StopSignal
from runtara_domain.system_clock import SystemClock
from runtara_environment.folders import safe_name
from runtara_environment.placements.local import LocalPlacement, LocalSettings
from runtara_environment.placements.ray_cluster.wire import (
    AGENT_LEASE,
    VERSION,
    AgentSetup,
    packed,
    unpacked,
)
from runtara_environment.runners.registry import runners
from runtara_environment.spawner.machine import boot_id
from runtara_persistence.connect import connect

logger = logging.getLogger(__name__)

_POLL_S = 10.0
_LOOK_S = 1.0
_LAST_S = 30.0
"""How long an agent that leaves waits for the processes that it has killed."""


class NodeAgent:
    """
    Serves one environment on one node until its raylet ends, or no request came for a long time.

    A caller may repeat any method after a failure: its effect happens once.
    """

    def __init__(self, setup: str, node: str, machine: str) -> None:
        self._setup: AgentSetup = unpacked(setup)
        self._node, self._machine = node, machine
        self._opening = asyncio.Lock()
        self._is_open = False
        self._ends: dict[str, LaunchEnd] = {}
        self._changed = asyncio.Event()
        self._living: set[str] = set()
        self._has_taken_up = self._is_leaving = False
        self._asked_at = 0.0
        self._raylet = os.getppid()

    async def begin(self, setup: str) -> dict[str, Any]:
        """
        Take the lease and find the spawner; return the version of this agent's code.

        setup: it replaces the setup of the constructor, because the environment may have started
        again with another setup since then.
        """
        async with self._opening:
            self._setup = unpacked(setup)
            if not self._is_open:
                async with AsyncExitStack() as stack:
                    await self._open(stack)
                    self._stack = stack.pop_all()
                self._is_open = True
            self._placement.settings = await asyncio.to_thread(_local, self._setup, self._home)
        self._note_asked()
        return {"version": VERSION}

    async def _open(self, stack: AsyncExitStack) -> None:
        setup = self._setup
        folder = setup.data_dir / safe_name(setup.agent_id(self._node))
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        self._home = folder
        persistence = await stack.enter_async_context(connect(setup.database_url))
        clock = SystemClock()
        new = NewEnvironment(
            environment_id=setup.agent_id(self._node),
            machine=self._machine,
            boot_id=boot_id(),
            capacity=0,
            kind=EnvironmentKind.NODE,
        )
        self._lease = LeaseKeeper(
            persistence.environments,
            clock,
            new,
            AGENT_LEASE,
            Patience().silence,
            lambda renewal: None,
        )
        await self._lease.open()
        self._placement = LocalPlacement(
            persistence.images, runners(setup.oci_runtime), _local(setup, folder)
        )
        await stack.enter_async_context(self._placement.watch(self._ended))
        self._tasks = [
            asyncio.create_task(self._lease.keep()),
            asyncio.create_task(self._look_after_raylet()),
            asyncio.create_task(self._sweep(persistence.instances)),
        ]

    def _ended(self, launch_id: str, end: LaunchEnd) -> None:
        if self._is_leaving and end.cause is Cause.KILLED:
            # This agent killed the process, so the end is no crash of the launch.
            reason = f"killed because the raylet of its node {self._node} has ended"
            end = replace(end, cause=Cause.RUNNER_FAILED, signal=None, reason=reason)
        self._ends[launch_id] = end
        self._living.discard(launch_id)
        self._changed.set()

    def _note_asked(self) -> None:
        self._asked_at = asyncio.get_running_loop().time()

    # The environment's calls

    async def take_up(self, rows: str, starting: list[str]) -> None:
        """
        Go on with these launches, and end all others of this node.

        starting: the ids of launches that are being started now.
        """
        launches: list[OpenLaunch] = unpacked(rows)
        kept = {row.launch_id for row in launches}
        if not self._has_taken_up:
            # The environment asks again for a launch that is being started. It may have no process.
            launches = [
                row
                for row in launches
                if row.launch_id not in starting or self._placement.knows(row.launch_id)
            ]
            self._living |= {row.launch_id for row in launches}
            await self._placement.take_up(launches)
            self._has_taken_up = True
            return
        for row in launches:
            if row.launch_id not in {*self._living, *self._ends, *starting}:
                reason = "the environment ended before the start"
                self._ended(row.launch_id, LaunchFailed(Cause.RUNNER_FAILED, reason).end)
        for launch_id in self._living - kept:
            await self._placement.send(launch_id, StopSignal.KILL)

    async def launch(self, assignment: str, given: bytes | None) -> dict[str, str]:
        """Launch a process; return its handle, or the pickled reason why it has none."""
        launched = unpacked(assignment)
        launch_id: str = launched.launch_id
        self._living.add(launch_id)
        try:
            handle = await self._placement.launch(launched, given, may_start=self._lease.is_good)
        except LaunchFailed as failed:
            self._living.discard(launch_id)
            return {"failed": packed((failed.end.cause, str(failed), failed.problem))}
        except DatabaseError:
            # The image could not be fetched. The environment asks again.
            self._living.discard(launch_id)
            raise
        if launch_id in self._ends:
            # This is the second request for the launch, which has ended since the first.
            self._living.discard(launch_id)
        return {"handle": handle}

    async def send(self, launch_id: str, signal: str) -> None:
        """Send a signal to a process."""
        await self._placement.send(launch_id, StopSignal(signal))

    async def confirm(self, launch_id: str) -> None:
        """Forget a launch that has ended."""
        await self._placement.confirm(launch_id)
        self._ends.pop(launch_id, None)

    async def ends(self, known: list[str]) -> dict[str, str]:
        """Wait for ends that the caller doesn't know; return none if none comes in `_POLL_S`."""
        try:
            async with asyncio.timeout(_POLL_S):
                while not (news := set(self._ends) - set(known)):
                    self._note_asked()
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            news = set()
        self._note_asked()
        return {launch_id: packed(self._ends[launch_id]) for launch_id in news}

    async def read_log(
        self, tenant_id: str, instance_id: str, launch_id: str, offset: int, limit: int
    ) -> str:
        """Read a piece of a process's output, and return it pickled."""
        folder = self._placement.folder(tenant_id, instance_id, launch_id)
        return packed(await asyncio.to_thread(folder.read_log, offset, limit))

    async def _sweep(self, instances: Instances) -> None:
        """Remove folders that nothing needs any more, as an environment does on its machine."""

        async def is_known(instance_id: str) -> bool:
            return await instances.get(instance_id) is not None

        while True:
            await asyncio.sleep(self._setup.sweep_s)
            try:
                count = await self._placement.sweep(is_known, self._setup.retention)
            except (DatabaseError, OSError) as error:
                logger.warning("node %s: no folders are removed: %s", self._node, error)
            else:
                logger.info("node %s: %d folders removed", self._node, count)

    # Its own end

    async def _look_after_raylet(self) -> None:
        """Leave when the raylet has ended, because no helper would find this agent again."""
        clock = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK_S)
            is_idle = not self._living and not self._ends
            if os.getppid() != self._raylet:
                logger.warning("the raylet of node %s has ended: ending its launches", self._node)
                await self._leave()
            elif is_idle and clock.time() - self._asked_at >= self._setup.idle_s:
                await self._leave()

    async def _leave(self) -> None:
        self._is_leaving = True
        try:
            async with asyncio.timeout(_LAST_S):
                while self._living:
                    for launch_id in list(self._living):
                        await self._placement.send(launch_id, StopSignal.KILL)
                    await asyncio.sleep(0.1)
                # Only now: giving up the lease says that no process of the node lives.
                await self._lease.close()
        finally:
            os._exit(0)


def _local(setup: AgentSetup, folder: Path) -> LocalSettings:
    tls_ca = None
    if setup.tls_ca_pem is not None:
        tls_ca = folder / "ca.pem"
        tls_ca.write_text(setup.tls_ca_pem)
    return LocalSettings(
        data_dir=folder,
        core_addr=setup.core_addr,
        server_name=setup.server_name,
        tls_ca=tls_ca,
        skip_cert_verification=setup.skip_cert_verification,
        max_log_bytes=setup.max_log_bytes,
        warm_images=setup.warm_images,
        prepared_processes=setup.prepared_processes,
    )
