"""The warm interpreters of a spawner, and the processes that they have prepared."""

import logging
import selectors
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from runtara_environment.spawner.cgroups import Cgroup, create, prepared_name
from runtara_environment.spawner.prepared import Forked, Prepared, WarmLaunch
from runtara_environment.spawner.warm import NotWarm, Order, WarmInterpreter

logger = logging.getLogger(__name__)

_AFTER_LAUNCH_S = 0.25
_AFTER_END_S = 0.05
"""
Seconds from a launch, and from a launch's end, to the preparation of the next process.

The delay leaves the machine to the launch, or to a launch that follows the end at once. If no
prepared process waits, the next one is prepared as soon as a launch ends.
"""

_BEGIN_S = 10.0
"""
How long a prepared process may take to begin a launch; after that another process gets the launch.

The process may hang for ever, for example after a SIGSTOP by hand.
"""


class WarmInterpreters:
    """
    Keeps warm interpreters, one of each image.

    most: the largest number of interpreters. Before a further one is started, the one that is
    longest unused is ended. idle_s: an interpreter is ended after so many unused seconds. prepared:
    how many prepared processes wait for the next launches of an interpreter that has launched one;
    they end with the interpreter. remove: called with each control group that is not needed any
    more.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        remove: Callable[[Cgroup], None],
        *,
        most: int,
        idle_s: float,
        prepared: int,
    ) -> None:
        self._selector, self._remove = selector, remove
        self._most, self._idle_s, self._prepared = most, idle_s, prepared
        self._warm: dict[str, WarmInterpreter] = {}
        self._waiting: dict[WarmInterpreter, list[Prepared]] = {}
        self._beginning: dict[Prepared, float] = {}
        self._numbers = count()

    def launch(self, launch: WarmLaunch) -> None:
        """Give the launch to a prepared process; if there is none, fork a process for it."""
        warm = self._of(launch.warm)
        warm.limits, warm.prepare = launch.limits, launch.warm.get("prepare")
        if self._prepared:
            warm.prepare_at = warm.used_at + _AFTER_LAUNCH_S
        waiting = self._waiting[warm]
        while waiting:
            process = waiting.pop(0)
            if process.limits == launch.limits and process.give(launch):
                self._beginning[process] = time.monotonic() + _BEGIN_S
                return
            self._end(process)
        self._fork(warm, launch)

    def hurry(self) -> None:
        """Prepare missing processes sooner, because the process of a launch has ended."""
        now = time.monotonic()
        for warm, waiting in self._waiting.items():
            if warm.prepare_at is not None:
                soon = now + _AFTER_END_S if waiting else now
                warm.prepare_at = min(warm.prepare_at, soon)

    def attend(self) -> float | None:
        """
        Do what is due; return the seconds until the next preparation, None if none is planned.

        To be called regularly, because unused interpreters and late processes are ended here too.
        """
        now = time.monotonic()
        for key in [key for key, warm in self._warm.items() if warm.used_at + self._idle_s < now]:
            self._close(key)
        for process in [one for one, until in self._beginning.items() if until <= now]:
            self._heard(process)
        for warm in list(self._warm.values()):
            if warm.prepare_at is not None and warm.prepare_at <= now and warm.is_idle:
                try:
                    self._prepare(warm)
                except OSError as error:
                    warm.prepare_at = None
                    logger.warning("no process is prepared until the next launch: %s", error)
        # An interpreter that is not idle prepares nothing before its answer, which ends the wait.
        idle = [one.prepare_at for one in self._warm.values() if one.is_idle]
        moments = [moment for moment in idle if moment is not None]
        return max(min(moments) - now, 0.0) if moments else None

    def close(self) -> None:
        """End all interpreters and their prepared processes; the processes of launches live on."""
        for key in list(self._warm):
            self._close(key)

    @property
    def is_forking(self) -> bool:
        """Whether a process may exist whose pid is not known yet."""
        return any(warm.is_forking for warm in self._warm.values())

    def pids(self) -> list[int]:
        """Return the pids of the interpreters."""
        return [warm.process.pid for warm in self._warm.values()]

    def prepared(self) -> list[int]:
        """Return the pids of the processes that wait for a launch."""
        return [one.pid for each in self._waiting.values() for one in each if one.pid is not None]

    # Interpreters

    def _of(self, wanted: Mapping[str, Any]) -> WarmInterpreter:
        key = wanted["key"]
        if key in self._warm and self._warm[key].refusal is not None:
            self._close(key)
        if key not in self._warm:
            while len(self._warm) >= self._most:
                self._close(min(self._warm, key=lambda one: self._warm[one].used_at))
            made = WarmInterpreter(
                wanted["python"], wanted["modules"], wanted["env"], wanted["cwd"]
            )
            self._warm[key], self._waiting[made] = made, []
            self._watch(made.orders, lambda: self._hear(key, made))
        found = self._warm[key]
        found.used_at = time.monotonic()
        return found

    def _fork(self, warm: WarmInterpreter, launch: WarmLaunch) -> None:
        cgroup = create(launch.group, launch.limits)

        def answered(result: int | NotWarm) -> None:
            if isinstance(result, NotWarm):
                self._remove(cgroup)
                launch.answered(result)
            else:
                launch.answered(Forked(result, cgroup))

        content = {**launch.order, "cgroup_procs": cgroup.entrances()}
        warm.fork(Order(content, launch.output, answered))

    def _hear(self, key: str, warm: WarmInterpreter) -> None:
        if self._warm.get(key) is warm and not warm.receive():
            self._close(key)

    def _close(self, key: str) -> None:
        warm = self._warm.pop(key)
        self._selector.unregister(warm.orders)
        warm.close()
        for process in self._waiting.pop(warm):
            self._end(process)

    # Prepared processes

    def _prepare(self, warm: WarmInterpreter) -> None:
        if len(self._waiting[warm]) >= self._prepared:
            warm.prepare_at = None
            return
        name = prepared_name(next(self._numbers))
        ours, its = socket.socketpair()
        cgroup = create(name, warm.limits)
        process = Prepared(cgroup, warm.limits, ours)

        def answered(result: int | NotWarm) -> None:
            # If no process has `its`, `ours` has an end of file to read after this.
            its.close()
            process.is_answered = True
            if not isinstance(result, NotWarm):
                process.pid = result
            if process.has_begun:
                self._begun(process)

        self._waiting[warm].append(process)
        self._watch(ours, lambda: self._heard(process))
        content = {"cgroup_procs": cgroup.entrances(), "prepare": warm.prepare}
        warm.fork(Order(content, its.fileno(), answered))

    def _heard(self, process: Prepared) -> None:
        """Act on a process that has begun its launch, or has ended, or took too long to begin."""
        if process.channel.fileno() < 0:
            return  # The process was ended by another event of the same `select`.
        if process.hear():
            self._selector.unregister(process.channel)
            del self._beginning[process]
            if process.is_answered:
                self._begun(process)
            return
        for warm, waiting in self._waiting.items():
            if process in waiting:
                waiting.remove(process)
                # The next process might end as well, so it is prepared only after another launch.
                warm.prepare_at = None
        self._end(process)
        if process.launch is not None:
            self._launch_again(process.launch)

    def _launch_again(self, launch: WarmLaunch) -> None:
        try:
            self.launch(launch)
        except (OSError, subprocess.SubprocessError) as error:
            launch.answered(NotWarm("ended", f"its process ended, and no other starts: {error}"))

    def _begun(self, process: Prepared) -> None:
        process.channel.close()
        assert process.launch is not None, "a process that has begun was given a launch"
        assert process.pid is not None, "a process that has begun has sent its pid"
        process.launch.answered(Forked(process.pid, process.cgroup))

    def _end(self, process: Prepared) -> None:
        self._beginning.pop(process, None)
        self._selector.unregister(process.channel)
        process.end()
        self._remove(process.cgroup)

    def _watch(self, source: socket.socket, callback: Callable[[], None]) -> None:
        self._selector.register(source, selectors.EVENT_READ, callback)
