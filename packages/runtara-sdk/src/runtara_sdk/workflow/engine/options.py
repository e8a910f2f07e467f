"""The options of steps and runs, as their decorators give them."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from runtara_sdk.workflow.duration import Duration, duration
from runtara_sdk.workflow.engine.retry import NEVER, Retry
from runtara_sdk.workflow.user_objects import shown


class NotDone:
    """Says that an effect in doubt has not happened: it is tried again."""

    def __repr__(self) -> str:
        return "NotDone()"


class OnDoubt(StrEnum):
    """The reaction to an effect in doubt without an `in_doubt` function."""

    STOP = "stop"
    AGAIN = "again"


def doubt_of(given: str) -> OnDoubt:
    """Read an option; raises ValueError for another value."""
    try:
        return OnDoubt(given)
    except ValueError:
        raise ValueError(f'doubt= takes "stop" or "again", got {shown(given)}') from None


@dataclass(frozen=True, slots=True)
class StepOptions:
    """A step's options, checked."""

    name: str
    raises: tuple[type[Exception], ...] = ()
    retry: Retry = NEVER
    timeout: Duration | None = None
    is_external: bool = False
    is_thread: bool = False
    doubt: OnDoubt = OnDoubt.STOP
    was: tuple[str, ...] = ()
    is_named: bool = False

    def __post_init__(self) -> None:
        for option, names in (("name=", (self.name,)), ("was=", self.was)):
            if not all(isinstance(name, str) and name for name in names):
                raise TypeError(
                    f"step {shown(self.name)}: {option} takes a name that is not empty, or for was="
                    f" a tuple of them, got {shown(names)}"
                )
        if not isinstance(self.retry, Retry):
            number = self.retry if isinstance(self.retry, int) and self.retry > 0 else 3
            raise TypeError(
                f"step {self.name!r}: retry= takes a Retry(...), got {shown(self.retry)}: write"
                f" retry=Retry(attempts={number})"
            )
        if self.timeout is not None:
            duration(f"step {self.name!r}: timeout=", self.timeout)
            if self.is_thread:
                raise ValueError(
                    f"step {self.name!r} is a plain function: a thread can't be ended by a"
                    " timeout, so make it an async one, or give its calls timeouts of their own"
                )

    @property
    def is_interruptible(self) -> bool:
        """Whether a scope may end the work: not a thread's, and not an external effect's."""
        return not (self.is_thread or self.is_external)


CORE_TIMEOUT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """
    A workflow's options: how long its runs wait.

    `core_timeout`: how long calls of an unreachable core are repeated. `suspend_after`: how long a
    run whose calls all wait keeps its process. `recheck_every`: after a suspension, how often
    promises are read again, for values that do not wake the instance.
    """

    core_timeout: timedelta = CORE_TIMEOUT
    suspend_after: timedelta = timedelta(seconds=60)
    recheck_every: timedelta = timedelta(days=1)
