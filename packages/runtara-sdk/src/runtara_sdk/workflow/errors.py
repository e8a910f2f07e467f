"""The errors of the workflow layer; each message says what to do next."""

from collections.abc import Sequence

from runtara_sdk.errors import RuntaraError


class WorkflowError(RuntaraError):
    """An error of the workflow layer: in a workflow's code, its use, or its saved states."""

    code = "WORKFLOW_ERROR"


def _advice(cause: str) -> str:
    """Return how the workflow can catch the error in its own type."""
    name = cause.rpartition(".")[2]
    if name == NotSerializable.__name__:
        return ""
    return (
        f" (raised as StepFailed; to catch it as {name}, name it as an answer of the step:"
        f" @step(raises={name}))"
    )


class StepFailed(WorkflowError):
    """
    A step has failed for good, with an error that is not in its `raises=`.

    It is the same live and on replay. The step's traceback is a note, and `cause` the error's type.
    `advice` says at the end of the text how to catch the error in its own type.
    """

    code = "STEP_FAILED"

    def __init__(
        self,
        step: str,
        key: str,
        attempts: int,
        cause: str,
        message: str,
        *,
        advice: bool = True,
    ) -> None:
        tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        super().__init__(
            f"step {step!r} ({key}) failed after {tries}: {cause}: {message}"
            f"{_advice(cause) if advice else ''}"
        )
        self.step = step
        self.key = key
        self.attempts = attempts
        self.cause = cause
        self.message = message


class WorkflowFailed(WorkflowError):
    """
    An instance has failed with an error that is not in its workflow's `raises=`.

    `cause` is the error's type, `message` its text, `arguments` its args as JSON, `notes` its
    notes, and `traceback` that of the workflow's code. All but `message` are empty if the instance
    was ended from outside, or by an older version.
    """

    code = "WORKFLOW_FAILED"

    def __init__(
        self,
        workflow: str,
        message: str,
        *,
        cause: str = "",
        arguments: Sequence[object] = (),
        notes: Sequence[str] = (),
        traceback: str = "",
    ) -> None:
        shown = f"{cause}: {message}" if cause else message
        super().__init__(f"workflow {workflow!r} has failed: {shown}")
        self.workflow = workflow
        self.cause = cause
        self.message = message
        self.arguments = tuple(arguments)
        self.notes = tuple(notes)
        self.traceback = traceback


class WorkflowCancelled(WorkflowError):
    """An instance was cancelled; `reason` is empty if none was given."""

    code = "WORKFLOW_CANCELLED"

    def __init__(self, workflow: str, reason: str = "") -> None:
        super().__init__(f"workflow {workflow!r} was cancelled{f': {reason}' if reason else ''}")
        self.workflow = workflow
        self.reason = reason


class ChildNotStarted(WorkflowError):
    """The id of a child is taken: by another instance, or by a child with another input."""

    code = "CHILD_NOT_STARTED"


class DurableCallInStep(WorkflowError):
    """A durable call was made inside a step, where no call is durable."""

    code = "DURABLE_CALL_IN_STEP"


class NotInBranchTask(WorkflowError):
    """A durable call was made in an asyncio task that the workflow did not start."""

    code = "NOT_IN_BRANCH_TASK"


class NotSerializable(WorkflowError):
    """A value would not come back equal, or was sent to a promise of another type."""

    code = "NOT_SERIALIZABLE"


class Incompatible(WorkflowError):
    """This code or input can't go on with the instance, which is blocked until one can."""

    code = "INCOMPATIBLE"


class InputRefused(Incompatible):
    """The input does not fit the workflow; the instance has failed."""

    code = "INPUT_MISMATCH"


class OtherInput(Incompatible):
    """The instance was started with another input than this one."""

    code = "OTHER_INPUT"


class NondeterminismError(Incompatible):
    """The code makes other durable calls than the instance has passed."""

    code = "NONDETERMINISM"


class StateUnreadable(Incompatible):
    """A saved state does not fit its type any more; it is not overwritten."""

    code = "STATE_UNREADABLE"


class CoreUnavailable(WorkflowError):
    """The core was out of reach for the whole `core_timeout`; a later run goes on."""

    code = "CORE_UNAVAILABLE"


class Superseded(WorkflowError):
    """A newer run of the instance has begun; raised by a store: this process must stop."""

    code = "RUN_SUPERSEDED"


class OutsideWorkflow(WorkflowError):
    """A durable call, or a value of a run, was used outside of a running workflow."""

    code = "OUTSIDE_WORKFLOW"
