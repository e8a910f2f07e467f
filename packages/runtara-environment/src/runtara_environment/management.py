"""The context of the management protocol's handlers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from runtara_domain.launching.listeners import Listeners
from runtara_domain.launching.operations import InstanceOperations

if TYPE_CHECKING:
    from runtara_domain.launching.crashes import CrashPolicy
    from runtara_domain.launching.launcher import Launcher
    from runtara_domain.model.stored_images import Image, RunnerType
    from runtara_domain.model.stored_launches import Launch
    from runtara_domain.ports.clock import Clock
    from runtara_domain.ports.persistence import Persistence
    from runtara_domain.ports.placements import LogPiece
    from runtara_domain.ports.schedules import Calendar
    from runtara_domain.ports.transport import OnAbandoned
    from runtara_environment.served_worker import ServedWorker
    from runtara_protocol.server.streams import Upload


@dataclass(kw_only=True, eq=False, repr=False)
class Management:
    """
    The environment, for the handlers of its port.

    check_image: raises InvalidValue if the file of bytes, the runner and the metadata are no
    runnable image. read_log: reads a piece of a launch's output, by tenant, launch, offset and
    limit; None if this environment does not have it. forget_files: removes files that launches of
    deleted instances have left on this machine, by tenant and ids. obstacle: why an image can't be
    run here, None if it can. image_max_bytes: the largest image. tenant_limit: the limit of tenants
    without one of their own. has_core: whether the environment has a core of its own, which tells
    of the ends that it stores. workers: those that have opened their lease here, by their ids.
    ending: calls back when the environment ends. copying: held while an exported or imported
    instance is in memory, so that there is only one at a time.
    """

    persistence: Persistence
    launcher: Launcher
    clock: Clock
    check_image: Callable[[Path, RunnerType, Mapping[str, object]], None]
    read_log: Callable[[str, Launch, int, int], Awaitable[LogPiece | None]]
    forget_files: Callable[[str, Sequence[str]], None]
    obstacle: Callable[[Image], str | None]
    crashes: CrashPolicy
    version: str
    environment_id: str
    image_max_bytes: int
    began_at: timedelta
    tenant_limit: int | None = None
    has_core: bool = False
    workers: dict[str, ServedWorker] = field(default_factory=dict)
    ending: Listeners = field(default_factory=Listeners)
    copying: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    @cached_property
    def operations(self) -> InstanceOperations:
        """The operations on instances."""
        return InstanceOperations(self.persistence, self.clock, lambda: self.launcher)

    @cached_property
    def calendar(self) -> Calendar:
        """When schedules tick."""
        # Only now: it reads time zones, and most commands on a database ask for no tick.
        from runtara_schedules import CronCalendar

        return CronCalendar()

    def end(self) -> None:
        """Answer held requests now, and hold no more."""
        self.ending.tell()


@dataclass(slots=True, eq=False, repr=False)
class ManagementRequest:
    """The context of a request besides its message; upload: the bytes that follow it."""

    on_abandoned: OnAbandoned
    upload: Upload
