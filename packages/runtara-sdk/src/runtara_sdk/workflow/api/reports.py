"""Reports of a workflow's progress, for operators."""

from contextvars import Context

from runtara_sdk.workflow import values
from runtara_sdk.workflow.api.context import is_in_loop
from runtara_sdk.workflow.api.logs import is_replaying
from runtara_sdk.workflow.engine import calls
from runtara_sdk.workflow.engine.calls import Branch
from runtara_sdk.workflow.engine.execution import current_execution
from runtara_sdk.workflow.errors import NotSerializable

_LONGEST = 64 * 1024
"""The largest report, in bytes, that the core stores."""


def report(value: object) -> None:
    """
    Report the workflow's progress: a text or a JSON value, shown with the instance's status.

    It may be called between steps and inside them, in any task and in the threads of plain steps.
    The last report stays, even if the process dies. At most one a second is written, and no code
    waits for it. A replay does not report again. Outside of workflows the call does nothing. Raises
    NotSerializable for a value that is not JSON, or is larger than 64 KiB.
    """
    text = values.codec.output("report()", value, object)
    if len(text) > _LONGEST:
        raise NotSerializable(f"report() takes at most {_LONGEST} bytes, got {len(text)}")
    context = calls.code_context()
    if context is None or (isinstance(context, Branch) and is_replaying(context)):
        return
    execution = current_execution()
    if is_in_loop(execution):
        execution.reporting.report(text)
    else:
        loop = execution.end.outcome.get_loop()
        loop.call_soon_threadsafe(execution.reporting.report, text, context=Context())
