"""
The spawner's loop: it serves environments on a Unix socket, and owns the processes they ask for.

The spawner has one thread and no asyncio loop, because it forks, and because it must outlive
everything else. A request is an object with `id` and `do`. Its answer has the same `id`, and `ok`
or `error`. The spawner sends the end of each process to every client at once. It sends the end
again to each client that says hello, until a client confirms it.
"""

import logging
import os
import selectors
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtara_environment.spawner.cgroups import Cgroup, Limits, create
from runtara_environment.spawner.children import Child, Ended, adopt, start
from runtara_environment.spawner.containers import Container, ContainerFailed
from runtara_environment.spawner.frames import Decoder, MalformedMessage, Message, encode
from runtara_environment.spawner.machine import boot_id
from runtara_environment.spawner.output import OutputLog
from runtara_environment.spawner.warm import NotWarm, Order, WarmInterpreter

logger = logging.getLogger(__name__)

VERSION = 2
_TICK_S = 1.0
_RUNTIME_S = 60.0
"""How long a container's runtime may take to start it."""


class Client:
    """One environment's connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.decoder = Decoder()
        self.outgoing = bytearray()


class Spawner:
    """
    Owns the launched processes of one environment.

    idle_s: the spawner ends after so many seconds without a process and without a client.
    warm_idle_s: a warm interpreter is ended after so many unused seconds. max_warm: how many warm
    interpreters stay at once. When there is one more, the one that is longest unused is ended.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        idle_s: float = 600,
        warm_idle_s: float = 600,
        max_warm: int = 8,
    ) -> None:
        self._listener = listener
        self._idle_s, self._warm_idle_s, self._max_warm = idle_s, warm_idle_s, max_warm
        self._selector = selectors.DefaultSelector()
        self._clients: set[Client] = set()
        self._children: dict[str, Child] = {}
        self._starting: dict[str, list[tuple[Client, Any]]] = {}
        # Signals for launches that are being started: sent once the process exists.
        self._owed: dict[str, list[int]] = {}
        self._leftover: list[Callable[[], bool]] = []
        self._containers: dict[Container, float] = {}
        self._warm: dict[str, WarmInterpreter] = {}
        self._used_at = time.monotonic()
        self._operations: dict[str, Callable[[Client, Message], Message | None]] = {
            "hello": self._hello,
            "start": self._start,
            "adopt": self._adopt,
            "signal": self._signal,
            "confirm": self._confirm,
        }

    def serve(self) -> None:
        """Serve until there was no process, no client and no request for `idle_s`."""
        self._watch(self._listener, self._accept)
        while not self._is_idle():
            for key, _ in self._selector.select(_TICK_S):
                key.data()
            self._retire_warm()
            self._give_up_containers()
            self._leftover = [remove for remove in self._leftover if not remove()]
        for warm in self._warm.values():
            warm.close()

    def _is_idle(self) -> bool:
        if self._clients or self._starting or any(not one.ended for one in self._children.values()):
            self._used_at = time.monotonic()
        return time.monotonic() - self._used_at >= self._idle_s

    def _watch(self, source: Any, callback: Callable[[], None]) -> None:
        self._selector.register(source, selectors.EVENT_READ, callback)

    # Clients

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setblocking(False)
        client = Client(connection)
        self._clients.add(client)
        self._watch(connection, lambda: self._serve_client(client))

    def _serve_client(self, client: Client) -> None:
        self._flush(client)
        try:
            data = client.connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._forget(client)
            return
        try:
            for message in client.decoder.feed(data):
                self._execute(client, message)
        except MalformedMessage as error:
            logger.warning("a client sent what is no message: %s", error)
            self._forget(client)

    def _forget(self, client: Client) -> None:
        if client in self._clients:
            self._clients.discard(client)
            self._selector.unregister(client.connection)
            client.connection.close()

    def _execute(self, client: Client, message: Message) -> None:
        operation = self._operations.get(str(message.get("do")))
        try:
            if operation is None:
                raise ValueError(f"do takes one of {', '.join(self._operations)}")
            answer = operation(client, message)
        except (OSError, ValueError, KeyError, TypeError, subprocess.SubprocessError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        if answer is not None:
            self._send(client, {"id": message.get("id"), **answer})

    def _send(self, client: Client, message: Message) -> None:
        client.outgoing += encode(message)
        self._flush(client)

    def _flush(self, client: Client) -> None:
        if client not in self._clients:
            return
        try:
            while client.outgoing:
                sent = client.connection.send(client.outgoing)
                del client.outgoing[:sent]
        except BlockingIOError:
            pass  # The selector reports when the socket takes more.
        except OSError:
            self._forget(client)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.outgoing else 0)
        self._selector.modify(client.connection, events, lambda: self._serve_client(client))

    # Operations

    def _hello(self, client: Client, message: Message) -> Message:
        for child in self._children.values():
            if child.ended is not None:
                self._send(client, _ending(child.launch_id, child.ended))
        launches = [
            {"launch_id": one.launch_id, "pid": one.pid, "start_time": one.start_time}
            for one in self._children.values()
            if one.ended is None
        ]
        ok = {"version": VERSION, "boot_id": boot_id(), "pid": os.getpid(), "launches": launches}
        return {"ok": ok}

    def _start(self, client: Client, message: Message) -> Message | None:
        launch_id = message["launch_id"]
        if launch_id in self._children:
            return _started(self._children[launch_id])
        if launch_id in self._starting:
            self._starting[launch_id].append((client, message.get("id")))
            return None
        output = OutputLog(Path(message["folder"]), message["max_log_bytes"])
        cgroup = create(message["cgroup"], Limits(**message["limits"]))
        asking = [(client, message.get("id"))]
        if message.get("container") is not None:
            self._contain(message, output, cgroup)
            self._starting[launch_id] = asking
        elif message.get("warm") is not None:
            self._starting[launch_id] = asking
            self._fork(message, output, cgroup)
        else:
            return self._start_process(message, output, cgroup)
        return None

    def _start_process(self, message: Message, output: OutputLog, cgroup: Cgroup) -> Message:
        try:
            child = start(
                message["launch_id"],
                message["argv"],
                message["env"],
                Path(message["cwd"]),
                output=output,
                cgroup=cgroup,
            )
        except (OSError, subprocess.SubprocessError):
            output.close()
            cgroup.remove()
            raise
        self._own(child)
        return _started(child)

    def _contain(self, message: Message, output: OutputLog, cgroup: Cgroup) -> None:
        """Have a runtime start a container; the clients get their answer when the runtime ends."""
        launch_id, told = message["launch_id"], message["container"]
        writer, folder = output.open_writer(), Path(told["folder"])
        try:
            container = Container.make(
                folder,
                told["runtime"],
                told["config"],
                f"/runtara/{message['cgroup']}" if cgroup.folders else None,
            )
            pidfd = container.start(writer, Path(message["cwd"]))
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            output.close()
            cgroup.remove()
            raise
        finally:
            os.close(writer)
        self._containers[container] = time.monotonic() + _RUNTIME_S

        def runtime_ended() -> None:
            self._selector.unregister(pidfd)
            os.close(pidfd)
            del self._containers[container]
            try:
                child = Child(launch_id, container.started(), output, cgroup, container)
            except (ContainerFailed, OSError, ValueError) as error:
                output.close()
                self._leftover += [container.remove, cgroup.remove]
                self._answer(launch_id, {"error": str(error)})
            else:
                self._own(child)
                self._answer(launch_id, _started(child))

        self._watch(pidfd, runtime_ended)

    def _give_up_containers(self) -> None:
        for container, deadline in self._containers.items():
            if time.monotonic() >= deadline:
                container.give_up()

    def _answer(self, launch_id: str, answer: Message) -> None:
        child = self._children.get(launch_id)
        for number in self._owed.pop(launch_id, ()):
            if child is not None:
                child.kill(number)
        for asking, number in self._starting.pop(launch_id):
            self._send(asking, {"id": number, **answer})

    def _fork(self, message: Message, output: OutputLog, cgroup: Cgroup) -> None:
        launch_id = message["launch_id"]
        writer = output.open_writer()

        def answered(result: int | NotWarm) -> None:
            os.close(writer)
            if isinstance(result, NotWarm):
                output.close()
                cgroup.remove()
                answer: Message = {"error": result.text, "problem": result.problem}
            else:
                child = Child(launch_id, result, output, cgroup)
                self._own(child)
                answer = _started(child)
            self._answer(launch_id, answer)

        order = {
            "argv": message["argv"],
            "env": message["env"],
            "cwd": message["cwd"],
            "cgroup_procs": [str(one / "cgroup.procs") for one in set(cgroup.folders.values())],
        }
        self._interpreter(message["warm"]).fork(Order(order, writer, answered))

    def _adopt(self, client: Client, message: Message) -> Message:
        """Take over the process of a launch from a spawner that died."""
        if message["launch_id"] in self._children:
            return _started(self._children[message["launch_id"]])
        output = OutputLog(Path(message["folder"]), message["max_log_bytes"])
        cgroup = create(message["cgroup"], Limits())
        told = message.get("container")
        container = None if told is None else Container(Path(told))
        child = adopt(
            message["launch_id"],
            message["pid"],
            message["start_time"],
            output=output,
            cgroup=cgroup,
            container=container,
        )
        if child is None:
            output.close()
            self._leftover += [cgroup.remove, *([] if container is None else [container.remove])]
            return {"ok": {"pid": None}}
        self._own(child)
        return _started(child)

    def _signal(self, client: Client, message: Message) -> Message:
        launch_id, number = message["launch_id"], signal.Signals(message["signal"])
        child = self._children.get(launch_id)
        if child is not None:
            child.kill(number)
        elif launch_id in self._starting:
            self._owed.setdefault(launch_id, []).append(number)
        else:
            return {"error": f"launch {launch_id!r} is unknown"}
        return {"ok": {}}

    def _confirm(self, client: Client, message: Message) -> Message:
        child = self._children.get(message["launch_id"])
        if child is not None and child.ended is None:
            return {"error": f"launch {message['launch_id']!r} has not ended"}
        self._children.pop(message["launch_id"], None)
        return {"ok": {}}

    # Processes

    def _own(self, child: Child) -> None:
        self._children[child.launch_id] = child
        self._watch(child.output.reader, lambda: self._pump(child))
        self._watch(child.pidfd, lambda: self._reap(child))

    def _pump(self, child: Child) -> None:
        if child.ended is None and not child.output.pump():
            # The process closed its output and lives on. The selector would report that for ever.
            self._selector.unregister(child.output.reader)

    def _reap(self, child: Child) -> None:
        self._selector.unregister(child.pidfd)
        if child.output.reader in self._selector.get_map():
            self._selector.unregister(child.output.reader)
        ended = child.reap()
        self._leftover.append(child.clear)
        for client in list(self._clients):
            self._send(client, _ending(child.launch_id, ended))

    def _interpreter(self, warm: Message) -> WarmInterpreter:
        key = warm["key"]
        if key in self._warm and self._warm[key].refusal is not None:
            self._close_warm(key)
        if key not in self._warm:
            while len(self._warm) >= self._max_warm:
                self._close_warm(min(self._warm, key=lambda one: self._warm[one].used_at))
            made = WarmInterpreter(warm["python"], warm["modules"], warm["env"], warm["cwd"])
            self._warm[key] = made
            self._watch(made.orders, lambda: self._hear_warm(key, made))
        return self._warm[key]

    def _hear_warm(self, key: str, warm: WarmInterpreter) -> None:
        if self._warm.get(key) is warm and not warm.receive():
            self._close_warm(key)

    def _retire_warm(self) -> None:
        oldest = time.monotonic() - self._warm_idle_s
        for key in [key for key, warm in self._warm.items() if warm.used_at < oldest]:
            self._close_warm(key)

    def _close_warm(self, key: str) -> None:
        warm = self._warm.pop(key)
        self._selector.unregister(warm.orders)
        warm.close()


def _started(child: Child) -> Message:
    return {"ok": {"pid": child.pid, "start_time": child.start_time}}


def _ending(launch_id: str, ended: Ended) -> Message:
    return {"event": "ended", "launch_id": launch_id, **ended.as_message()}
