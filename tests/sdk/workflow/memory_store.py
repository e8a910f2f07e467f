"""A core in memory, whose instance can be run again and again, and which can die at any call."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from runtara_sdk import SignalType
from runtara_sdk.client.records import NewChild
from runtara_sdk.errors import InstanceAlreadyExists, InvalidInstanceState
from runtara_sdk.workflow import Ended, Outcome, Workflow, execute
from runtara_sdk.workflow.engine.store import (
    Polled,
    RunStarted,
    Saved,
    SavedTogether,
    State,
)
from runtara_sdk.workflow.errors import Superseded


@dataclass
class Core:
    """What is kept of one instance, whatever becomes of its runs, and the calls so far."""

    input: bytes | None = None
    states: dict[str, bytes] = field(default_factory=dict)
    attempts: dict[str, list[int]] = field(default_factory=dict)
    told: SignalType | None = None
    sent: dict[str, bytes] = field(default_factory=dict)
    ended: Ended | None = None
    blocked: str | None = None
    wake: datetime | None = None
    waits: str = "[]"
    run: int = 0
    reports: list[tuple[str | None, bytes | None]] = field(default_factory=list)
    children: dict[str, tuple[str, bytes | None]] = field(default_factory=dict)
    cancelled_children: set[str] = field(default_factory=set)
    ended_children: dict[str, Ended] = field(default_factory=dict)
    successors: dict[str, dict[str, bytes]] = field(default_factory=dict)
    lists: bool = True
    keeps_input: bool = False
    saves_together: bool = True
    starts_together: bool = True
    clock_runs: bool = False
    listeners: int = 0
    calls: list[str] = field(default_factory=list)
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    stir: asyncio.Condition = field(default_factory=asyncio.Condition)

    def clock(self) -> datetime:
        """The time stands still, unless it runs."""
        return datetime.now(UTC) if self.clock_runs else self.now

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something to be true of the polls."""
        async with asyncio.timeout(60), self.stir:
            await self.stir.wait_for(is_so)

    async def listening(self, number: int) -> None:
        """Count the polls."""
        self.listeners += number
        self.stir.notify_all()

    async def tell(self, told: SignalType) -> None:
        """Send a signal; a cancel is not replaced."""
        async with self.stir:
            self.told = self.told if self.told is SignalType.CANCEL else told
            self.stir.notify_all()

    async def send(self, name: str, value: bytes) -> None:
        """Send a custom signal; the first stands."""
        async with self.stir:
            self.sent.setdefault(name, value)
            self.stir.notify_all()


class MemoryStore:
    """
    The port over a `Core`.

    `dies` is asked before (False) and after (True) each call whether the process dies there: `dead`
    is set then, and no call of this run gets an answer any more.
    """

    instance_id = "i-1"

    def __init__(self, core: Core, dies: Callable[[str, bool], bool] | None = None) -> None:
        self.dead = asyncio.Event()
        self._core = core
        self._run = 0
        self._dies = dies or (lambda call, is_done: False)

    async def begin(self) -> RunStarted:
        core = self._core
        self._run = core.run
        if core.ended is not None:
            raise InvalidInstanceState(f"Instance 'i-1' is {core.ended.outcome}")
        core.run += 1
        core.blocked = None
        self._run = core.run
        core.wake = None
        states = dict(core.states) if core.lists else None
        pending = Polled(core.told) if core.keeps_input else None
        return RunStarted(
            core.input,
            states,
            core.run,
            pending,
            core.keeps_input,
            core.saves_together,
            starts_together=core.starts_together,
        )

    async def ended(self) -> Ended | None:
        return self._core.ended

    async def save(self, key: str, state: bytes, preceding: Sequence[State] = ()) -> Saved:
        for each in preceding:
            await MemoryStore.save(self, *each)
        await self._before(f"save {key}")
        self._core.wake = None
        kept = self._core.states.setdefault(key, state)
        await self._after(f"save {key}")
        return Saved(kept, self._core.told)

    async def read(self, key: str) -> bytes | None:
        await self._before(f"read {key}")
        return self._core.states.get(key)

    async def attempt_failed(self, key: str, number: int, error: str) -> None:
        await self._before(f"attempt {key} {number}")
        self._core.attempts.setdefault(key, []).append(number)
        await self._after(f"attempt {key} {number}")

    async def suspend_until(
        self, key: str, state: bytes, wake: datetime, waits: str = "[]"
    ) -> bool:
        await self._before(f"release {key}")
        self._core.states.setdefault(key, state)
        if self._core.told is SignalType.CANCEL or wake <= self._core.now:
            return False
        self._core.wake, self._core.waits = wake, waits
        await self._after(f"release {key}")
        return True

    async def poll(self, names: Collection[str], wait: timedelta) -> Polled:
        await self._check()
        core = self._core
        if wait:
            async with core.stir:
                await core.listening(1)
                try:
                    await core.stir.wait_for(
                        lambda: core.told is not None or not core.sent.keys().isdisjoint(names)
                    )
                finally:
                    await core.listening(-1)
        return Polled(core.told, {name: core.sent[name] for name in names if name in core.sent})

    async def acknowledge(self, told: SignalType) -> bool:
        await self._before(f"acknowledge {told}")
        if self._core.told is not told:
            return False
        self._core.told = None
        if told is SignalType.CANCEL:
            self._core.ended = Ended(Outcome.CANCELLED)
        await self._after(f"acknowledge {told}")
        return True

    async def report(self, waits: str | None, progress: bytes | None) -> None:
        await self._check()
        self._core.reports.append((waits, progress))
        async with self._core.stir:
            self._core.stir.notify_all()

    async def start_child(self, child_id: str, workflow: str, input: bytes | None) -> None:
        await self._before(f"start {child_id}")
        if self._core.children.setdefault(child_id, (workflow, input)) != (workflow, input):
            raise InstanceAlreadyExists(f"child {child_id!r} was started with another input")
        await self._after(f"start {child_id}")

    async def start_children(
        self, children: Sequence[NewChild], states: Sequence[State]
    ) -> SavedTogether:
        core, call = self._core, f"start {' '.join(child.id for child in children)}"
        await self._before(call)
        for child in children:
            asked = (child.workflow, child.input)
            if core.children.get(child.id, asked) != asked:
                raise InstanceAlreadyExists(f"child {child.id!r} was started with another input")
        core.children |= {child.id: (child.workflow, child.input) for child in children}
        stored = [core.states.setdefault(key, state) for key, state in states]
        await self._after(call)
        return SavedTogether(stored, core.told)

    async def cancel_child(self, child_id: str) -> None:
        await self._before(f"cancel {child_id}")
        self._core.cancelled_children.add(child_id)
        await self._after(f"cancel {child_id}")

    async def ended_child(self, child_id: str) -> Ended | None:
        await self._before(f"look at {child_id}")
        return self._core.ended_children.get(child_id)

    async def create_successor(self, instance_id: str, key: str, state: bytes) -> None:
        await self._before(f"hand over {instance_id}")
        self._core.successors.setdefault(instance_id, {}).setdefault(key, state)
        await self._after(f"hand over {instance_id}")

    async def complete(self, output: bytes) -> None:
        await self._before("complete")
        self._core.ended = self._core.ended or Ended(Outcome.DONE, output=output)
        await self._after("complete")

    async def fail(self, error: str, failure: bytes | None = None) -> None:
        await self._before("fail")
        self._core.ended = self._core.ended or Ended(
            Outcome.FAILED, error=error, failure=failure or b""
        )
        await self._after("fail")

    async def block(self, reason: str) -> None:
        await self._before("block")
        if self._core.ended is not None:
            raise InvalidInstanceState(f"Instance 'i-1' is {self._core.ended.outcome}")
        self._core.blocked = reason
        await self._after("block")

    async def _check(self) -> None:
        if self.dead.is_set():
            await asyncio.get_running_loop().create_future()
        if self._run != self._core.run:
            raise Superseded("a newer run of 'i-1' has begun")

    async def _before(self, call: str) -> None:
        await self._check()
        self._core.calls.append(call)
        await self._meet(call, is_done=False)

    async def _after(self, call: str) -> None:
        await self._meet(call, is_done=True)

    async def _meet(self, call: str, *, is_done: bool) -> None:
        if self._dies(call, is_done):
            self.dead.set()
        if self.dead.is_set():
            await asyncio.get_running_loop().create_future()


async def life(
    workflow: Workflow[..., Any],
    core: Core,
    given: bytes | None = None,
    dies: Callable[[str, bool], bool] | None = None,
) -> Ended | None:
    """Run an instance once, until it ends (how), or its process dies (None)."""
    journal = MemoryStore(core, dies)
    running = asyncio.create_task(execute(workflow, journal, given, core.clock))
    dying = asyncio.create_task(journal.dead.wait())
    await asyncio.wait({running, dying}, return_when=asyncio.FIRST_COMPLETED)
    dying.cancel()
    if running.done():
        return running.result()
    running.cancel()
    await asyncio.wait({running})
    return None


async def lives(
    workflow: Workflow[..., Any],
    core: Core,
    given: bytes | None = None,
    dies: Callable[[str, bool], bool] | None = None,
    later: timedelta = timedelta(0),
) -> Ended:
    """Run an instance until it has ended; sleeps are over at once, `later` passes at a death."""
    while True:
        ended = await life(workflow, core, given, dies)
        if ended is not None and ended.outcome is not Outcome.SUSPENDED:
            return ended
        if core.ended is not None:
            return core.ended
        core.now = max(core.now, core.wake or core.now) + (later if ended is None else timedelta(0))
