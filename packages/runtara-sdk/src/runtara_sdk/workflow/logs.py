"""The workflow's logger, which says nothing twice."""

import logging

from runtara_sdk.workflow.context import InWorkflow, where_now


class _Live(logging.Filter):
    """Drops what an earlier run of the instance has logged already."""

    def filter(self, record: logging.LogRecord) -> bool:
        where = where_now()
        return not (isinstance(where, InWorkflow) and _is_replaying(where))


def _is_replaying(where: InWorkflow) -> bool:
    """Tell whether calls further on in this branch were made by an earlier run."""
    return where.branch.position < where.run.history.last(where.branch.path)


logger = logging.getLogger("runtara.workflow")
"""For code between steps: silent while a replay passes it again."""

logger.addFilter(_Live())
