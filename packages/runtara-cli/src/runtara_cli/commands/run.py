"""`runtara run`."""

from collections.abc import Mapping

from runtara_cli import access
from runtara_cli.passing import passing


def _core() -> Mapping[str, str]:
    """Give how to reach the core of the nearest `runtara dev`, if there is one."""
    found = access.nearest()
    if found is None:
        return {}
    _, dev = found
    return {
        "RUNTARA_SERVER_ADDR": dev.core_addr,
        "RUNTARA_TLS_CA": dev.tls_ca,
        "RUNTARA_TENANT_ID": dev.tenant_id,
    }


command = passing(
    "run",
    "runtara_sdk",
    "run",
    short_help="Run an instance in this process, without an environment.",
    variables=_core,
)
