"""A rule: a sentence of the documents, and the test that a server keeps it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from runtara_conformance.subject import Server

Check = Callable[[Server], Awaitable[None]]
RULES: list["Rule"] = []


class Tier(StrEnum):
    """Which part of the protocol a rule needs."""

    SLICE = "slice"
    """Registrations, checkpoints, single events, states, frames, values, errors."""
    CORE = "core"
    """All else: sleeps, signals, runs, retries, batches, lists, activity."""


class Pace(StrEnum):
    """How a rule runs at the same time as others."""

    QUICK = "quick"
    """Beside a few others."""
    PATIENT = "patient"
    """Mostly waits: it runs from the start, at the same time as all others."""
    HEAVY = "heavy"
    """Makes so much load that it would disturb other rules: it runs alone, at the end."""


LIMITS = {Pace.QUICK: 20.0, Pace.PATIENT: 60.0, Pace.HEAVY: 400.0}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `check` raises when the server breaks it."""

    noun: str
    name: str
    says: str
    tier: Tier
    database: bool
    pace: Pace
    check: Check

    @property
    def limit(self) -> float:
        """After how many seconds the rule counts as broken."""
        return LIMITS[self.pace]

    def __str__(self) -> str:
        return f"{self.noun}/{self.name}"


@dataclass(frozen=True, slots=True)
class Noun:
    """The subject of a file of rules; as a decorator it registers a function as a rule."""

    name: str
    tier: Tier
    database: bool = False

    def __call__(
        self, says: str, *, database: bool = False, pace: Pace = Pace.QUICK
    ) -> Callable[[Check], Check]:
        """Register a rule by the sentence it checks; `database`: it needs --database-url."""

        def register(check: Check) -> Check:
            needed = database or self.database
            rule = Rule(self.name, check.__name__, says, self.tier, needed, pace, check)
            RULES.append(rule)
            return check

        return register
