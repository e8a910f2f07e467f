"""Everything the core refuses or fails with, each class with its code on the wire."""

from typing import ClassVar


class CoreError(Exception):
    """
    A refused request; nothing of it was stored, unless the subclass says otherwise.

    The message is for a person, and names the fault and its object.
    """

    code: ClassVar[str] = "INTERNAL_ERROR"


class EmptyRequest(CoreError):
    """The request asks for nothing this server knows."""

    code = "EMPTY_REQUEST"


class InvalidValue(CoreError):
    """A field holds something it does not take; the message names the field and what it takes."""

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
    """The server serves as many instances as it was allowed to."""

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
    """The signal was not taken; the message says why."""

    code = "SIGNAL_DELIVERY_FAILED"


class DatabaseError(CoreError):
    """
    The database is out of reach, or gave no answer: whether the step was stored is unknown.
    """

    code = "DATABASE_ERROR"


class ShuttingDown(CoreError):
    """The server is ending and takes no new work; try another, or again."""

    code = "SHUTTING_DOWN"


class Overloaded(CoreError):
    """The server holds as much as it was allowed to; try again when it has answered some of it."""

    code = "OVERLOADED"


class NoAnswer(Exception):
    """There is no answer: the client sees its connection end, and may ask again."""
