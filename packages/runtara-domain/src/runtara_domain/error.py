"""The errors of the core; each class has its code on the wire."""

from typing import ClassVar


class CoreError(Exception):
    """
    A refused request; nothing was stored, unless the subclass says otherwise.

    The message is for people: it names the field or object, and the problem.
    """

    code: ClassVar[str] = "INTERNAL_ERROR"


class EmptyRequest(CoreError):
    """The request has no operation that this server knows."""

    code = "EMPTY_REQUEST"


class InvalidValue(CoreError):
    """A field has an unusable value; the message names the field and the values it takes."""

    code = "VALIDATION_ERROR"


class InstanceNotFound(CoreError):
    """No instance has this id."""

    code = "INSTANCE_NOT_FOUND"

    def __init__(self, instance_id: str) -> None:
        super().__init__(f"Instance {instance_id!r} not found")


class InstanceAlreadyExists(CoreError):
    """The id is taken, by this tenant or another."""

    code = "INSTANCE_ALREADY_EXISTS"


class InvalidInstanceState(CoreError):
    """The instance is not in a state that allows this; the message names both."""

    code = "INVALID_INSTANCE_STATE"


class InstanceSuperseded(CoreError):
    """A newer run of the instance has registered: the run that gets this must stop."""

    code = "INSTANCE_SUPERSEDED"


class TooManyInstances(CoreError):
    """The server serves as many instances as its settings allow."""

    code = "TOO_MANY_INSTANCES"


class CheckpointNotFound(CoreError):
    """The instance has no checkpoint of this id."""

    code = "CHECKPOINT_NOT_FOUND"


class ImageNotFound(CoreError):
    """No image of this tenant has this id."""

    code = "IMAGE_NOT_FOUND"

    def __init__(self, image_id: str) -> None:
        super().__init__(f"Image {image_id!r} not found")


class SignalDeliveryFailed(CoreError):
    """The signal was not accepted; the message has the reason."""

    code = "SIGNAL_DELIVERY_FAILED"


class DatabaseError(CoreError):
    """
    The database failed or did not answer; whether the step was stored is unknown.
    """

    code = "DATABASE_ERROR"


class ShuttingDown(CoreError):
    """The server is shutting down and accepts no new requests; use another, or try again."""

    code = "SHUTTING_DOWN"


class Overloaded(CoreError):
    """The server holds as much as its settings allow; try again after it has sent answers."""

    code = "OVERLOADED"


class NoAnswer(Exception):
    """No answer is sent: the client's connection ends, and the client may repeat the request."""
