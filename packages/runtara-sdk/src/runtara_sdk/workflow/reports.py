"""Reports of errors, for whoever wrote the workflow."""

from pathlib import Path
from traceback import StackSummary, TracebackException

_OURS = str(Path(__file__).parent)


def report(error: BaseException) -> str:
    """The error in one line, then its traceback with the frames of user code alone."""
    head = f"{type(error).__qualname__}: {error}"
    found = TracebackException.from_exception(error)
    _without_ours(found)
    return "\n".join([head, "", *(line.rstrip("\n") for line in found.format())]).replace("\0", "")


def _without_ours(found: TracebackException) -> None:
    users = [frame for frame in found.stack if not frame.filename.startswith(_OURS)]
    if users:
        found.stack = StackSummary.from_list(users)
    for inner in (found.__cause__, found.__context__, *(found.exceptions or ())):
        if inner is not None:
            _without_ours(inner)
