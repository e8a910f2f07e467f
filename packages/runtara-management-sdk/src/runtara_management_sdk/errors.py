"""Errors that only an environment answers with; runtara_sdk.errors has those of every server."""

from runtara_sdk.errors import ServerError
from runtara_sdk.errors import refusal as known_refusal


class ImageNotFound(ServerError):
    """No image has this id, or the image belongs to another tenant."""

    code = "IMAGE_NOT_FOUND"


class ImageInUse(ServerError):
    """Open instances use the image; the message says how many."""

    code = "IMAGE_IN_USE"


class NotFound(ServerError):
    """The named environment, launch, queue, hold or schedule does not exist."""

    code = "NOT_FOUND"


class Conflict(ServerError):
    """Arguments exclude each other, or the request contradicts stored data."""

    code = "CONFLICT"


class LeaseLost(ServerError):
    """A worker's lease has expired, or the environment does not know it: open a lease again."""

    code = "LEASE_LOST"


class Unsupported(ServerError):
    """This server lacks the feature to which the operation belongs."""

    code = "UNSUPPORTED"


_OURS: dict[str | None, type[ServerError]] = {
    known.code: known
    for known in (ImageNotFound, ImageInUse, NotFound, Conflict, LeaseLost, Unsupported)
}


def refusal(code: str | None, message: str) -> ServerError:
    """Build the error of a code; for an unknown code, a ServerError with the code in `.code`."""
    ours = _OURS.get(code)
    return known_refusal(code, message) if ours is None else ours(message)
