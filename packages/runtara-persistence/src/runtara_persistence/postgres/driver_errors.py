"""Reads the driver's errors: may the step be repeated, and what can the operator do?"""

import ssl
from collections.abc import Mapping
from types import MappingProxyType

import asyncpg

from runtara_domain.error import DatabaseError

FAILURES = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""All errors that the driver raises."""

_ROLLED_BACK = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    # An operator ended the server in the middle of a statement; a commit would have finished.
    asyncpg.AdminShutdownError,
    # The former primary has become a standby.
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.CannotConnectNowError,
)
_LOST = (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError)
_OF_ONE_STEP = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    # The driver's own error for an argument that it can't write.
    ValueError,
)

_OF_THE_SERVER = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""Errors that any statement would meet now."""

_ADVICE: Mapping[type[BaseException], str] = MappingProxyType(
    {
        asyncpg.InvalidAuthorizationSpecificationError: "check user and password in the URL",
        asyncpg.UndefinedObjectError: (
            "if the URL names it, remove it: asyncpg passes unknown parameters on to the server as"
            " settings"
        ),
        asyncpg.InvalidCatalogNameError: "create the database first",
        asyncpg.TooManyConnectionsError: "raise max_connections, or use a smaller pool",
        asyncpg.DiskFullError: "free space on its disk",
        asyncpg.InsufficientPrivilegeError: "grant the missing right to its user",
        asyncpg.LockNotAvailableError: (
            "another transaction holds a lock: end long transactions, see pg_stat_activity"
        ),
        asyncpg.QueryCanceledError: "it exceeded its time limit: look for locks and slow queries",
        asyncpg.ReadOnlySQLTransactionError: (
            "see why it takes no writes; if it is a standby, name all hosts in the URL"
        ),
        asyncpg.ProtocolViolationError: (
            "a pooler in between (PgBouncer) can't be used: connect to the server itself"
        ),
        asyncpg.InvalidSQLStatementNameError: (
            "a pooler in between (PgBouncer) can't be used: connect to the server itself"
        ),
        asyncpg.TargetServerAttributeNotMatched: (
            "of the hosts that answer none is the primary: name it, or all hosts, in the URL"
        ),
        ssl.SSLCertVerificationError: (
            "name the host as its certificate does, and in sslrootcert the authority that signed it"
        ),
        ssl.SSLError: "see whether sslrootcert, sslcert and sslkey name PEM files",
        FileNotFoundError: "a socket or a file that the URL names is not there",
        TimeoutError: "no connection or no answer in time: see whether it is up, or overloaded",
    }
)


def was_rolled_back(error: BaseException) -> bool:
    """Whether the step certainly had no effect, and may succeed when it is repeated."""
    # If the error also ends the connection, the driver raises it as the cause of another error.
    is_rolled_back = any(isinstance(each, _ROLLED_BACK) for each in (error, error.__cause__))
    return is_rolled_back or _was_not_sent(error)


def was_lost(error: BaseException) -> bool:
    """Whether the connection was lost, and with it the answer."""
    is_misuse = isinstance(error, ValueError)
    return isinstance(error, _LOST) and not isinstance(error, TimeoutError) and not is_misuse


def is_refused(error: BaseException | None) -> bool:
    """Whether the statement was refused for its values, its locks or its time, not for the state of
    the server."""
    is_answer = isinstance(error, asyncpg.PostgresError | ValueError)
    return is_answer and not isinstance(error, _OF_THE_SERVER)


def _was_not_sent(error: BaseException) -> bool:
    # The driver's message when the server has just ended an idle connection.
    is_confused = isinstance(error, asyncpg.InternalClientError)
    return is_confused and str(error).startswith("cannot switch to state")


def is_of_one_step(error: DatabaseError) -> bool:
    """Whether the database refused a statement because of a value in it."""
    return isinstance(error.__cause__, _OF_ONE_STEP)


def took_too_long(error: DatabaseError) -> bool:
    """Whether the database ended a statement because it took too long."""
    return isinstance(error.__cause__, asyncpg.QueryCanceledError)


def explain(attempt: str, place: str, error: BaseException) -> DatabaseError:
    """Build an error: what was attempted, where, the driver's message, and what to do."""
    said = " ".join(str(error).split()) or type(error).__name__
    message = f"Failed to {attempt} in {place}: {said}"
    advice = next((text for kind, text in _ADVICE.items() if isinstance(error, kind)), None)
    return DatabaseError(message if advice is None else f"{message}; {advice}")
