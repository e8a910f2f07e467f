"""The machinery of the state machines: steps one by one or together, and what is compared."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack
from copy import deepcopy
from datetime import timedelta
from itertools import permutations

from hypothesis.stateful import RuleBasedStateMachine
from tests.contract.database import Database
from tests.model import invariants
from tests.model.invariants import Tables
from tests.model.reference import Reference
from tests.model.step import Step
from tests.support.clock import START

from runtara_domain.model import Caller, Claim, Signal
from runtara_domain.ports.persistence import Persistence
from runtara_domain.status import OPEN, SignalType

AGES = timedelta(days=100_000)

OpenDatabase = Callable[[], AbstractContextManager[Database]]


class ModelMachine(RuleBasedStateMachine):
    """
    An adapter and the reference, given the same steps.

    Two adapters to one database take turns, as two servers would. After `gather(n)` the next n
    steps are held back and taken at once: their outcomes must be those of some serial order, or,
    on a database that keeps steps apart row by row, what `Step.beside_others` makes of them.
    """

    def __init__(self, database: OpenDatabase) -> None:
        super().__init__()
        self.now = START
        self.model = Reference()
        self._runner = asyncio.Runner()
        self._opened = database()
        self._database = self._opened.__enter__()
        self._adapters: list[Persistence] = []
        self._stack = AsyncExitStack()
        self._steps: list[Step] = []
        self._wanted = 1
        self._stored: Tables = {}
        self._differs = False
        self._runner.run(self._open())
        self._stored = self._runner.run(self._read())

    @property
    def is_gathering(self) -> bool:
        """Whether steps are held back to be taken together."""
        return self._wanted > 1

    def caller(self, name: str, age: int | None) -> Caller:
        """Name a caller of no run, the newest (0), or one that is older or yet to come."""
        run_state = self.model.run_states.get(name)
        run = 0 if age is None or run_state is None else run_state.run + age
        return Caller(name, run if run > 0 else None)

    def gather(self, count: int) -> None:
        """Hold the next steps back until there are so many."""
        self._wanted = count

    def take(self, step: Step) -> None:
        """Take the step, or hold it back."""
        self._steps.append(step)
        if len(self._steps) >= self._wanted:
            self._take_all()

    def restart(self) -> None:
        """Close the adapters, and open others to the same database."""
        self._runner.run(self._close())
        self._runner.run(self._open())
        assert self._runner.run(self._read()) == self._stored, "what is stored outlives a restart"

    def teardown(self) -> None:
        try:
            if not self._differs:
                if self._steps:
                    self._take_all()
                self._runner.run(self._wake_everybody())
        finally:
            self._runner.run(self._close())
            self._runner.run(self._database.close())
            self._runner.close()
            self._opened.__exit__(None, None, None)

    def _take_all(self) -> None:
        steps, self._steps, self._wanted = self._steps, [], 1
        self._differs = True
        before = self._stored
        outcomes = self._runner.run(self._ask(steps))
        self._stored = self._runner.run(self._read())
        if len(steps) == 1:
            (step,) = steps
            expected = self._runner.run(step.expect(self.model))
            assert outcomes == [expected], f"{step}: reference {expected}, adapter {outcomes[0]}"
            self._compare(_ordered(self.model.tables()))
        else:
            self.model = self._runner.run(self._find_order(steps, outcomes))
        invariants.check(before, self._stored, single=len(steps) == 1)
        self._differs = False

    async def _find_order(self, steps: Sequence[Step], outcomes: Sequence[object]) -> Reference:
        model = await self._some_order(steps, outcomes)
        if model is None and self._database.is_row_by_row:
            model = await self._some_order(*_beside_others(steps, outcomes))
        assert model, f"no serial order of {steps} gives {outcomes} and {self._stored}"
        return model

    async def _some_order(
        self, steps: Sequence[Step], outcomes: Sequence[object]
    ) -> Reference | None:
        for order in permutations(zip(steps, outcomes, strict=True)):
            model = deepcopy(self.model)
            if await _has_outcomes(model, order) and _ordered(model.tables()) == self._stored:
                return model
        return None

    def _compare(self, expected: Tables) -> None:
        for table, rows in expected.items():
            assert self._stored[table] == rows, f"{table}: adapter, then reference"

    async def _ask(self, steps: Sequence[Step]) -> list[object]:
        asked = list(zip(steps, self._turns(), strict=False))
        return list(await asyncio.gather(*(step.ask(adapter) for step, adapter in asked)))

    def _turns(self) -> Iterator[Persistence]:
        while True:
            self._adapters.append(self._adapters.pop(0))
            yield self._adapters[0]

    async def _read(self) -> Tables:
        return _ordered(await self._database.snapshot())

    async def _open(self) -> None:
        self._adapters = [
            await self._stack.enter_async_context(self._database.connect()) for _ in range(2)
        ]

    async def _close(self) -> None:
        await self._stack.aclose()

    async def _wake_everybody(self) -> None:
        """
        At the end of all time, with every pause taken back, each open instance is found: due, or
        silent, or not yet launched.
        """
        adapter, at = self._adapters[0], self.now + AGES
        run_states = self.model.run_states
        for name in run_states:
            await adapter.signals.send(name, Signal(SignalType.RESUME), when=OPEN, at=at)
        due = await adapter.claims.claim_due(Claim("last", at), limit=1000, at=at)
        silent = await adapter.instances.inactive_since(at, limit=1000)
        found = {one.instance_id for one in due} | {one.instance_id for one in silent}
        awaited = {name for name, one in run_states.items() if one.state in OPEN - {"pending"}}
        assert found == awaited, "no instance is left that will never be woken"


def _beside_others(
    steps: Sequence[Step], outcomes: Sequence[object]
) -> tuple[list[Step], list[object]]:
    pairs = [step.beside_others(outcome) for step, outcome in zip(steps, outcomes, strict=True)]
    return [step for step, _ in pairs], [outcome for _, outcome in pairs]


async def _has_outcomes(model: Reference, order: Iterable[tuple[Step, object]]) -> bool:
    for step, outcome in order:
        if await step.expect(model) != outcome:
            return False
    return True


def _ordered(tables: Tables) -> Tables:
    """Rows without their ids, each instance's in their order."""
    return {
        table: [
            {name: value for name, value in row.items() if name != "id"}
            for row in sorted(rows, key=lambda row: str(row["instance_id"]))
        ]
        for table, rows in tables.items()
    }
