"""
An environment that is odd in one way: a program with the variables of one that isn't.

ODD_CLOCK_S: its machine's clock is off by so many seconds. ODD_STALL: while this file is there, it
stops itself between a claim and the start of its process, and removes the file.
"""

import os
import signal
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from runtara_domain.model.launches import Assignment
from runtara_domain.system_clock import SystemClock
from runtara_environment.cli import run
from runtara_environment.container import Container
from runtara_environment.placements.local import LocalPlacement

_OFF = timedelta(seconds=float(os.environ.get("ODD_CLOCK_S", "0")))
_STALL = Path(os.environ.get("ODD_STALL", "/nowhere"))


class WrongClock(SystemClock):
    """A clock whose wall time is off; its spans are right."""

    def now(self) -> datetime:
        return super().now() + _OFF

    async def sleep_until(self, moment: datetime) -> None:
        await super().sleep_until(moment - _OFF)


def _stall() -> None:
    if _STALL.exists():
        _STALL.unlink()
        os.kill(os.getpid(), signal.SIGSTOP)


class StallingPlacement(LocalPlacement):
    """A placement that stands still, with its whole environment, where it would start a process."""

    async def launch(
        self, assignment: Assignment, given: bytes | None, *, may_start: Callable[[], bool]
    ) -> str:
        _stall()
        return await super().launch(assignment, given, may_start=may_start)


if __name__ == "__main__":
    Container.clock.set_provides(WrongClock)
    Container.placement.set_provides(StallingPlacement)
    sys.exit(run([]))
