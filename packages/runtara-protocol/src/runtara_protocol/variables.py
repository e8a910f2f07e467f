"""The environment variables of servers and clients, and the detection of misspelled ones."""

from collections.abc import Iterable
from difflib import get_close_matches

PREFIX = "RUNTARA_"

# A server knows the clients' names too, so that it does not report them as misspelled.
_OF_CLIENTS = (
    *("INSTANCE_ID", "TENANT_ID", "LAUNCH_ID", "SERVER_ADDR", "SERVER_NAME", "TLS_CA"),
    *("SKIP_CERT_VERIFICATION", "CONNECT_TIMEOUT_MS", "REQUEST_TIMEOUT_MS"),
    *("HEARTBEAT_INTERVAL_MS",),
)
_OF_SERVERS = (
    *("DATABASE_URL", "DB_POOL_SIZE", "MAX_CONCURRENT_INSTANCES", "SHUTDOWN_GRACE_MS"),
    *("TLS_CERT", "TLS_KEY", "QUIC_HOST", "QUIC_PORT", "QUIC_MAX_INCOMING", "QUIC_MAX_BI_STREAMS"),
    *("QUIC_MAX_UNI_STREAMS", "QUIC_IDLE_TIMEOUT_MS", "QUIC_KEEP_ALIVE_MS", "QUIC_MAX_HANDLERS"),
    *("QUIC_UDP_RECV_BUFFER", "QUIC_UDP_SEND_BUFFER", "MAX_RECEIVE_BYTES", "MAX_UNDELIVERED_BYTES"),
)
# An environment sets these for each launch. To look for names like them would take the launch a
# millisecond.
_OF_LAUNCHES = ("WORKSPACE_DIR", "CHECKPOINT_ID")
KNOWN = frozenset(PREFIX + name for name in (*_OF_CLIENTS, *_OF_SERVERS, *_OF_LAUNCHES))

_LIKE = 0.78
"""The similarity above which a name counts as a misspelling: a letter or syllable differs."""


def misspelt(names: Iterable[str]) -> list[str]:
    """
    Return a line for each unknown name that resembles a known one, with the known name.

    Left out are names with our prefix that resemble no known name, and known names after another
    program's prefix.
    """
    ours = sorted({name.upper() for name in names if name.upper().startswith(PREFIX)} - KNOWN)
    meant = ((name, _nearest(name.removeprefix(PREFIX))) for name in ours)
    return [
        f"{name} is unknown and has no effect: did you mean {PREFIX}{near}?"
        for name, near in meant
        if near is not None
    ]


def _nearest(name: str) -> str | None:
    known = (*_OF_CLIENTS, *_OF_SERVERS)
    if any(name.endswith(f"_{each}") for each in known):
        return None
    return next(iter(get_close_matches(name, known, 1, _LIKE)), None)
