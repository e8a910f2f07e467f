"""Records that calls which change instances return."""

from runtara_domain.record import record


@record
class Started:
    """The started instance; `created`: False if an earlier start made it."""

    instance_id: str
    created: bool = True


@record
class Imported:
    """
    The imported instance, and the image or workflow that it runs.

    created: False if it was imported from the same file before.
    """

    instance_id: str
    created: bool
    image_id: str | None = None
    workflow: str | None = None


@record
class Sent:
    """
    A sent value.

    is_first: False if a value that was sent earlier stands. warning: a hint that the instance does
    not wait for this name; None if there is none.
    """

    is_first: bool = True
    warning: str | None = None


@record
class Forked:
    """
    The new instance of a fork, and the number of copied checkpoints.

    repeated_checkpoint_ids: the source's recorded calls that the new instance makes again.
    """

    instance_id: str
    copied: int
    repeated_checkpoint_ids: tuple[str, ...] = ()
