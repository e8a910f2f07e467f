"""
`python -m runtara_environment.placements.ray_cluster.helper FD`: Ray's driver, for an environment.

The helper serves the environment on an inherited socket, and ends when the environment ends. Ray
also ends this process when the head of the cluster is gone. Then the environment starts another
helper.
"""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.placement_group import (
    PlacementGroup,
    get_placement_group,
    placement_group,
    placement_group_table,
    remove_placement_group,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from runtara_environment.placements.ray_cluster.agent import NodeAgent
from runtara_environment.placements.ray_cluster.wire import (
    NAMESPACE,
    VERSION,
    unpacked,
    why_waiting,
)
from runtara_environment.spawner.frames import Decoder, Message, encode

logger = logging.getLogger(__name__)

_LOOK_S = 1.0
_ANSWER_S = 30.0
"""How long an agent may take to answer. Its method `ends` returns well before that."""
_BOOKINGS_AT_ONCE = 32
_BOOKED = ("CPU", "memory")


class Helper:
    """Keeps an agent on every node, books launches, and passes messages between both sides."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._setup = self._environment_id = ""
        self._agents: dict[str, Any] = {}
        self._following: dict[str, asyncio.Task[None]] = {}
        self._told: dict[str, set[str]] = {}
        # Bookings wait for room, and other calls make room: so bookings have threads of their own.
        self._booking = ThreadPoolExecutor(_BOOKINGS_AT_ONCE)
        self._calls = ThreadPoolExecutor()
        self._operations: dict[str, Callable[[Message], Awaitable[Message]]] = {
            "begin": self._begin,
            "book": self._book,
            "start": self._start,
            "take_up": self._take_up,
            "signal": self._signal,
            "confirm": self._confirm,
            "release": self._release,
            "look_again": self._look_again,
            "read_log": self._read_log,
        }

    # The environment

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Serve until the environment has gone."""
        decoder = Decoder()
        async with asyncio.TaskGroup() as self._tasks:
            # If the environment was killed, the kernel may reset the connection.
            with suppress(ConnectionError):
                while data := await reader.read(65536):
                    for message in decoder.feed(data):
                        self._tasks.create_task(self._execute(message))
            # No environment is left to use the requests under way.
            os._exit(0)

    async def _execute(self, message: Message) -> None:
        try:
            ok = await self._operations[message["do"]](message)
        except (RayError, TimeoutError, KeyError, ValueError) as error:
            self._say({"id": message["id"], "error": f"{type(error).__name__}: {error}"})
        else:
            self._say({"id": message["id"], "ok": ok})

    def _say(self, message: Message) -> None:
        self._writer.write(encode(message))

    # Agents

    async def _keep_agents(self) -> None:
        """Keep an agent on each living node, pass on its events, and report freed room."""
        free: dict[str, float] = {}
        while True:
            nodes = {node["NodeID"]: node for node in await self._in_thread(ray.nodes)}
            living = {node_id for node_id, node in nodes.items() if node["Alive"]}
            for node_id in living - set(self._following):
                task = self._tasks.create_task(self._follow(node_id, nodes[node_id]))
                self._following[node_id] = task
            for node_id in set(self._following) - living:
                self._following.pop(node_id).cancel()
                self._forget(node_id)
            before, free = free, await self._in_thread(ray.available_resources)
            if any(free.get(name, 0) > before.get(name, 0) for name in _BOOKED):
                self._say({"event": "room"})
            await asyncio.sleep(_LOOK_S)

    async def _follow(self, node_id: str, node: dict[str, Any]) -> None:
        while True:
            try:
                agent = await self._in_thread(self._agent, node_id, node)
                begun = await _answer(agent.begin.remote(self._setup))
                if begun["version"] != VERSION:
                    await self._in_thread(ray.kill, agent)
                    continue
                self._agents[node_id], self._told[node_id] = agent, set()
                self._say({"event": "agent", "node": node_id})
                while True:
                    await self._hand_on(node_id, agent)
            except (RayError, TimeoutError, ValueError) as error:
                logger.warning("agent of node %s failed, trying again: %s", node_id, error)
                self._forget(node_id)
                await asyncio.sleep(_LOOK_S)

    def _agent(self, node_id: str, node: dict[str, Any]) -> Any:
        affinity = NodeAffinitySchedulingStrategy(node_id, soft=False)
        options = ray.remote(NodeAgent).options(
            name=f"{self._environment_id}@{node_id}",
            lifetime="detached",
            get_if_exists=True,
            num_cpus=0,
            max_concurrency=10_000,
            scheduling_strategy=affinity,
        )
        return options.remote(self._setup, node_id, node["NodeManagerHostname"])

    async def _hand_on(self, node_id: str, agent: Any) -> None:
        told = self._told[node_id]
        ends = await _answer(agent.ends.remote(list(told)))
        for launch_id, end in ends.items():
            told.add(launch_id)
            self._say({"event": "ended", "launch_id": launch_id, "node": node_id, "end": end})

    def _forget(self, node_id: str) -> None:
        if self._agents.pop(node_id, None) is not None:
            self._say({"event": "agent_lost", "node": node_id})

    # Operations

    async def _begin(self, message: Message) -> Message:
        """Release the bookings of launches that have ended, and start watching the nodes."""
        self._setup = message["setup"]
        self._environment_id = unpacked(self._setup).environment_id
        table = await self._in_thread(placement_group_table)
        nodes: dict[str, str] = {}
        for row in table.values():
            environment_id, _, launch_id = row["name"].rpartition("/")
            if environment_id != self._environment_id or row["state"] == "REMOVED":
                continue
            if launch_id not in message["open"]:
                await self._in_thread(self._unbook, launch_id)
            elif row["state"] == "CREATED":
                nodes[launch_id] = row["bundles_to_node_id"][0]
        self._tasks.create_task(self._keep_agents())
        return {"nodes": nodes}

    async def _book(self, message: Message) -> Message:
        return await asyncio.get_running_loop().run_in_executor(
            self._booking, self._booked, message["launch_id"], message["bundle"], message["wait_s"]
        )

    def _booked(self, launch_id: str, bundle: dict[str, float], wait_s: float) -> Message:
        name = self._group_name(launch_id)
        group = _group(name) or placement_group([bundle], name=name, lifetime="detached")
        if group.wait(wait_s):
            return {"node": placement_group_table(group)["bundles_to_node_id"][0]}
        remove_placement_group(group)
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return why_waiting(bundle, nodes, ray.available_resources())

    async def _start(self, message: Message) -> Message:
        agent = self._agents[message["node"]]
        given = None if message["given"] is None else unpacked(message["given"])
        answer: Message = await _answer(agent.launch.remote(message["assignment"], given))
        return answer

    async def _take_up(self, message: Message) -> Message:
        agent = self._agents[message["node"]]
        await _answer(agent.take_up.remote(message["rows"], message["starting"]))
        return {}

    async def _signal(self, message: Message) -> Message:
        agent = self._agents[message["node"]]
        await _answer(agent.send.remote(message["launch_id"], message["signal"]))
        return {}

    async def _confirm(self, message: Message) -> Message:
        # First the booking: if the node is gone for good, the agent never answers.
        await self._release(message)
        node_id, launch_id = message["node"], message["launch_id"]
        await _answer(self._agents[node_id].confirm.remote(launch_id))
        self._told[node_id].discard(launch_id)
        return {}

    async def _release(self, message: Message) -> Message:
        await self._in_thread(self._unbook, message["launch_id"])
        return {}

    async def _read_log(self, message: Message) -> Message:
        agent = self._agents[message["node"]]
        names = ("tenant_id", "instance_id", "launch_id", "offset", "limit")
        return {"piece": await _answer(agent.read_log.remote(*(message[one] for one in names)))}

    async def _look_again(self, message: Message) -> Message:
        """Treat a node as if it had just been found."""
        following = self._following.pop(message["node"], None)
        if following is not None:
            following.cancel()
            self._forget(message["node"])
        return {}

    # Booking

    def _group_name(self, launch_id: str) -> str:
        return f"{self._environment_id}/{launch_id}"

    def _unbook(self, launch_id: str) -> None:
        group = _group(self._group_name(launch_id))
        if group is not None:
            remove_placement_group(group)

    async def _in_thread(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._calls, call, *arguments)


def _group(name: str) -> PlacementGroup | None:
    try:
        return get_placement_group(name)
    except ValueError:
        return None


async def _answer(reference: Any) -> Any:
    return await asyncio.wait_for(asyncio.wrap_future(reference.future()), _ANSWER_S)


async def _serve(connection: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=connection)
    await Helper(writer).serve(reader)


def main(arguments: list[str]) -> None:
    """Serve the environment at the other end of an inherited socket."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    number, address, *own = arguments
    ray.init(
        address=address,
        namespace=NAMESPACE,
        log_to_driver=False,
        logging_level=logging.WARNING,
        **({"_node_ip_address": own[0]} if own else {}),
    )
    with socket.socket(fileno=int(number)) as connection:
        asyncio.run(_serve(connection))


if __name__ == "__main__":
    main(sys.argv[1:])
