"""Sessions, the runs that they have registered, and the slots of instances."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from runtara_domain.error import TooManyInstances
from runtara_domain.model import Caller


class Session:
    """One connection: the runs it has registered, until it is closed."""

    def __init__(self, slots: "InstanceSlots") -> None:
        self._slots = slots
        self._runs: dict[str, int] = {}
        self._closing: set[Callable[[], None]] = set()
        self.is_closed = False

    def caller(self, instance_id: str) -> Caller:
        """Return the caller with the newest run registered here; InvalidValue for a bad id."""
        return Caller(instance_id, self._runs.get(instance_id))

    @contextmanager
    def slot(self, instance_id: str) -> Iterator[None]:
        """
        Hold a slot for the instance while it is being registered, and keep it if that succeeds.

        Raises TooManyInstances before anything is done. The slot is given back if the block raises,
        or if the session was closed meanwhile.
        """
        self._slots.take(instance_id, self)
        try:
            yield
        except BaseException:
            self._slots.give_back(instance_id, self)
            raise
        if self.is_closed:
            self._slots.give_back(instance_id, self)

    def bind(self, instance_id: str, run: int) -> None:
        """Bind this run of the instance to the session, unless a newer run is bound already."""
        self._runs[instance_id] = max(run, self._runs.get(instance_id, 0))

    def ended(self, instance_id: str, *, is_launch_closed: bool = False) -> None:
        """Free the instance's slot, here and for every session: it will not run again."""
        self._runs.pop(instance_id, None)
        self._slots.free(instance_id)
        if self._slots.on_ended is not None:
            self._slots.on_ended(instance_id, is_launch_closed)

    @contextmanager
    def closing(self, call: Callable[[], None]) -> Iterator[None]:
        """Call `call` when the session is closed within the block; at once if it is closed."""
        self._closing.add(call)
        try:
            if self.is_closed:
                call()
            yield
        finally:
            self._closing.discard(call)

    def close(self) -> None:
        """Free every slot that only this session held; a second call does nothing."""
        if not self.is_closed:
            self.is_closed = True
            self._slots.leave(self, self._runs)
            self._runs.clear()
            for call in self._closing:
                call()


class InstanceSlots:
    """
    The instances with a live registered connection, at most `limit` of them.

    An instance has one slot, even if several sessions have registered it. on_ended: called with
    each instance whose end a session has stored, and with whether this closed its launch.
    """

    def __init__(self, limit: int) -> None:
        self.on_ended: Callable[[str, bool], None] | None = None
        self._limit = limit
        self._holders: dict[str, Counter[Session]] = {}

    @property
    def taken(self) -> int:
        """The number of taken slots."""
        return len(self._holders)

    @property
    def is_full(self) -> bool:
        """Whether no slot is left."""
        return len(self._holders) >= self._limit

    @property
    def instance_ids(self) -> frozenset[str]:
        """The ids of the instances that have slots."""
        return frozenset(self._holders)

    def holds(self, instance_id: str) -> bool:
        """Whether the instance has a slot."""
        return instance_id in self._holders

    def open_session(self) -> Session:
        """Begin a session for a new connection; the caller closes it."""
        return Session(self)

    def take(self, instance_id: str, session: Session) -> None:
        """Count the session among the slot's holders; raises TooManyInstances if none is left."""
        if self.is_full and not self.holds(instance_id):
            raise TooManyInstances(
                f"This server serves {self._limit} instances at most, and all slots are taken:"
                " try again later, or raise RUNTARA_MAX_CONCURRENT_INSTANCES"
            )
        self._holders.setdefault(instance_id, Counter())[session] += 1

    def give_back(self, instance_id: str, session: Session) -> None:
        """Undo one `take`."""
        holders = self._holders.get(instance_id, Counter())
        holders[session] -= 1
        if holders[session] <= 0:
            self._drop(instance_id, session)

    def leave(self, session: Session, instance_ids: Iterable[str]) -> None:
        """Undo every `take` of the session for these instances."""
        for instance_id in instance_ids:
            self._drop(instance_id, session)

    def free(self, instance_id: str) -> None:
        """Free the instance's slot for all sessions."""
        self._holders.pop(instance_id, None)

    def _drop(self, instance_id: str, session: Session) -> None:
        holders = self._holders.get(instance_id, Counter())
        holders.pop(session, None)
        if not holders:
            self._holders.pop(instance_id, None)
