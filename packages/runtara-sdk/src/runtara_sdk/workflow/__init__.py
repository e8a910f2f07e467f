"""Workflows: functions whose steps are saved, so that another process can go on with them."""

from runtara_sdk.workflow.api.bound import Call
from runtara_sdk.workflow.api.children import ChildHandle, child, start_child
from runtara_sdk.workflow.api.context import current
from runtara_sdk.workflow.api.continuation import continue_as_new
from runtara_sdk.workflow.api.groups import TaskGroup, map_steps, race
from runtara_sdk.workflow.api.logs import logger
from runtara_sdk.workflow.api.named_promises import Promise
from runtara_sdk.workflow.api.promises import promise
from runtara_sdk.workflow.api.queues import Queue
from runtara_sdk.workflow.api.recorded import now, patched, random, uuid4
from runtara_sdk.workflow.api.reports import report
from runtara_sdk.workflow.api.steps import Step, step
from runtara_sdk.workflow.api.timers import sleep, sleep_until, timeout
from runtara_sdk.workflow.api.workflows import Workflow, workflow
from runtara_sdk.workflow.engine.branches import BranchTask
from runtara_sdk.workflow.engine.calls import StepInfo
from runtara_sdk.workflow.engine.options import NotDone
from runtara_sdk.workflow.engine.outcome import Ended, Outcome, successor_in
from runtara_sdk.workflow.engine.plans import ForkPlan, RetryPlan, plan_fork, plan_retry
from runtara_sdk.workflow.engine.retry import Retry
from runtara_sdk.workflow.engine.runner import execute
from runtara_sdk.workflow.errors import (
    ChildNotStarted,
    CoreUnavailable,
    DurableCallInStep,
    Incompatible,
    InputRefused,
    NondeterminismError,
    NotInBranchTask,
    NotSerializable,
    OutsideWorkflow,
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
    "ChildHandle",
    "ChildNotStarted",
    "CoreUnavailable",
    "DurableCallInStep",
    "Ended",
    "ForkPlan",
    "Incompatible",
    "InputRefused",
    "NondeterminismError",
    "NotDone",
    "NotInBranchTask",
    "NotSerializable",
    "Outcome",
    "OutsideWorkflow",
    "Promise",
    "Queue",
    "Retry",
    "RetryPlan",
    "StateUnreadable",
    "Step",
    "StepFailed",
    "StepInfo",
    "TaskGroup",
    "Tick",
    "Workflow",
    "WorkflowCancelled",
    "WorkflowError",
    "WorkflowFailed",
    "Zoned",
    "child",
    "continue_as_new",
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
    "sleep",
    "sleep_until",
    "start_child",
    "step",
    "successor_in",
    "timeout",
    "uuid4",
    "workflow",
]
