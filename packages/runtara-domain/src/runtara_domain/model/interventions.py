"""Records of operators' interventions: stop, retry, move, fork and delete."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from runtara_domain import values
from runtara_domain.error import InvalidValue
from runtara_domain.record import record
from runtara_domain.status import SignalType, State

MAX_COPIED_CHECKPOINTS = 100_000


@record
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


@record(kw_only=True)
class Stopped:
    """
    The outcome of a stop; unknown and finished instances are left alone.

    before: the instance's state before the step; None if it is unknown. after: CANCELLED if the
    step ended it. stop_at: when the grace ends. launch_id, environment_id: of the open launch, if
    there is one.
    """

    before: State | None
    after: State | None = None
    stop_at: datetime | None = None
    launch_id: str | None = None
    environment_id: str | None = None


@record
class Retry:
    """
    An operator's retry.

    image_id: the image with which the instance goes on; None keeps its own. set_aside: ids of
    checkpoints to set aside: the next run doesn't find them.
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


@record(kw_only=True)
class Retried:
    """
    The outcome of a retry.

    before: the instance's state before the step; None if it is unknown. If it is COMPLETED, nothing
    was done. image_is_found: False if nothing was done because the named image does not exist, or
    its own is deleted. set_aside: the named checkpoints that existed. closed_launch_id: the launch
    that the step closed.
    """

    before: State | None
    image_is_found: bool = True
    set_aside: frozenset[str] = frozenset()
    closed_launch_id: str | None = None


@record(kw_only=True)
class Moved:
    """
    The outcome of a move to another image.

    before: the instance's state before the step; None if it is unknown. If it is final, nothing was
    done. open_launch_id: the open launch because of which nothing was done.
    """

    before: State | None
    image_is_found: bool = True
    open_launch_id: str | None = None


@record
class Fork:
    """
    A new instance to be made with a copy of another one's history up to a point.

    through_checkpoint_id: the last copied checkpoint. before_checkpoint_id: the first checkpoint
    that is not copied. With neither, all are copied. image_id: the copy's image; None means the
    source's.
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


@record(kw_only=True)
class Forked:
    """
    The outcome of a fork.

    is_found: whether the source exists. is_taken: another instance has the new id. point_is_found,
    image_is_found: whether the named checkpoint and image exist. open_child_id: a child that had
    not ended in the copied history. copied: the number of copied checkpoints. repeated: the
    checkpoint ids after the point, in the order of saving, whose calls the copy makes again.
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


@record
class Relative:
    """An instance to be deleted: the named one or one of its descendants."""

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
"""States, each with the pending signal, of open instances that only a user's request moves."""


@record
class Deletion:
    """
    A deletion of an instance.

    ended_at: delete only if the instance ended in this millisecond. also_suspended: also delete an
    open instance that is paused, or asleep with a pending pause, as after an export; its clean-up
    does not run. finished_before: delete only if the instance and all its descendants finished
    before this moment.
    """

    instance_id: str
    ended_at: datetime | None = None
    also_suspended: bool = False
    finished_before: datetime | None = None

    def refusal(
        self, before: State, finished_at: datetime | None, pending: SignalType | None
    ) -> "Deleted | None":
        """Return the refusal that this state of the instance gives; None if it gives none."""
        if self.ended_at is not None and (
            finished_at is None or _millisecond(finished_at) != _millisecond(self.ended_at)
        ):
            return Deleted(before=before, has_other_end=True)
        is_left = self.also_suspended and (before, pending) in _LEFT
        return None if before.is_final or is_left else Deleted(before=before)


def _millisecond(moment: datetime) -> datetime:
    # Clients get times in milliseconds.
    return moment.replace(microsecond=moment.microsecond // 1000)


@record(kw_only=True)
class Deleted:
    """
    The outcome of a deletion.

    before: None if the instance is unknown; an open state: nothing was done. open_parent_id,
    open_child_id: an open relative because of which nothing was done; it may be any descendant.
    open_launch_id: an open launch of any of them, because of which nothing was done. has_other_end:
    nothing was done because the instance, or a descendant, ended at another time than expected.
    deleted: the ids of the deleted instances, all of the tenant.
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
        """Decide the outcome for this family, whose first member is the named instance."""
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
