"""
A process that runs instances one after the other, and tells how each ended.

`python replay.py FOLDER`, with JSON on standard input: by instance id, MODULE:FUNCTION. What the
instance's code notes is written to FOLDER. Imports nothing of the tests, so that it may run in any
folder, by any Python that has the product installed.
"""

import asyncio
import importlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from runtara_sdk import RuntaraError, Settings
from runtara_sdk.workflow import Ended, Outcome, Workflow, execute
from runtara_sdk.workflow.process.core_store import connected


async def replayed(targets: dict[str, str], folder: Path) -> dict[str, object]:
    """Run instances; gives of each how it ended, what it gave and what it noted."""
    found: dict[str, object] = {}
    for instance_id, target in targets.items():
        notes = folder / f"{instance_id}.notes"
        notes.write_text("")
        os.environ["NOTES"] = str(notes)
        outcome, given = await _outcome(instance_id, target)
        found[instance_id] = [outcome, given, notes.read_text().splitlines()]
    return found


async def _outcome(instance_id: str, target: str) -> tuple[str, object]:
    module, _, name = target.partition(":")
    workflow: Workflow[..., Any] = getattr(importlib.import_module(module), name)
    try:
        ended = await _ended(workflow, Settings(instance_id=instance_id))
    except RuntaraError as error:
        return type(error).__name__, str(error)
    if ended.outcome is Outcome.DONE:
        return ended.outcome.value, json.loads(ended.output)
    return ended.outcome.value, ended.error.partition("\n")[0]


async def _ended(workflow: Workflow[..., Any], settings: Settings) -> Ended:
    while True:
        async with connected(settings) as journal:
            ended = await execute(workflow, journal)
        if ended.outcome is not Outcome.RESTARTED:
            return ended
        settings = replace(settings, instance_id=ended.successor)


if __name__ == "__main__":
    json.dump(asyncio.run(replayed(json.load(sys.stdin), Path(sys.argv[1]))), sys.stdout)
