"""Records of what operators do to instances: stop, retry, move, fork and delete them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.status import SignalType, State

MAX_COPIED_CHECKPOINTS = 100_000


@dataclass(frozen=True, slots=True)
class Stop:
    """An operator's stop: the process has `grace` to clean up after the cancel."""

    instance_id: str
    grace: timedelta = timedelta(seconds=5)
    reason: str = ""

    def __post_init__(self) -> None:
        values.check_id("instance_id", self.instance_id)
        values.check_note("reason", self.reason)
        if self.grace < timedelta(0):
            raise InvalidValue(f"grace: takes a time of at least 0, got {self.grace}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """
    What a stop found, and did unless the instance is unknown or finished.

    before: None if it is unknown. after: CANCELLED if that is done already. stop_at: when the grace
    is over. launch_id, environment_id: of the open launch, if there is one.
    """

    before: State | None
    after: State | None = None
    stop_at: datetime | None = None
    launch_id: str | None = None
    environment_id: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """
    An operator's retry.

    image_id: what it goes on with; None means what it has. set_aside: checkpoints that are no
    longer to be found.
    """

    instance_id: str
    image_id: str | None = None
    set_aside: Collection[str] = ()

    def __post_init__(self) -> None:
        values.check_id("instance_id", self.instance_id)
        if self.image_id is not None:
            values.check_id("image_id", self.image_id)
        for checkpoint_id in self.set_aside:
            values.check_id("set_aside", checkpoint_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """
    What a retry found, and did if it could.

    before: None if the instance is unknown; COMPLETED: nothing was done. image_is_found: False if
    nothing was done because its image is deleted, or the named one is not there. set_aside: those
    of the named checkpoints that there were. closed_launch_id: the launch that was open until then.
    """

    before: State | None
    image_is_found: bool = True
    set_aside: frozenset[str] = frozenset()
    closed_launch_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """
    What a move to another image found, and did if it could.

    before: None if the instance is unknown; a final state: nothing was done. open_launch_id: of the
    launch for which nothing was done.
    """

    before: State | None
    image_is_found: bool = True
    open_launch_id: str | None = None


@dataclass(frozen=True, slots=True)
class Fork:
    """
    A copy of an instance's history up to a point, to go on from there as an instance of its own.

    through_checkpoint_id: the last checkpoint that is copied; before_checkpoint_id: the first that
    is not; with neither all are. image_id: what the copy runs; None means what the source runs.
    """

    instance_id: str
    new_instance_id: str
    through_checkpoint_id: str | None = None
    before_checkpoint_id: str | None = None
    image_id: str | None = None

    def __post_init__(self) -> None:
        values.check_id("instance_id", self.instance_id)
        values.check_id("new_instance_id", self.new_instance_id)
        for name, text in (
            ("through_checkpoint_id", self.through_checkpoint_id),
            ("before_checkpoint_id", self.before_checkpoint_id),
            ("image_id", self.image_id),
        ):
            if text is not None:
                values.check_id(name, text)
        if self.through_checkpoint_id is not None and self.before_checkpoint_id is not None:
            raise InvalidValue(
                "through_checkpoint_id and before_checkpoint_id: give at most one of them"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Forked:
    """
    What a fork found, and did if nothing speaks against it.

    is_found: whether there is such an instance. is_taken: the new id is another instance's.
    point_is_found, image_is_found: whether there is what was named. open_child_id: a child that had
    not ended in the history that is copied. copied: how many checkpoints. repeated: the checkpoint
    ids behind the point, in the order of saving, which the copy makes again.
    """

    is_found: bool = True
    is_taken: bool = False
    point_is_found: bool = True
    image_is_found: bool = True
    open_child_id: str | None = None
    copied: int = 0
    repeated: tuple[str, ...] = ()
    is_too_long: bool = False

    @property
    def created(self) -> bool:
        """Whether the step created the copy."""
        return (
            self.is_found
            and self.point_is_found
            and self.image_is_found
            and not self.is_taken
            and not self.is_too_long
            and self.open_child_id is None
        )


@dataclass(frozen=True, slots=True)
class Relative:
    """An instance that is to be deleted, itself or with its parent."""

    instance_id: str
    state: State
    launch_id: str | None
    finished_at: datetime | None


_LEFT = frozenset(
    {
        (State.PAUSED, None),
        (State.PAUSED, SignalType.PAUSE),
        (State.ASLEEP, SignalType.PAUSE),
    }
)
"""States, each with the pending signal, of open instances that nothing but a user moves."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """
    A deletion of an instance.

    ended_at: only if it has ended in this millisecond. also_suspended: also an open one as an
    export leaves it, paused or asleep with a pending pause, without its clean-up. finished_before:
    only if all that would go finished before this moment.
    """

    instance_id: str
    ended_at: datetime | None = None
    also_suspended: bool = False
    finished_before: datetime | None = None

    def refusal(
        self, before: State, finished_at: datetime | None, pending: SignalType | None
    ) -> "Deleted | None":
        """Refuse an instance that stands so; None if only its relatives or launch may be why."""
        if self.ended_at is not None and (
            finished_at is None or _millisecond(finished_at) != _millisecond(self.ended_at)
        ):
            return Deleted(before=before, has_other_end=True)
        is_left = self.also_suspended and (before, pending) in _LEFT
        return None if before.is_final or is_left else Deleted(before=before)


def _millisecond(moment: datetime) -> datetime:
    # Clients are told no more of a moment.
    return moment.replace(microsecond=moment.microsecond // 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """
    What a deletion found, and did if nothing speaks against it.

    before: None if the instance is unknown; an open state: nothing was done. open_parent_id,
    open_child_id: an open relative for which nothing was done; the child may be a child's child.
    open_launch_id: likewise, a launch of any of them that is not over. has_other_end: nothing was
    done because it, or one below it, has not ended when it was expected to have. deleted: the ids
    of those that are gone, all of the tenant.
    """

    before: State | None
    tenant_id: str = ""
    open_parent_id: str | None = None
    open_child_id: str | None = None
    open_launch_id: str | None = None
    has_other_end: bool = False
    deleted: tuple[str, ...] = ()

    @classmethod
    def decide(
        cls,
        deletion: Deletion,
        family: Sequence[Relative],
        tenant_id: str,
        *,
        open_parent_id: str | None,
    ) -> "Deleted":
        """Decide what a deletion of these does, the named instance first; that is not refused."""
        before, below = family[0].state, family[1:]
        open_child_id = next((one.instance_id for one in below if not one.state.is_final), None)
        open_launch_id = next((one.launch_id for one in family if one.launch_id is not None), None)
        is_refused = bool(open_parent_id or open_child_id or open_launch_id)
        bound = deletion.finished_before
        is_late = not is_refused and any(
            bound is not None and (one.finished_at is None or one.finished_at >= bound)
            for one in family
        )
        return cls(
            before=before,
            tenant_id=tenant_id,
            open_parent_id=open_parent_id,
            open_child_id=open_child_id,
            open_launch_id=open_launch_id,
            has_other_end=is_late,
            deleted=() if is_refused or is_late else tuple(one.instance_id for one in family),
        )
