"""What a connection is set to, and what a server must be like."""

import logging
from collections.abc import Mapping
from types import MappingProxyType

import asyncpg

from runtara_domain.error import DatabaseError

_log = logging.getLogger(__name__)

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "application_name": "runtara",
        "default_transaction_isolation": "read committed",
        "idle_in_transaction_session_timeout": "60s",
        "jit": "off",
        # To plan a statement of a dozen parts anew takes longer than to run it.
        "plan_cache_mode": "force_generic_plan",
    }
)

_OLDEST = 130000
# The other takes any bytes, and ours are UTF-8.
_ENCODINGS = ("UTF8", "SQL_ASCII")
_ASK = """
SELECT
    current_setting('server_version') AS version,
    current_setting('server_version_num')::integer AS version_number,
    current_setting('server_encoding') AS encoding,
    current_setting('plan_cache_mode') AS plan_cache_mode,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('fsync') AS fsync
"""


async def check_session(connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> None:
    """
    Refuse a server that can't be used, with DatabaseError, and warn of one that may forget.

    What is committed lasts if `synchronous_commit` and `fsync` are on; whether they are is the
    operator's decision, and so is a standby's part in it.
    """
    row = await connection.fetchrow(_ASK)
    assert row is not None, "a statement without a table gives one row"
    if row["version_number"] < _OLDEST:
        raise DatabaseError(
            f"PostgreSQL {row['version']} is too old: 13 is the oldest that can be used"
        )
    if row["encoding"] not in _ENCODINGS:
        raise DatabaseError(
            f"The database's encoding is {row['encoding']}, which does not hold every text: create"
            " one with ENCODING 'UTF8'"
        )
    if row["plan_cache_mode"] != SETTINGS["plan_cache_mode"]:
        raise DatabaseError(
            "The session does not have the settings it was opened with: a pooler in between"
            " (PgBouncer) can't be used, connect to the server itself"
        )
    for setting in ("synchronous_commit", "fsync"):
        if row[setting] == "off":
            _log.warning(
                "%s is off: what was acknowledged may be lost when the database server crashes",
                setting,
            )
