"""How a process ended: the evidence that its spawner gives, and the files in its folder."""

import asyncio
import json
import logging
from typing import Any

from runtara_domain.error import InvalidValue
from runtara_domain.model.launch_ends import Cause, LaunchEnd, ProcessOutput, parse_output
from runtara_domain.model.launches import MAX_STDERR_BYTES
from runtara_domain.values import MAX_STATE_BYTES
from runtara_environment.folders import LaunchFolder
from runtara_environment.spawner.frames import Message

logger = logging.getLogger(__name__)


def end_of(message: Message, reports: bool) -> LaunchEnd:
    """Return the evidence of an end from the spawner's message."""
    code, signal = message["exit_code"], message["signal"]
    cause = Cause.UNKNOWN
    if message["is_out_of_memory"] and code != 0:
        cause = Cause.OUT_OF_MEMORY
    elif message["is_machine_out_of_memory"] and code != 0:
        cause = Cause.MACHINE_OUT_OF_MEMORY
    elif code is not None:
        cause = Cause.EXITED
    elif signal is not None:
        cause = Cause.KILLED
    return LaunchEnd(
        cause=cause,
        reports=reports,
        exit_code=code,
        signal=signal,
        memory_peak_bytes=message["memory_peak_bytes"],
        cpu_usage_usec=message["cpu_usage_usec"],
    )


def storable(text: str) -> str:
    """Return the last part of a text of user code, with characters that any database stores."""
    kept = text.replace("\0", "�").encode(errors="replace")[-MAX_STDERR_BYTES:]
    return kept.decode(errors="ignore")


def left_behind(folder: LaunchFolder) -> tuple[ProcessOutput | None, str]:
    """
    Return the valid `output.json` of a process, and the end of its output.

    It reads both files before it returns. Use `left_behind_soon` in an event loop.
    """
    stderr = storable(folder.tail(MAX_STDERR_BYTES).decode(errors="replace"))
    content = folder.read_output(MAX_STATE_BYTES)
    if content is None:
        return None, stderr
    try:
        return parse_output(content), stderr
    except InvalidValue as error:
        logger.warning("%s: %s", folder.path, error)
        return None, stderr


async def left_behind_soon(folder: LaunchFolder) -> tuple[ProcessOutput | None, str]:
    """
    Return the same as `left_behind`; a large output is read in a thread.

    The log is read in the event loop if the output is small: at most its last 64 KiB, which the
    process wrote on this machine a moment ago. A thread would take longer than the read.
    """
    if folder.has_large_output():
        return await asyncio.to_thread(left_behind, folder)
    return left_behind(folder)


def parsed_handle(handle: str | None) -> dict[str, Any] | None:
    """Return pid, start time and boot id; None without a handle, or with one of another form."""
    try:
        found = json.loads(handle or "null")
    except ValueError:
        return None
    is_whole = isinstance(found, dict) and {"pid", "start_time", "boot_id"} <= set(found)
    return found if is_whole else None
