"""The records of a verdict: what the step that closes a launch finds, and what it then does."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from runtara_domain.model.launch_ends import ProcessOutput
from runtara_domain.status import State


class Follow(StrEnum):
    """What becomes of the instance."""

    NOTHING = "nothing"
    """Its row stays; if it sleeps, it is launched when it is due."""
    APPLY_OUTPUT = "apply_output"
    """What the process said in `output.json`."""
    RELAUNCH = "relaunch"
    """It is launched again after a back-off that counts for nothing."""
    CRASH = "crash"
    """It is launched again after a back-off; too many in a row without progress fail it."""
    BLOCK = "block"
    """Its code can't go on with its history, and must change."""
    FAIL = "fail"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchedInstance:
    """
    An instance's row as the step that closes its launch finds it.

    is_taken: another run or launch has the instance. has_registered: the launch began a run.
    crashes: in a row without progress, before this launch's end. checkpoint_id: the newest one;
    last_checkpoint_id: the newest one when the launch before ended. last_delay: the back-off before
    this launch, None if it had none. stop_reason: of an operator's stop, None without one.
    """

    state: State
    is_taken: bool
    has_registered: bool
    crashes: int = 0
    checkpoint_id: str | None = None
    last_checkpoint_id: str | None = None
    last_delay: timedelta | None = None
    stop_reason: str | None = None

    @property
    def has_progressed(self) -> bool:
        """Whether a checkpoint was saved since the launch before ended."""
        return self.checkpoint_id != self.last_checkpoint_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """
    What the step that closes a launch does to the instance.

    crashes: the count from now on. delay: how long the instance waits before its next launch, not
    jittered; None where none follows. error: of an instance that fails, is cancelled or is blocked.
    output: what an instance that ended or slept by `output.json` said.
    """

    follow: Follow
    crashes: int = 0
    delay: timedelta | None = None
    error: str | None = None
    output: ProcessOutput | None = None
