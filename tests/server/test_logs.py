"""The log, as a process writes it: configured once, for good."""

import asyncio
import json
import os
import subprocess
import sys

SCRIPT = """
import logging
from runtara_protocol.server import logs
logs.configure(readable={readable})
logging.getLogger("ours").info("listening", extra={{"port": 8001, "why": "a\\nforged one"}})
logging.getLogger("theirs").warning("a datagram failed: %s", "why")
logging.getLogger("quic").info("a packet")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("ours").exception("request failed", extra={{"operation": "checkpoint"}})
"""


async def started(script: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    # What it writes is read when the test does so, not before, but for what fits the pipes.
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script), stdin=pipe, stdout=pipe, stderr=pipe, limit=1024
    )


async def output_of(script: str) -> list[str]:
    process = await started(script)
    out, err = await process.communicate()
    assert (process.returncode, out) == (0, b"")
    return err.decode().splitlines()


async def written(*, readable: bool) -> list[str]:
    return await output_of(SCRIPT.format(readable=readable))


async def test_an_event_of_any_logger_is_a_line_of_json() -> None:
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


MANY = """
import logging
from runtara_protocol.server import logs
logs.configure(readable=False)
for number in range(1000):
    logging.getLogger("ours").error("database failed", extra={"reason": "full"})
    try:
        raise ValueError("out of it")
    except ValueError:
        logging.getLogger("ours").exception("request failed")
logging.getLogger("ours").error("database failed", extra={"reason": "empty"})
"""


async def test_a_line_that_comes_again_is_counted_and_written_once_more() -> None:
    """Another with the same words and other fields is another line."""
    lines = [json.loads(line) for line in await output_of(MANY)]

    assert [(each["event"], each.get("reason"), each.get("repeated")) for each in lines] == [
        ("database failed", "full", None),
        ("request failed", None, None),
        ("database failed", "empty", None),
        ("database failed", "full", 999),
        ("request failed", None, 999),
    ]
    assert ["exception" in each for each in lines] == [False, True, False, False, False]


LATER = """
import logging, time
from runtara_protocol.server import log_queue, logs
log_queue.SPAN = 0.2
logs.configure(readable=False)
def say():
    logging.getLogger("ours").error("database failed")
say(), say(), say()
print("said", flush=True)
input()
say()
"""


async def test_what_was_counted_is_written_when_its_span_is_over() -> None:
    """The count is written by itself, and the next line is written again."""
    process = await started(LATER)
    assert process.stderr is not None
    assert process.stdin is not None
    first, counted = [json.loads(await process.stderr.readline()) for _ in range(2)]
    process.stdin.write(b"\n")
    _, rest = await process.communicate()

    assert "repeated" not in first
    assert counted["repeated"] == 2
    assert [json.loads(line).get("repeated") for line in rest.splitlines()] == [None]


STALLED = """
import logging, time
from runtara_protocol.server import logs
logs.configure(readable=False)
for number in range(20000):
    logging.getLogger("ours").error("%d", number, extra={"padding": "x" * 100})
print("went on", flush=True)
input()
"""


async def test_no_request_waits_for_a_reader_that_stalls_and_what_is_dropped_is_counted() -> None:
    process = await started(STALLED)
    assert process.stdout is not None
    went_on = await process.stdout.readline()
    _, written = await process.communicate(b"\n")

    lines = [json.loads(line) for line in written.splitlines()]
    told = [each["dropped"] for each in lines if "dropped" in each]
    assert went_on == b"went on\n"
    assert sum(told) > 0
    assert sum(told) + len(lines) - len(told) == 20_000


NEVER_READ = """
import logging, sys
from runtara_protocol.server import logs
log = logs.configure(readable=False)
for number in range(20000):
    logging.getLogger("ours").error("%d", number, extra={"padding": "x" * 100})
log.say("cannot start")
sys.exit(1)
"""


def test_a_process_ends_though_its_log_is_never_read() -> None:
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen([sys.executable, "-c", NEVER_READ], stderr=writing)
        code = process.wait(timeout=30)
    finally:
        os.close(reading)
        os.close(writing)

    assert code == 1


CLOSED = """
import logging, os
from runtara_protocol.server import logs
os.close(2)
logs.configure(readable=False)
logging.getLogger("ours").error("nobody hears")
print("went on")
"""


async def test_without_a_place_to_write_to_it_goes_on() -> None:
    process = await started(CLOSED)
    out, _ = await process.communicate()

    assert (process.returncode, out) == (0, b"went on\n")


BADLY_CALLED = """
import logging
from runtara_protocol.server import logs
logs.configure(readable=False)
logging.getLogger("theirs").error("%d", "no number")
logging.getLogger("ours").error("goes on")
"""


async def test_logging_what_cannot_be_formatted_does_not_fail() -> None:
    first, second = await output_of(BADLY_CALLED)

    assert "log line can't be formatted: logger=theirs" in first
    assert json.loads(second)["event"] == "goes on"
