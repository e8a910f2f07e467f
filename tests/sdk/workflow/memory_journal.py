"""A core in memory, whose instance can be run again and again, and which can die at any call."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from runtara_sdk.workflow.errors import Superseded
from runtara_sdk.workflow.journal import Begun, Heard, Kept, Passed, Told


class Crash(BaseException):
    """The process is dead: nothing catches this but the test."""


@dataclass
class Core:
    """
    What is kept of one instance, whatever becomes of its runs.

    `calls` names each call made so far; `hook` is told of each before and after it is done.
    """

    input: bytes | None = None
    states: dict[str, bytes] = field(default_factory=dict)
    attempts: dict[str, list[int]] = field(default_factory=dict)
    told: Told | None = None
    sent: dict[str, bytes] = field(default_factory=dict)
    ended: tuple[str, bytes | str] | None = None
    wake: datetime | None = None
    run: int = 0
    lists: bool = True
    calls: list[str] = field(default_factory=list)
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    stir: asyncio.Condition = field(default_factory=asyncio.Condition)

    def clock(self) -> datetime:
        return self.now

    async def tell(self, told: Told) -> None:
        """Send a signal; a cancel is not replaced."""
        async with self.stir:
            self.told = self.told if self.told is Told.CANCEL else told
            self.stir.notify_all()

    async def send(self, name: str, value: bytes) -> None:
        """Send a custom signal; the first stands."""
        async with self.stir:
            self.sent.setdefault(name, value)
            self.stir.notify_all()


class MemoryJournal:
    """The port over a `Core`; `meet` is awaited before (False) and after (True) each call."""

    instance_id = "i-1"

    def __init__(self, core: Core, meet: Callable[[str, bool], None] | None = None) -> None:
        self._core = core
        self._run = 0
        self._meet = meet or (lambda call, is_done: None)

    async def begin(self) -> Begun:
        core = self._core
        core.run += 1
        self._run = core.run
        core.wake = None
        passed = {
            key: Passed(state, len(core.attempts.get(key, [])))
            for key, state in core.states.items()
        }
        return Begun(core.input, passed if core.lists else None)

    async def save(self, key: str, state: bytes) -> Kept:
        self._before(f"save {key}")
        kept = self._core.states.setdefault(key, state)
        self._after(f"save {key}")
        return Kept(kept, self._core.told)

    async def read(self, key: str) -> bytes | None:
        self._before(f"read {key}")
        return self._core.states.get(key)

    async def attempt_failed(self, key: str, number: int, error: str) -> None:
        self._before(f"attempt {key} {number}")
        assert key in self._core.states
        self._core.attempts.setdefault(key, []).append(number)
        self._after(f"attempt {key} {number}")

    async def release(self, key: str, state: bytes, wake: datetime) -> bool:
        self._before(f"release {key}")
        self._core.states.setdefault(key, state)
        if self._core.told is Told.CANCEL or wake <= self._core.now:
            return False
        self._core.wake = wake
        self._after(f"release {key}")
        return True

    async def hear(self, name: str | None, wait: timedelta) -> Heard:
        self._check()
        core = self._core
        if wait:
            async with core.stir:
                await core.stir.wait_for(lambda: core.told is not None or name in core.sent)
        return Heard(core.told, None if name is None else core.sent.get(name))

    async def acknowledge(self, told: Told) -> bool:
        self._before(f"acknowledge {told}")
        if self._core.told is not told:
            return False
        self._core.told = None
        if told is Told.CANCEL:
            self._core.ended = ("cancelled", b"")
        self._after(f"acknowledge {told}")
        return True

    async def complete(self, output: bytes) -> None:
        self._before("complete")
        self._core.ended = self._core.ended or ("completed", output)
        self._after("complete")

    async def fail(self, error: str) -> None:
        self._before("fail")
        self._core.ended = self._core.ended or ("failed", error)
        self._after("fail")

    def _check(self) -> None:
        if self._run != self._core.run:
            raise Superseded("a newer run of 'i-1' has begun")

    def _before(self, call: str) -> None:
        self._check()
        self._core.calls.append(call)
        self._meet(call, False)

    def _after(self, call: str) -> None:
        self._meet(call, True)
