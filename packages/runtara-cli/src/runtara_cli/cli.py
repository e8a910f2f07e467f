"""The command `runtara`: which commands there are, and where each lies."""

from runtara_cli.codes import EPILOG
from runtara_cli.lazy import LazyGroup

_HELP = """
Develop, deploy and operate durable workflows.

Commands find the environment by --address, by RUNTARA_ENVIRONMENT_ADDR, or by the `.runtara/` that
`runtara dev` has made in this folder or one above it.
"""


def _at(*names: str) -> dict[str, str]:
    return {name: f"runtara_cli.commands.{name}" for name in names}


runtara = LazyGroup(
    "runtara",
    _HELP,
    {
        "Develop, deploy and start": _at("dev", "serve", "run", "deploy", "images", "start"),
        "Look": _at("list", "show", "explain", "logs", "wait"),
        "Change": _at("send", "cancel", "pause", "resume", "stop", "retry", "fork", "rm"),
        "Operate": _at(
            *("audit", "doctor", "top", "prune", "migrate", "export", "import"),
            *("environments", "hold", "limits", "queues", "schedules"),
        ),
        "Shell": _at("completion"),
    },
    EPILOG,
)
