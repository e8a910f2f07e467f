"""Records of verdicts: the instance that a closing launch leaves, and the effect on it."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from runtara_domain.record import record

if TYPE_CHECKING:
    from runtara_domain.model.launch_ends import ProcessOutput
    from runtara_domain.status import State


class Follow(StrEnum):
    """The effect of a verdict on the instance."""

    NOTHING = "nothing"
    """Its row stays; if it sleeps, it is launched when it is due."""
    APPLY_OUTPUT = "apply_output"
    """The process's `output.json` is applied."""
    RELAUNCH = "relaunch"
    """It is launched again after a back-off, and no crash is counted."""
    CRASH = "crash"
    """It is launched again after a back-off; too many in a row without progress fail it."""
    BLOCK = "block"
    """Its code can't go on with its history, and must change."""
    FAIL = "fail"
    CANCEL = "cancel"


@record(kw_only=True)
class LaunchedInstance:
    """
    An instance's row before its launch is closed.

    is_taken: another run or launch superseded this launch. has_registered: the launch began a run.
    crashes: in a row without progress, before this launch's end. checkpoint_id: the newest one.
    last_checkpoint_id: the newest one at the end of the previous launch. last_delay: the back-off
    before this launch; None without one. stop_reason: of an operator's stop; None without one.
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
        """Whether a checkpoint was saved since the previous launch ended."""
        return self.checkpoint_id != self.last_checkpoint_id


@record(kw_only=True)
class Verdict:
    """
    The decision about an instance after a launch of it has ended.

    crashes: the new count. delay: the wait before the next launch, without jitter; None if no
    launch follows. error: of an instance that fails, is cancelled or is blocked. output: the
    `output.json` of an instance that ends or sleeps by it.
    """

    follow: Follow
    crashes: int = 0
    delay: timedelta | None = None
    error: str | None = None
    output: ProcessOutput | None = None
