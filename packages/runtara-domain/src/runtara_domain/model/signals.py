"""Records of signals."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from runtara_domain import values
from runtara_domain.model.caller import RunState
from runtara_domain.status import SignalType, State


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal that waits to be acknowledged."""

    type: SignalType
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class CustomSignal:
    """A value sent for one checkpoint of an instance, once and for good."""

    checkpoint_id: str
    payload: bytes = b""

    def __post_init__(self) -> None:
        values.check_id("checkpoint_id", self.checkpoint_id)
        values.check_bytes("payload", self.payload, values.MAX_SIGNAL_BYTES)


@dataclass(frozen=True, slots=True)
class Pending:
    """
    The signals of an instance that it has not acknowledged.

    before: None if the instance is unknown. custom_signals: the payloads sent for the checkpoints
    that were asked for, by their ids.
    """

    before: RunState | None
    signal: Signal | None = None
    custom_signals: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """
    What acknowledging a signal found, and did.

    before: None if the instance is unknown. after: the state it led to, None if nothing was done.
    """

    before: RunState | None
    after: State | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """
    What sending a signal found, and did if the instance is open.

    before: None if the instance is unknown. stands: whether it is the one sent that stands now; if
    not, a cancel is pending, or another custom signal was first. waits: of a custom signal, what
    the instance said that it waits for, as JSON; None if it said nothing, as while it runs.
    """

    before: RunState | None
    stands: bool = False
    waits: str | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """
    What sending a custom signal did; true if its value stands.

    hint: for the sender, where the instance is not known to wait for this name.
    """

    stands: bool
    hint: str | None = None

    def __bool__(self) -> bool:
        return self.stands
