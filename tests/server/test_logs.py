"""The log, as a process writes it: configured once, for good."""

import asyncio
import json
import sys

SCRIPT = """
import logging
from runtara_server import logs
logs.configure(readable={readable})
logging.getLogger("ours").info("listening", extra={{"port": 8001, "why": "a\\nforged one"}})
logging.getLogger("theirs").warning("a datagram failed: %s", "why")
logging.getLogger("quic").info("a packet")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("ours").exception("request failed", extra={{"operation": "checkpoint"}})
"""


async def written(*, readable: bool) -> list[str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SCRIPT.format(readable=readable)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert (process.returncode, out) == (0, b"")
    return err.decode().splitlines()


async def test_an_event_is_a_line_of_json_whoever_logged_it() -> None:
    ours, theirs, failed = [json.loads(line) for line in await written(readable=False)]

    assert {"event": "listening", "port": 8001, "level": "info"}.items() <= ours.items()
    assert (theirs["event"], theirs["logger"]) == ("a datagram failed: why", "theirs")
    assert failed["operation"] == "checkpoint"
    assert failed["exception"].startswith("Traceback")
    assert failed["exception"].endswith("ZeroDivisionError: division by zero")


async def test_people_read_words_and_fields() -> None:
    ours, *others = await written(readable=True)

    assert "listening" in ours
    assert "port=8001" in ours
    assert r"why='a\nforged one'" in ours
    assert any("ZeroDivisionError" in line for line in others)
