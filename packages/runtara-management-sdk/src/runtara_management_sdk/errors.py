"""Refusals that only an environment gives; the others are those of runtara_sdk.errors."""

from runtara_sdk.errors import ServerError
from runtara_sdk.errors import refusal as known_refusal


class ImageNotFound(ServerError):
    """No image has this id, or it is another tenant's."""

    code = "IMAGE_NOT_FOUND"


class ImageInUse(ServerError):
    """Open instances use the image; the message says how many."""

    code = "IMAGE_IN_USE"


class NotFound(ServerError):
    """There is no such environment, queue or hold."""

    code = "NOT_FOUND"


class Conflict(ServerError):
    """Arguments exclude each other, or the request contradicts what is stored."""

    code = "CONFLICT"


class LeaseLost(ServerError):
    """A worker's lease has run out, or the environment does not know it: open it again."""

    code = "LEASE_LOST"


class Unsupported(ServerError):
    """The operation belongs to something that this server doesn't have."""

    code = "UNSUPPORTED"


_OURS: dict[str | None, type[ServerError]] = {
    known.code: known
    for known in (ImageNotFound, ImageInUse, NotFound, Conflict, LeaseLost, Unsupported)
}


def refusal(code: str | None, message: str) -> ServerError:
    """Build the error that stands for a code; a code not known keeps its name in `.code`."""
    ours = _OURS.get(code)
    return known_refusal(code, message) if ours is None else ours(message)
