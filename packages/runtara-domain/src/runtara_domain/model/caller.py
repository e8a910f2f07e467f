"""The caller of a step, and the state in which the step found its instance."""

from dataclasses import dataclass

from runtara_domain import values
from runtara_domain.status import Condition, State


@dataclass(frozen=True, slots=True)
class Caller:
    """
    An instance that asks for something; run is the one its connection speaks for, None if it never
    registered.
    """

    instance_id: str
    run: int | None = None

    def __post_init__(self) -> None:
        values.check_id("instance_id", self.instance_id)
        if self.run is not None:
            values.check_range("run", self.run, 0, values.MAX_INTEGER)


@dataclass(frozen=True, slots=True)
class RunState:
    """How an instance stood when a step found it, before the step moved it."""

    state: State
    run: int

    def supersedes(self, caller: Caller) -> bool:
        """Whether a newer run than the caller's has registered."""
        return caller.run is not None and caller.run < self.run

    def admits(self, caller: Caller, when: Condition) -> bool:
        """Whether a step of this caller applies."""
        return self.state in when and not self.supersedes(caller)
