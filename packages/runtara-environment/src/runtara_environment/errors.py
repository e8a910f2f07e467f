"""Errors that only an environment answers with; each class has its code on the wire."""

from runtara_domain.error import CoreError


class ImageInUse(CoreError):
    """Open instances use the image; the message says how many."""

    code = "IMAGE_IN_USE"


class NotFound(CoreError):
    """There is no such environment, queue, hold or launch."""

    code = "NOT_FOUND"


class Conflict(CoreError):
    """Arguments exclude each other, or the request contradicts stored data."""

    code = "CONFLICT"


class LeaseLost(CoreError):
    """A worker's lease has run out, or it was never opened; open it again."""

    code = "LEASE_LOST"


class Unsupported(CoreError):
    """The operation belongs to something that this server doesn't have."""

    code = "UNSUPPORTED"
