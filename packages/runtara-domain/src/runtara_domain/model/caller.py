"""The caller of a step, and the state of its instance before the step."""

from runtara_domain import values
from runtara_domain.record import record
from runtara_domain.status import Condition, State


@record
class Caller:
    """
    The instance that makes a request.

    run: the run of its connection; None if the connection never registered.
    """

    instance_id: str
    run: int | None = None

    def __post_init__(self) -> None:
        values.check_id("instance_id", self.instance_id)
        if self.run is not None:
            values.check_range("run", self.run, 0, values.MAX_INTEGER)


@record
class RunState:
    """The state of an instance before a step."""

    state: State
    run: int

    def supersedes(self, caller: Caller) -> bool:
        """Whether a newer run than the caller's has registered."""
        return caller.run is not None and caller.run < self.run

    def admits(self, caller: Caller, when: Condition) -> bool:
        """Whether a step of this caller applies."""
        return self.state in when and not self.supersedes(caller)
