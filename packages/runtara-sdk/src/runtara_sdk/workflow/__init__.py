"""Workflows: functions whose steps are saved, so that another process can go on with them."""

from runtara_sdk.workflow.api.bound import Call
from runtara_sdk.workflow.api.children import ChildHandle, child, start_child
from runtara_sdk.workflow.api.context import current
from runtara_sdk.workflow.api.groups import TaskGroup, map_steps, race
from runtara_sdk.workflow.api.logs import logger
from runtara_sdk.workflow.api.named_promises import Promise
from runtara_sdk.workflow.api.promises import promise
from runtara_sdk.workflow.api.queues import Queue
from runtara_sdk.workflow.api.recorded import now, patched, random, uuid4
from runtara_sdk.workflow.api.reports import report
from runtara_sdk.workflow.api.restarts import restart_as
from runtara_sdk.workflow.api.steps import Step, step
from runtara_sdk.workflow.api.timers import sleep, sleep_until, timeout
from runtara_sdk.workflow.api.workflows import Workflow, workflow
from runtara_sdk.workflow.engine.branches import BranchTask
from runtara_sdk.workflow.engine.calls import Current
from runtara_sdk.workflow.engine.options import NotDone
from runtara_sdk.workflow.engine.outcome import Ended, Outcome, successor_in
from runtara_sdk.workflow.engine.plans import ForkPlan, RetryPlan, plan_fork, plan_retry
from runtara_sdk.workflow.engine.retry import Retry
from runtara_sdk.workflow.engine.runner import execute
from runtara_sdk.workflow.errors import (
    Changed,
    ChildNotStarted,
    ForeignTask,
    Infrastructure,
    InputRefused,
    InsideStep,
    NotSaveable,
    OutsideWorkflow,
    Refused,
    StateUnreadable,
    StepFailed,
    WorkflowCancelled,
    WorkflowError,
    WorkflowFailed,
)
from runtara_sdk.workflow.values.ticks import Tick
from runtara_sdk.workflow.values.zoned import Zoned

__all__ = [
    "BranchTask",
    "Call",
    "Changed",
    "ChildHandle",
    "ChildNotStarted",
    "Current",
    "Ended",
    "ForeignTask",
    "ForkPlan",
    "Infrastructure",
    "InputRefused",
    "InsideStep",
    "NotDone",
    "NotSaveable",
    "Outcome",
    "OutsideWorkflow",
    "Promise",
    "Queue",
    "Refused",
    "Retry",
    "RetryPlan",
    "StateUnreadable",
    "Step",
    "StepFailed",
    "TaskGroup",
    "Tick",
    "Workflow",
    "WorkflowCancelled",
    "WorkflowError",
    "WorkflowFailed",
    "Zoned",
    "child",
    "current",
    "execute",
    "logger",
    "map_steps",
    "now",
    "patched",
    "plan_fork",
    "plan_retry",
    "promise",
    "race",
    "random",
    "report",
    "restart_as",
    "sleep",
    "sleep_until",
    "start_child",
    "step",
    "successor_in",
    "timeout",
    "uuid4",
    "workflow",
]
