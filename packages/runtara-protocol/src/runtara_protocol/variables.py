"""The environment variables of all that speaks the protocol, and which one a name may mean."""

from collections.abc import Iterable
from difflib import get_close_matches

PREFIX = "RUNTARA_"

# The names of client and server together, so that neither warns of the other's as a misspelling.
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
KNOWN = frozenset(PREFIX + name for name in (*_OF_CLIENTS, *_OF_SERVERS))

_LIKE = 0.78
"""From here on up two names are alike: a letter or a syllable is missing, added or another."""


def misspelt(names: Iterable[str]) -> list[str]:
    """
    Return a line for each unknown name that resembles one of ours, with the resembled name.

    Names with our prefix that resemble none, or have another program's prefix before one of ours,
    are left out.
    """
    ours = sorted({name.upper() for name in names if name.upper().startswith(PREFIX)} - KNOWN)
    meant = ((name, _nearest(name.removeprefix(PREFIX))) for name in ours)
    return [
        f"{name} is not known, and does nothing: did you mean {PREFIX}{near}?"
        for name, near in meant
        if near is not None
    ]


def _nearest(name: str) -> str | None:
    known = (*_OF_CLIENTS, *_OF_SERVERS)
    if any(name.endswith(f"_{each}") for each in known):
        return None
    return next(iter(get_close_matches(name, known, 1, _LIKE)), None)
