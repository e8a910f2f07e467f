"""Records of signals."""

from collections.abc import Mapping
from dataclasses import field

from runtara_domain import values
from runtara_domain.model.caller import RunState
from runtara_domain.record import record
from runtara_domain.status import SignalType, State


@record
class Signal:
    """A signal to an instance, which the instance acknowledges."""

    type: SignalType
    payload: bytes = b""


@record
class CustomSignal:
    """A value sent for one checkpoint id of an instance; the first value stands."""

    checkpoint_id: str
    payload: bytes = b""

    def __post_init__(self) -> None:
        values.check_id("checkpoint_id", self.checkpoint_id)
        values.check_bytes("payload", self.payload, values.MAX_SIGNAL_BYTES)


@record
class Pending:
    """
    An instance's pending signal, and the values sent to it.

    before: the instance's state; None if it is unknown. custom_signals: the payloads sent for the
    requested checkpoint ids, by these ids.
    """

    before: RunState | None
    signal: Signal | None = None
    custom_signals: Mapping[str, bytes] = field(default_factory=dict)


@record
class Acknowledged:
    """
    The outcome of acknowledging a signal.

    before: the instance's state before the step; None if it is unknown. after: its state after the
    step; None if nothing was done.
    """

    before: RunState | None
    after: State | None = None


@record
class Delivered:
    """
    The outcome of sending a signal; finished instances get none.

    before: the instance's state before the step; None if it is unknown. stands: whether the sent
    signal stands now; if not, a cancel is pending, or an earlier custom signal stands. waits: for a
    custom signal, the waits that the instance reported, as JSON; None without a report.
    """

    before: RunState | None
    stands: bool = False
    waits: str | None = None


@record
class Sent:
    """
    The outcome of sending a custom signal; true if its value stands.

    hint: a text for the sender if the instance is not known to wait for this name. makes_due:
    whether the instance was asleep, and is now due.
    """

    stands: bool
    hint: str | None = None
    makes_due: bool = False

    def __bool__(self) -> bool:
        return self.stands
