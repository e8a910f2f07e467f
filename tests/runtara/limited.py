"""
Workers that live for fractions of a second: run as a program, it keeps some of them and kills them.

Each is a fork of this process, with the engine of launches on a connection of its own. What it runs
ends by itself after some milliseconds, and is launchable again. It prints a line for each death.
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import runtara_persistence.postgres.persistence
import runtara_persistence.sqlite.persistence  # noqa: F401  # Both before the first fork.
from runtara.core import Order, nothing
from runtara.embedded.placement import InlinePlacement
from runtara_domain.launching.crashes import CrashPolicy
from runtara_domain.launching.launcher import Launcher, LauncherSettings
from runtara_domain.launching.lease import LeaseTimes
from runtara_domain.model.environments import NewEnvironment
from runtara_domain.model.launch_ends import Cause, LaunchEnd
from runtara_domain.model.stored_environments import EnvironmentKind
from runtara_domain.model.stored_images import LOCAL
from runtara_domain.system_clock import SystemClock
from runtara_persistence.connect import connect

TENANT = "default"
WORKFLOW = "limited"
WORKERS = 5
CAPACITY = 6
LEASE = timedelta(milliseconds=600)
_AGAIN = LaunchEnd(cause=Cause.EXITED, reports=True, exit_code=4)


class Brief:
    """Runs that end after some milliseconds."""

    def __init__(self, placement: InlinePlacement) -> None:
        self._placement = placement
        self._running: set[str] = set()

    def __contains__(self, launch_id: str) -> bool:
        return launch_id in self._running

    def start(self, order: Order, begun: Callable[[], None] = nothing) -> None:
        self._running.add(order.launch_id)
        begun()
        span = random.uniform(0.0, 0.05)
        asyncio.get_running_loop().call_later(span, self._end, order.launch_id)

    def leave(self, launch_id: str) -> None:
        self._end(launch_id)

    def kill(self, launch_id: str) -> None:
        self._end(launch_id)

    def _end(self, launch_id: str) -> None:
        if launch_id in self._running:
            self._running.discard(launch_id)
            self._placement.tell(launch_id, _AGAIN)


@asynccontextmanager
async def working(url: str, *, capacity: int) -> AsyncIterator[None]:
    """Be a worker with a short lease."""
    environment = NewEnvironment(
        environment_id=f"worker-{uuid4().hex}",
        machine="here",
        capacity=capacity,
        kind=EnvironmentKind.WORKER,
        tenant_id=TENANT,
        workflows=frozenset({WORKFLOW}),
    )
    placement = InlinePlacement(lambda instances: None)
    placement.runs = Brief(placement)
    short = timedelta(milliseconds=1)
    settings = LauncherSettings(
        environment=environment,
        lease=LeaseTimes(ttl=LEASE, every=LEASE / 4, steady=LEASE),
        crashes=CrashPolicy(maximum=10**6, first=short, longest=short),
    )
    async with (
        connect(url) as persistence,
        Launcher(persistence, SystemClock(), {LOCAL: placement}, settings),
    ):
        yield


async def work(url: str) -> None:
    """Be a worker until killed."""
    async with working(url, capacity=CAPACITY):
        await asyncio.Event().wait()


def forked(url: str) -> int:
    """Fork a worker; gives its process."""
    process = os.fork()
    if not process:
        random.seed()
        asyncio.run(work(url))
    return process


def main() -> None:
    """Keep workers, and kill one of them at random again and again."""
    url, deaths = sys.argv[1], int(sys.argv[2])
    alive = [forked(url) for _ in range(WORKERS)]
    for number in range(deaths):
        time.sleep(random.uniform(0.0, 0.08))
        victim = random.randrange(WORKERS)
        os.kill(alive[victim], signal.SIGKILL)
        _, status = os.waitpid(alive[victim], 0)
        sys.stdout.write(f"{number} {time.time():.3f} {os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()
        alive[victim] = forked(url)
    for process in alive:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


if __name__ == "__main__":
    main()
