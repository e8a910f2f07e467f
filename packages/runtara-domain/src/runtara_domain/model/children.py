"""Records of children: how a run starts a child, and the signal that a child's end sends."""

import json
from base64 import b64encode

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.model.caller import RunState
from runtara_domain.model.checkpoints import CheckpointWrite, Saved
from runtara_domain.model.instances import Ending
from runtara_domain.model.signals import Signal
from runtara_domain.record import record

MAX_CHILD_ID_BYTES = values.MAX_ID_BYTES - len(values.CHILD_ENDED)
MAX_HEARD_OUTPUT_BYTES = 64 * 1024
"""The largest output of a child that is sent to its parent."""

_MAX_ERROR_LENGTH = 16 * 1024


@record
class NewChild:
    """
    An instance that a run creates, with its workflow and input.

    is_successor: the run's instance continues as this one, which is no child and has no parent. It
    gets the image, the variables and the workflow of the run's instance; `workflow` counts only if
    that instance has none.
    """

    child_id: str
    workflow: str
    input: bytes | None = None
    is_successor: bool = False

    def __post_init__(self) -> None:
        values.check_id("child_id", self.child_id)
        size = len(self.child_id.encode())
        if size > MAX_CHILD_ID_BYTES:
            raise InvalidValue(f"child_id: takes 1 to {MAX_CHILD_ID_BYTES} bytes, got {size} bytes")
        values.check_id("workflow", self.workflow)
        if self.input is not None:
            values.check_bytes("input", self.input)


@record
class ChildStarted:
    """
    The outcome of starting a child.

    before: the parent's state before the step; None if it is unknown. created: whether the step
    created the child. differs_in: if the id is taken, the ways in which that instance differs from
    the requested child (parent, workflow, input); empty if it is the same child.
    """

    before: RunState | None
    created: bool = False
    differs_in: tuple[str, ...] = ()


@record
class NewChildren:
    """
    Children that a run starts together, and checkpoints of its instance that are saved with them.

    1 to 100 children, none of them a successor, and at most 1,000 checkpoints, each of an id of its
    own. All inputs and states have at most 8 MiB.
    """

    children: tuple[NewChild, ...]
    writes: tuple[CheckpointWrite, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of inputs and states."""
        inputs = sum(len(child.input or b"") for child in self.children)
        return inputs + sum(write.size for write in self.writes)

    def __post_init__(self) -> None:
        values.check_range("children", len(self.children), 1, values.MAX_CHILDREN)
        values.check_range("checkpoints", len(self.writes), 0, values.MAX_CHILDREN_WRITES)
        if any(child.is_successor for child in self.children):
            raise InvalidValue("children: takes no successor, which is started by itself")
        _check_different("child_id", [child.child_id for child in self.children])
        _check_different("checkpoint_id", [write.checkpoint_id for write in self.writes])
        if self.size > values.MAX_CHILDREN_BYTES:
            raise InvalidValue(
                f"children: take at most {values.MAX_CHILDREN_BYTES} bytes with their checkpoints,"
                f" got {self.size}: start fewer at once"
            )


@record
class ChildrenStarted:
    """
    The outcome of starting children together.

    before: the parent's state before the step; None if it is unknown. created: for each child
    whether the step created it. saved: the outcome of each checkpoint, without signals; signal: the
    parent's pending signal. refused: the first child whose id is another instance's, by its index,
    and differs_in: in what they differ; nothing is stored then, and created and saved are empty.
    """

    before: RunState | None
    created: tuple[bool, ...] = ()
    saved: tuple[Saved, ...] = ()
    signal: Signal | None = None
    refused: int | None = None
    differs_in: tuple[str, ...] = ()


def _check_different(field: str, ids: list[str]) -> None:
    if len(set(ids)) < len(ids):
        one = next(one for one in ids if ids.count(one) > 1)
        raise InvalidValue(f"{field}: takes each id once, got {one!r} again")


def child_signal_id(child_id: str) -> str:
    """Return the checkpoint id of the signal that a parent gets for the end of this child."""
    return f"{values.CHILD_ENDED}{child_id}"


def ending_signal(child_id: str, ending: Ending) -> tuple[str, bytes]:
    """
    Return the custom signal to a parent for the end of a child: checkpoint id and payload.

    The payload is a JSON object: `status`, `error` (text of at most 16,384 characters, or null) and
    `output` (base64, or null). An output of more than 64 KiB is left out: the child's status has
    it.
    """
    error = None if ending.error is None else ending.error[:_MAX_ERROR_LENGTH]
    ended: dict[str, str | None] = {"status": ending.state.value, "error": error}
    if ending.output is None:
        ended["output"] = None
    elif len(ending.output) <= MAX_HEARD_OUTPUT_BYTES:
        ended["output"] = b64encode(ending.output).decode()
    payload = json.dumps(ended, ensure_ascii=False, separators=(",", ":")).encode()
    return child_signal_id(child_id), payload
