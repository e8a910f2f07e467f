"""The environment's side of launches on a Ray cluster; nothing here imports Ray."""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

from runtara_domain.error import DatabaseError
from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.model.launches import Assignment, OpenLaunch
from runtara_domain.model.stored_images import Image
from runtara_domain.ports.persistence import Persistence
from runtara_domain.ports.placements import HasEnded, LaunchFailed, LogPiece, StopSignal
from runtara_domain.status import State
from runtara_domain.system_clock import SystemClock
from runtara_environment.placements.endings import parsed_handle
from runtara_environment.placements.ray_cluster.client import HelperClient, start_helper
from runtara_environment.placements.ray_cluster.nodes import NodeWatch
from runtara_environment.placements.ray_cluster.wire import AgentSetup, booked, packed, unpacked
from runtara_environment.placements.spawner import SpawnerLost, SpawnerRefused
from runtara_environment.placements.waiting import WaitingLine
from runtara_environment.runners.port import Runner
from runtara_environment.runners.registry import runners
from runtara_environment.spawner.frames import Message

logger = logging.getLogger(__name__)

RAY = "ray"
"""The placement's name in the metadata of images."""

_LOOK_S = 2.0
_AGAIN_S = 1.0
_TRIES = 3
_LEFT = 1000
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RaySettings:
    """
    address: host:port of the cluster's head. own_ip: the address at which nodes reach this machine;
    None: Ray finds it. booking_wait: how long a launch waits for resources before it is given back.
    answer_wait: how long a launch waits for the cluster to answer, and for the agent of its node.
    """

    address: str
    agents: AgentSetup
    own_ip: str | None = None
    booking_wait: timedelta = timedelta(seconds=5)
    answer_wait: timedelta = timedelta(seconds=60)


@dataclass(slots=True)
class RayPlacement:
    """
    Implements `runtara_domain.ports.placements.Placement`; used while its `watch` is open.

    If the helper ends, the placement starts another one. Without a cluster, launches wait for one.
    A node's agent takes up the open launches of its node before it launches anything more.
    """

    persistence: Persistence
    settings: RaySettings
    _runners: Mapping[str, Runner] = field(init=False)
    _ended: HasEnded | None = None
    _client: HelperClient | None = None
    _is_up: asyncio.Event = field(default_factory=asyncio.Event)
    _are_known: asyncio.Event = field(default_factory=asyncio.Event)
    _ready: defaultdict[str, asyncio.Event] = field(
        default_factory=lambda: defaultdict(asyncio.Event)
    )
    _rows: dict[str, OpenLaunch] = field(default_factory=dict)
    """The open launches, as rows that the next agent of their node takes up."""
    _nodes: dict[str, str] = field(default_factory=dict)
    """The node of each launch that has one; also of launches that ended and are not open here."""
    _left: dict[str, str] = field(default_factory=dict)
    """The nodes of the launches that were confirmed last: these nodes still have their output."""
    _line: WaitingLine = field(init=False)
    _starting: dict[str, "asyncio.Task[str]"] = field(default_factory=dict)
    _tasks: set["asyncio.Task[Any]"] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._runners = runners(self.settings.agents.oci_runtime)
        self._line = WaitingLine(self.persistence.launches)

    def can_run(self, image: Image) -> bool:
        return image.sha256 is not None and image.runner_type in self._runners

    def sends_launch_id(self, image: Image) -> bool:
        runner = self._runners.get(image.runner_type)
        return runner is not None and runner.sends_launch_id

    @asynccontextmanager
    async def watch(self, ended: HasEnded) -> AsyncIterator[None]:
        self._ended = ended
        self._spawn(self._keep_helper())
        self._spawn(self._look_for_lost_nodes())
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    # Launching

    async def launch(
        self, assignment: Assignment, given: bytes | None, *, may_start: Callable[[], bool]
    ) -> str:
        launch_id = assignment.launch_id
        starting = self._starting.get(launch_id)
        if starting is None:
            starting = self._spawn(self._launch(assignment, given, may_start))
            self._starting[launch_id] = starting
            starting.add_done_callback(lambda _: self._starting.pop(launch_id))
        return await asyncio.shield(starting)

    async def _launch(
        self, assignment: Assignment, given: bytes | None, may_start: Callable[[], bool]
    ) -> str:
        launch_id, image = assignment.launch_id, assignment.image
        if image is None or not self.can_run(image):
            raise LaunchFailed(Cause.RUNNER_FAILED, "there is no runner for it on the cluster")
        self._line.begin(assignment.instance_id)
        node = await self._book(assignment, image)
        await self._line.go_on(assignment.instance_id)
        self._nodes[launch_id] = node
        self._rows.setdefault(launch_id, _row(assignment, self.settings.agents.environment_id))
        try:
            handle = await self._start(assignment, given, node, may_start)
        except LaunchFailed:
            self._forget(launch_id)
            with suppress(SpawnerLost, SpawnerRefused):
                await (await self._helper()).ask("release", launch_id=launch_id)
            raise
        if launch_id in self._rows:
            self._rows[launch_id] = replace(self._rows[launch_id], handle=handle)
        return handle

    async def _book(self, assignment: Assignment, image: Image) -> str:
        launch_id, instance_id = assignment.launch_id, assignment.instance_id
        wait_s = self.settings.booking_wait.total_seconds()
        try:
            async with asyncio.timeout(self.settings.answer_wait.total_seconds()):
                client = await self._helper()
            answer = await client.ask(
                "book", launch_id=launch_id, bundle=booked(image), wait_s=wait_s
            )
        except (TimeoutError, SpawnerLost, SpawnerRefused) as error:
            await self._line.go_on(instance_id)
            reason = f"the Ray cluster at {self.settings.address} does not answer"
            raise LaunchFailed(Cause.WAITING, reason) from error
        if "waiting" in answer:
            if answer["is_too_large"]:
                await self._line.go_on(instance_id)
            else:
                self._line.give_back(launch_id, instance_id)
            raise LaunchFailed(Cause.WAITING, answer["waiting"])
        node: str = answer["node"]
        return node

    async def _start(
        self,
        assignment: Assignment,
        given: bytes | None,
        node: str,
        may_start: Callable[[], bool],
    ) -> str:
        for _ in range(_TRIES):
            try:
                async with asyncio.timeout(self.settings.answer_wait.total_seconds()):
                    await self._ready[node].wait()
            except TimeoutError as error:
                reason = f"the agent of its node {node} does not answer"
                raise LaunchFailed(Cause.RUNNER_FAILED, reason) from error
            if not may_start():
                raise LaunchFailed(Cause.RUNNER_FAILED, "the environment's lease had expired")
            try:
                answer = await (await self._helper()).ask(
                    "start",
                    node=node,
                    assignment=packed(assignment),
                    given=None if given is None else packed(given),
                )
            except (SpawnerLost, SpawnerRefused) as error:
                # Ask again: the agent starts one process for a launch, however often it is asked.
                logger.warning("launch %s: %s", assignment.launch_id, error)
                await asyncio.sleep(_AGAIN_S)
                continue
            if "failed" in answer:
                cause, reason, problem = unpacked(answer["failed"])
                raise LaunchFailed(cause, reason, problem=problem)
            return json.dumps({**json.loads(answer["handle"]), "node": node})
        raise LaunchFailed(Cause.RUNNER_FAILED, f"its node {node} did not answer a start")

    # While they live

    async def send(self, launch_id: str, signal: StopSignal) -> None:
        node = self._nodes.get(launch_id)
        if node is not None:
            with suppress(SpawnerLost, SpawnerRefused):
                client = await self._helper()
                await client.ask("signal", node=node, launch_id=launch_id, signal=str(signal))
        elif signal is StopSignal.KILL and launch_id in self._rows:
            self._has_no_process(launch_id)

    async def confirm(self, launch_id: str) -> None:
        node = self._nodes.get(launch_id)
        self._forget(launch_id)
        if node is not None:
            self._left[launch_id] = node
            for oldest in list(self._left)[:-_LEFT]:
                del self._left[oldest]
            if self._client is not None:
                # If the confirmation is lost, the agent reports the end again.
                with suppress(SpawnerLost, SpawnerRefused):
                    await self._client.ask("confirm", node=node, launch_id=launch_id)
        await self._line.closed(launch_id)

    async def read_log(
        self, tenant_id: str, instance_id: str, launch_id: str, offset: int, limit: int
    ) -> LogPiece | None:
        node = self._nodes.get(launch_id) or self._left.get(launch_id)
        if node is None or self._client is None:
            return None
        ids = {"tenant_id": tenant_id, "instance_id": instance_id, "launch_id": launch_id}
        with suppress(SpawnerLost, SpawnerRefused):
            answer = await self._client.ask(
                "read_log", node=node, **ids, offset=offset, limit=limit
            )
            piece: LogPiece | None = unpacked(answer["piece"])
            return piece
        return None

    def _forget(self, launch_id: str) -> None:
        self._rows.pop(launch_id, None)
        self._nodes.pop(launch_id, None)

    async def take_up(self, launches: Sequence[OpenLaunch]) -> None:
        for row in launches:
            self._rows[row.launch_id] = row
            node = (parsed_handle(row.handle) or {}).get("node")
            if node is not None:
                self._nodes[row.launch_id] = node
        self._are_known.set()

    # The helper

    async def _helper(self) -> HelperClient:
        await self._is_up.wait()
        assert self._client is not None, "what is up is there"
        return self._client

    async def _keep_helper(self) -> None:
        """Keep a helper; start another one when it is lost."""
        await self._are_known.wait()
        while True:
            settings = self.settings
            helper = await start_helper(settings.address, settings.own_ip, self._heard)
            listening = asyncio.create_task(helper.client.listen(lambda *_: None))
            try:
                await self._begin_with(helper.client)
                await listening
            except (SpawnerLost, SpawnerRefused) as error:
                logger.warning("no Ray cluster at %s: %s", settings.address, error)
            finally:
                listening.cancel()
                self._is_up.clear()
                self._ready.clear()
                await helper.close()
            await asyncio.sleep(_AGAIN_S)

    async def _begin_with(self, client: HelperClient) -> None:
        waiting = [one for one in self._rows if one not in self._nodes]
        setup = packed(self.settings.agents)
        nodes = (await client.ask("begin", setup=setup, open=list(self._rows)))["nodes"]
        for launch_id in waiting:
            # The launch may have started on a node that was booked for it and not noted here.
            if launch_id in nodes:
                self._nodes[launch_id] = nodes[launch_id]
            else:
                self._has_no_process(launch_id)
        self._client = client
        self._is_up.set()

    def _has_no_process(self, launch_id: str) -> None:
        reason = "the environment ended before the start"
        self._tell(launch_id, LaunchFailed(Cause.RUNNER_FAILED, reason).end)

    def _heard(self, message: Message) -> None:
        match message["event"]:
            case "ended":
                self._nodes.setdefault(message["launch_id"], message["node"])
                self._tell(message["launch_id"], unpacked(message["end"]))
            case "agent":
                self._spawn(self._take_up_node(message["node"]))
            case "agent_lost":
                self._ready.pop(message["node"], None)
            case "room":
                self._spawn(self._line.freed())

    async def _take_up_node(self, node: str) -> None:
        rows = [row for launch_id, row in self._rows.items() if self._nodes.get(launch_id) == node]
        try:
            client = await self._helper()
            await client.ask("take_up", node=node, rows=packed(rows), starting=list(self._starting))
        except (SpawnerLost, SpawnerRefused) as error:
            # Another event reports a new agent.
            logger.warning("launches of node %s can't be taken up: %s", node, error)
        else:
            self._ready[node].set()

    def _tell(self, launch_id: str, end: LaunchEnd) -> None:
        if self._ended is not None:
            self._ended(launch_id, end)

    # Lost nodes

    async def _look_for_lost_nodes(self) -> None:
        watch, clock = NodeWatch(self.persistence.environments), SystemClock()
        agent_id = self.settings.agents.agent_id
        while True:
            await asyncio.sleep(_LOOK_S)
            placed = {
                self._nodes[launch_id]
                for launch_id, row in self._rows.items()
                if row.handle is not None and launch_id in self._nodes
            }
            if not placed:
                continue
            try:
                lost = await watch.look({agent_id(node) for node in placed}, clock.uptime())
            except DatabaseError as error:
                logger.warning("the leases of nodes can't be read: %s", error)
                continue
            for node in placed:
                if agent_id(node) in lost:
                    await self._lose(node, *lost[agent_id(node)])

    async def _lose(self, node: str, cause: Cause, reason: str) -> None:
        logger.warning("node %s is lost: %s", node, reason)
        self._ready.pop(node, None)
        end = LaunchEnd(cause=cause, reports=False, reason=f"its node {node} was lost: {reason}")
        for launch_id in [one for one, where in self._nodes.items() if where == node]:
            self._rows.pop(launch_id, None)
            self._tell(launch_id, end)
        if self._client is not None:
            # If the node comes back, its agent must end the processes that it has.
            with suppress(SpawnerLost, SpawnerRefused):
                await self._client.ask("look_again", node=node)

    def _spawn(self, coroutine: Coroutine[Any, Any, _T]) -> "asyncio.Task[_T]":
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _row(assignment: Assignment, environment_id: str) -> OpenLaunch:
    image = assignment.image
    return OpenLaunch(
        launch_id=assignment.launch_id,
        instance_id=assignment.instance_id,
        tenant_id=assignment.tenant_id,
        environment_id=environment_id,
        number=assignment.number,
        created_at=assignment.created_at,
        state=State.PENDING,
        image_id=None if image is None else image.image_id,
    )
