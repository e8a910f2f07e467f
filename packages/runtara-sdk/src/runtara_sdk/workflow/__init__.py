"""Workflows: functions whose steps are saved, so that another process can go on with them."""

from runtara_sdk.workflow.branch_task import BranchTask
from runtara_sdk.workflow.context import Current, current
from runtara_sdk.workflow.definition import Workflow, workflow
from runtara_sdk.workflow.ending import Ended, Outcome
from runtara_sdk.workflow.errors import (
    Changed,
    ForeignTask,
    Infrastructure,
    InputRefused,
    InsideStep,
    NotSaveable,
    OutsideWorkflow,
    Refused,
    StateUnreadable,
    StepFailed,
    WorkflowError,
)
from runtara_sdk.workflow.executing import execute
from runtara_sdk.workflow.groups import TaskGroup, map_steps, race
from runtara_sdk.workflow.logs import logger
from runtara_sdk.workflow.patches import patched
from runtara_sdk.workflow.plan import NotDone
from runtara_sdk.workflow.promises import promise
from runtara_sdk.workflow.restarts import restart_as
from runtara_sdk.workflow.retry import Retry
from runtara_sdk.workflow.sleeping import sleep, sleep_until, timeout
from runtara_sdk.workflow.steps import Step, step
from runtara_sdk.workflow.values import now, random, uuid4
from runtara_sdk.workflow.zoned import Zoned

__all__ = [
    "BranchTask",
    "Changed",
    "Current",
    "Ended",
    "ForeignTask",
    "Infrastructure",
    "InputRefused",
    "InsideStep",
    "NotDone",
    "NotSaveable",
    "Outcome",
    "OutsideWorkflow",
    "Refused",
    "Retry",
    "StateUnreadable",
    "Step",
    "StepFailed",
    "TaskGroup",
    "Workflow",
    "WorkflowError",
    "Zoned",
    "current",
    "execute",
    "logger",
    "map_steps",
    "now",
    "patched",
    "promise",
    "race",
    "random",
    "restart_as",
    "sleep",
    "sleep_until",
    "step",
    "timeout",
    "uuid4",
    "workflow",
]
