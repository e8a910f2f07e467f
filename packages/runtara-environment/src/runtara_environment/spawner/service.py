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

from runtara_environment.spawner.cgroups import Cgroup, Limits, create, name_of, sweep_prepared
from runtara_environment.spawner.children import Child, Ended, Remains, adopt, own, start
from runtara_environment.spawner.containers import Container, ContainerFailed
from runtara_environment.spawner.frames import Client, MalformedMessage, Message, encode
from runtara_environment.spawner.interpreters import WarmInterpreters
from runtara_environment.spawner.machine import boot_id, is_process, reap_orphans
from runtara_environment.spawner.output import OutputLog
from runtara_environment.spawner.prepared import Forked, WarmLaunch
from runtara_environment.spawner.warm import NotWarm

logger = logging.getLogger(__name__)

VERSION = 2
_TICK_S = 1.0
_RUNTIME_S = 60.0
"""How long a container's runtime may take to start it."""


class Spawner:
    """
    Owns the launched processes of one environment.

    idle_s: the spawner ends after so many seconds without a process and without a client.
    warm_idle_s, max_warm, prepared: `WarmInterpreters` has them as idle_s, most and prepared.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        idle_s: float = 600,
        warm_idle_s: float = 600,
        max_warm: int = 8,
        prepared: int = 2,
    ) -> None:
        self._listener = listener
        self._idle_s = idle_s
        self._selector = selectors.DefaultSelector()
        self._clients: set[Client] = set()
        self._children: dict[str, Child] = {}
        self._starting: dict[str, list[tuple[Client, Any]]] = {}
        # Signals for launches that are being started: sent once the process exists.
        self._owed: dict[str, list[int]] = {}
        self._remains: list[Remains] = []
        self._containers: dict[Container, float] = {}
        self._warm = WarmInterpreters(
            self._selector,
            lambda cgroup: self._remains.append(Remains(cgroup)),
            most=max_warm,
            idle_s=warm_idle_s,
            prepared=prepared,
        )
        self._used_at = self._reaps_at = time.monotonic()
        self._operations: dict[str, Callable[[Client, Message], Message | None]] = {
            "hello": self._hello,
            "start": self._start,
            "adopt": self._adopt,
            "signal": self._signal,
            "confirm": self._confirm,
        }

    def serve(self) -> None:
        """Serve until there was no process, no client and no request for `idle_s`."""
        sweep_prepared()
        self._watch(self._listener, self._accept)
        pause: float | None = None
        while not self._is_idle():
            ready = self._selector.select(_TICK_S if pause is None else min(pause, _TICK_S))
            for key, _ in ready:
                key.data()
            self._give_up_containers()
            self._remains = [one for one in self._remains if not one.clear()]
            pause = self._warm.attend()
            if time.monotonic() >= self._reaps_at:
                self._reap_orphans()
        self._warm.close()
        for one in self._remains:
            one.clear()

    def _is_idle(self) -> bool:
        if self._clients or self._starting or any(not one.ended for one in self._children.values()):
            self._used_at = time.monotonic()
        return time.monotonic() - self._used_at >= self._idle_s

    def _watch(self, source: Any, callback: Callable[[], None]) -> None:
        self._selector.register(source, selectors.EVENT_READ, callback)

    # Clients

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            logger.warning("a client can't be accepted yet: %s", error)
            time.sleep(_TICK_S / 10)  # The selector reports it again at once.
            return
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
            logger.warning("client sent a malformed message: %s", error)
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
        told = {"version": VERSION, "boot_id": boot_id(), "pid": os.getpid()}
        return {"ok": {**told, "launches": launches, "prepared": self._warm.prepared()}}

    def _start(self, client: Client, message: Message) -> Message | None:
        launch_id = message["launch_id"]
        if launch_id in self._children:
            return _started(self._children[launch_id])
        if launch_id in self._starting:
            self._starting[launch_id].append((client, message.get("id")))
            return None
        output = OutputLog(Path(message["folder"]), message["max_log_bytes"])
        if message.get("warm") is not None and message.get("container") is None:
            self._start_warm(client, message, output)
            return None
        cgroup = create(message["cgroup"], Limits(**message["limits"]))
        if message.get("container") is None:
            return self._start_process(message, output, cgroup)
        self._contain(message, output, cgroup)
        self._starting[launch_id] = [(client, message.get("id"))]
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
                self._remains.append(Remains(cgroup, container))
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

    def _start_warm(self, client: Client, message: Message, output: OutputLog) -> None:
        """Have a warm interpreter's process run a launch; the answer comes when there is one."""
        launch_id, writer = message["launch_id"], -1

        def answered(result: Forked | NotWarm) -> None:
            os.close(writer)
            self._answer(launch_id, self._forked(launch_id, result, output))

        try:
            writer = output.open_writer()
            launch = WarmLaunch(
                warm=message["warm"],
                limits=Limits(**message["limits"]),
                group=message["cgroup"],
                order={name: message[name] for name in ("argv", "env", "cwd")},
                output=writer,
                answered=answered,
            )
            self._starting[launch_id] = [(client, message.get("id"))]
            self._warm.launch(launch)
        except Exception:
            # `answered` was not called.
            self._starting.pop(launch_id, None)
            if writer >= 0:
                os.close(writer)
            output.close()
            raise

    def _forked(self, launch_id: str, result: Forked | NotWarm, output: OutputLog) -> Message:
        if isinstance(result, NotWarm):
            output.close()
            return {"error": result.text, "problem": result.problem}
        try:
            child = own(launch_id, result.pid, output, result.cgroup)
        except OSError as error:
            output.close()
            self._remains.append(Remains(result.cgroup))
            return {"error": str(error)}
        self._own(child)
        return _started(child)

    def _adopt(self, client: Client, message: Message) -> Message:
        """Take over the process of a launch from a spawner that died."""
        if message["launch_id"] in self._children:
            return _started(self._children[message["launch_id"]])
        output = OutputLog(Path(message["folder"]), message["max_log_bytes"])
        is_there = is_process(message["pid"], message["start_time"])
        # A process that was prepared is in a group of another name than its launch's.
        name = name_of(message["pid"]) if is_there else None
        cgroup = create(name or message["cgroup"], Limits())
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
            self._remains.append(Remains(cgroup, container))
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
        self._remains.append(child.remains)
        self._warm.hurry()
        for client in list(self._clients):
            self._send(client, _ending(child.launch_id, ended))

    def _reap_orphans(self) -> None:
        """Let processes go that launches have left, and that the spawner became the parent of."""
        if self._starting or self._warm.is_forking:
            return  # A launch's process may be a child whose pid is not known yet.
        self._reaps_at = time.monotonic() + _TICK_S
        ours = {one.pid for one in self._children.values() if one.ended is None}
        ours.update(self._warm.pids(), self._warm.prepared())
        runtimes = [*self._containers, *(one.container for one in self._remains)]
        reap_orphans(ours | {one.runtime_pid for one in runtimes if one is not None})


def _started(child: Child) -> Message:
    return {"ok": {"pid": child.pid, "start_time": child.start_time}}


def _ending(launch_id: str, ended: Ended) -> Message:
    return {"event": "ended", "launch_id": launch_id, **ended.as_message()}
