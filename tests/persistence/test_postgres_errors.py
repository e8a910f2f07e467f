"""What the adapter reads from the driver's errors, without a server."""

import asyncpg
import pytest

from runtara_persistence.postgres.driver_errors import is_refused


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.RaiseError("a trigger"),
        asyncpg.UniqueViolationError("a key"),
        asyncpg.CharacterNotInRepertoireError("a text"),
        asyncpg.ProgramLimitExceededError("a size"),
        asyncpg.LockNotAvailableError("a lock"),
        asyncpg.QueryCanceledError("its time"),
        asyncpg.DataError("an argument"),
        ValueError("an argument"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_group_that_is_refused_for_one_of_its_steps_is_carried_out_step_by_step(
    error: Exception,
) -> None:
    """Its values, locks or time are those of one step; the other steps may succeed alone."""
    assert is_refused(error)


@pytest.mark.parametrize(
    "error",
    [
        None,
        ConnectionResetError("the network"),
        TimeoutError("no answer"),
        asyncpg.ConnectionDoesNotExistError("the connection"),
        asyncpg.InterfaceError("the pool"),
        asyncpg.AdminShutdownError("an operator"),
        asyncpg.CannotConnectNowError("a start"),
        asyncpg.DiskFullError("the disk"),
        asyncpg.TooManyConnectionsError("the connections"),
        asyncpg.ReadOnlySQLTransactionError("a standby"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_group_that_fails_for_the_server_fails_as_a_whole(error: Exception | None) -> None:
    """Each step alone would fail too, and take as long."""
    assert not is_refused(error)
