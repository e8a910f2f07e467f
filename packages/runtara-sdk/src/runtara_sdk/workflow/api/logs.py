"""Logs: the workflow's logger, which repeats no line in a replay, and a process's log set-up."""

import logging

from runtara_sdk.workflow.engine.calls import Branch, code_context
from runtara_sdk.workflow.engine.execution import current_execution, label_log_records


class _Live(logging.Filter):
    """Drops lines that an earlier run of the instance has logged already."""

    def filter(self, record: logging.LogRecord) -> bool:
        branch = code_context()
        return not (isinstance(branch, Branch) and is_replaying(branch))


def is_replaying(branch: Branch) -> bool:
    """Return whether calls further on in this branch were made by an earlier run."""
    return branch.position < current_execution().replay.last_position(branch.path)


logger = logging.getLogger("runtara.workflow")
"""For code between steps: silent while a replay passes it again."""

logger.addFilter(_Live())


def show() -> None:
    """
    Log from INFO on to standard error, unless the process has logging settings of its own.

    Called after the import of the workflow's module, which may have called `logging.basicConfig`.
    """
    root = logging.getLogger()
    if not root.handlers:
        level = logging.INFO if root.level == logging.WARNING else root.level
        label_log_records()  # The format needs the labels, also before the run.
        logging.basicConfig(level=level, format="%(levelname)s %(name)s%(runtara)s: %(message)s")
    # aioquic's loggers are silenced: the client logs the important events of a connection.
    quic = logging.getLogger("quic")
    if quic.level == logging.NOTSET:
        quic.setLevel(logging.ERROR)
