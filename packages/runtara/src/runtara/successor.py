"""Instances that others go on as, started for the workers of their workflows."""

import json

from runtara_sdk.workflow.engine import records
from runtara_sdk.workflow.errors import NotSerializable
from runtara_sdk.workflow.values.form import Form


def start_of(key: str, state: bytes) -> tuple[str, bytes]:
    """
    Give the workflow and the input of what a first record is of.

    Raises NotSerializable where the input is not as a start takes it.
    """
    record = records.decode(key, state)
    saved = json.loads(record.value)
    if record.form is not Form.ALIASES:
        raise NotSerializable(
            f"an argument of continue_as_new() in workflow {saved['workflow']!r} does not come back"
            " equal from JSON by its aliases: let its type take what it writes"
        )
    text = json.dumps(saved["input"], ensure_ascii=False) if "input" in saved else ""
    return saved["workflow"], text.encode(errors="backslashreplace")
