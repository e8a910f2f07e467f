"""A rule: a sentence of the documents, and what to do to a server to see it kept."""

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
    """How a rule runs beside others."""

    QUICK = "quick"
    """Beside a few others."""
    PATIENT = "patient"
    """Mostly waits: from the start, beside everything."""
    HEAVY = "heavy"
    """Moves so much that it would disturb the times of others: alone, at the end."""


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
    """What a file of rules is about; calling it registers the function below as a rule."""

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
