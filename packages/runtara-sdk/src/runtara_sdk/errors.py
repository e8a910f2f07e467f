"""Everything a call of the SDK raises of its own, and the server's codes as classes."""


class RuntaraError(Exception):
    """
    Whatever goes wrong between a workflow and the core; the message is meant for a person.

    `code` is meant for programs: it stays the same, whatever becomes of messages and classes.
    """

    code: str = "RUNTARA_ERROR"


class ConfigurationError(RuntaraError):
    """Settings that cannot be used: one line a value, naming it, what it got and what it takes."""

    code = "CONFIGURATION_ERROR"


class ClientNotOpen(RuntaraError):
    """The client is used outside of its `async with`, or entered twice."""

    code = "CLIENT_NOT_OPEN"


class ConnectionFailed(RuntaraError):
    """
    The server could not be reached, or went away and did not come back within the call's timeout.

    Whether a request under way was carried out is unknown, unless the message says it was not sent.
    """

    code = "CONNECTION_FAILED"


class ServerNotTrusted(RuntaraError):
    """
    All servers named were reached, and none has a certificate to trust: nothing was sent.

    Not tried again, because it takes a person: the message says what to set.
    """

    code = "SERVER_NOT_TRUSTED"


class RequestTimeout(RuntaraError):
    """The server was reached and gave no answer in time: whether it did its work is unknown."""

    code = "REQUEST_TIMEOUT"


class ProtocolError(RuntaraError):
    """The server and this client do not speak alike: a broken frame, or an answer not asked for."""

    code = "PROTOCOL_ERROR"


class RequestReset(ProtocolError):
    """The server gave a request up without an answer: whether it was carried out is unknown."""

    code = "REQUEST_RESET"


class ServerError(RuntaraError):
    """
    The server refused or failed; nothing was stored, unless the class says otherwise.

    `code` is the server's word for it: SERVER_ERROR from servers that give none. Codes that have a
    class below are raised as that class, all others as this one.
    """

    code = "SERVER_ERROR"

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        if code:
            self.code = code


class RequestNotKnown(ServerError):
    """The server is too old for what was asked."""

    code = "EMPTY_REQUEST"


class ValidationFailed(ServerError):
    """A value is not one the server takes; the message names the field and what it takes."""

    code = "VALIDATION_ERROR"


class InstanceNotFound(ServerError):
    """No instance has this id."""

    code = "INSTANCE_NOT_FOUND"


class InstanceAlreadyExists(ServerError):
    """The id is taken, by this tenant or another."""

    code = "INSTANCE_ALREADY_EXISTS"


class InvalidInstanceState(ServerError):
    """The instance is in a state that does not allow this: finished, or suspended."""

    code = "INVALID_INSTANCE_STATE"


class InstanceSuperseded(ServerError):
    """
    A newer run of this instance has registered: this process must stop.

    Once raised, every later call of the same client raises it.
    """

    code = "INSTANCE_SUPERSEDED"


class TooManyInstances(ServerError):
    """The server serves as many instances as it was allowed to."""

    code = "TOO_MANY_INSTANCES"


class CheckpointNotFound(ServerError):
    """The instance has no checkpoint of this id."""

    code = "CHECKPOINT_NOT_FOUND"


class CheckpointSaveFailed(ServerError):
    """The checkpoint could not be saved."""

    code = "CHECKPOINT_SAVE_FAILED"


class SignalDeliveryFailed(ServerError):
    """The signal was not taken; the message says why."""

    code = "SIGNAL_DELIVERY_FAILED"


class DatabaseFailed(ServerError):
    """The server's database gave no answer: whether the request was carried out is unknown."""

    code = "DATABASE_ERROR"


class ShuttingDown(ServerError):
    """The server is ending and takes no new work."""

    code = "SHUTTING_DOWN"


class Overloaded(ServerError):
    """The server holds as much as it was allowed to."""

    code = "OVERLOADED"


class InternalServerError(ServerError):
    """A bug in the server, which has logged it: whether the request was carried out is unknown."""

    code = "INTERNAL_ERROR"


_BY_CODE: dict[str | None, type[ServerError]] = {
    known.code: known for known in ServerError.__subclasses__()
}


def refusal(code: str | None, message: str) -> ServerError:
    """Build the error that stands for a code; a code not known keeps its name in `.code`."""
    return _BY_CODE.get(code, ServerError)(message, code)
