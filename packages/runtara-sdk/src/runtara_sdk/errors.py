"""The errors of the SDK, and the server's error codes as classes."""


class RuntaraError(Exception):
    """
    The base of all errors of the SDK; the message is for a person.

    `code` is for programs, and never changes; messages and classes may.
    """

    code: str = "RUNTARA_ERROR"


class ConfigurationError(RuntaraError):
    """Settings that cannot be used: a line for each, with its name, its value and what it takes."""

    code = "CONFIGURATION_ERROR"


class ClientNotOpen(RuntaraError):
    """The client is used outside of its `async with`, or entered twice."""

    code = "CLIENT_NOT_OPEN"


class ConnectionFailed(RuntaraError):
    """
    The server was out of reach for the call's timeout.

    Whether the server executed the request is unknown, unless the message says it was not sent.
    """

    code = "CONNECTION_FAILED"


class ServerNotTrusted(RuntaraError):
    """
    All named servers were reached, and none has a trusted certificate: nothing was sent.

    The client does not try again, because a person must act: the message says what to set.
    """

    code = "SERVER_NOT_TRUSTED"


class RequestTimeout(RuntaraError):
    """The server gave no answer in time: whether it executed the request is unknown."""

    code = "REQUEST_TIMEOUT"


class ProtocolError(RuntaraError):
    """Server and client do not understand each other: a broken frame, or an unexpected answer."""

    code = "PROTOCOL_ERROR"


class RequestReset(ProtocolError):
    """The server reset the request's stream: whether it executed the request is unknown."""

    code = "REQUEST_RESET"


class ServerError(RuntaraError):
    """
    The server refused the request or failed; nothing was stored, unless a subclass says otherwise.

    `code` is the server's code, or SERVER_ERROR from servers that give none. A code with a class
    below is raised as that class, all others as this one.
    """

    code = "SERVER_ERROR"

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        if code:
            self.code = code


class RequestNotKnown(ServerError):
    """The server is too old for this request."""

    code = "EMPTY_REQUEST"


class ValidationFailed(ServerError):
    """The server refuses a value; the message names the field and what it takes."""

    code = "VALIDATION_ERROR"


class InstanceNotFound(ServerError):
    """No instance has this id."""

    code = "INSTANCE_NOT_FOUND"


class InstanceAlreadyExists(ServerError):
    """The id is taken, by this tenant or another."""

    code = "INSTANCE_ALREADY_EXISTS"


class InvalidInstanceState(ServerError):
    """The instance's state does not allow the request: it has ended, or is suspended."""

    code = "INVALID_INSTANCE_STATE"


class InstanceSuperseded(ServerError):
    """
    A newer run of this instance has registered: this process must stop.

    Once raised, every later call of the same client raises it.
    """

    code = "INSTANCE_SUPERSEDED"


class TooManyInstances(ServerError):
    """The server serves its largest number of instances."""

    code = "TOO_MANY_INSTANCES"


class CheckpointNotFound(ServerError):
    """The instance has no checkpoint of this id."""

    code = "CHECKPOINT_NOT_FOUND"


class CheckpointSaveFailed(ServerError):
    """The checkpoint could not be saved."""

    code = "CHECKPOINT_SAVE_FAILED"


class SignalDeliveryFailed(ServerError):
    """The server refused the signal; the message says why."""

    code = "SIGNAL_DELIVERY_FAILED"


class DatabaseFailed(ServerError):
    """The server's database gave no answer: whether it stored the request is unknown."""

    code = "DATABASE_ERROR"


class ShuttingDown(ServerError):
    """The server is ending and takes no new work."""

    code = "SHUTTING_DOWN"


class Overloaded(ServerError):
    """The server's memory for requests and answers is in use: try again later."""

    code = "OVERLOADED"


class InternalServerError(ServerError):
    """A bug in the server, which logged it: whether it executed the request is unknown."""

    code = "INTERNAL_ERROR"


_BY_CODE: dict[str | None, type[ServerError]] = {
    known.code: known for known in ServerError.__subclasses__()
}


def refusal(code: str | None, message: str) -> ServerError:
    """Build the error of a code; an unknown code keeps its name in `.code`."""
    return _BY_CODE.get(code, ServerError)(message, code)
