"""How the server's log looks: for people on a terminal, JSON lines otherwise, always on stderr."""

import atexit
import json
import logging
from datetime import UTC, datetime

from runtara_protocol.server.log_queue import LogQueue, fields

_STDERR = 2
PATIENCE = 2.0
"""Seconds that the end of the process waits for a reader of its log."""


def configure(*, readable: bool) -> LogQueue:
    """
    Write the log to stderr until the process ends: each event with its fields is a line.

    No caller waits for the reader; see `LogQueue`.
    """
    handler = LogQueue(_STDERR)
    atexit.register(handler.drain, PATIENCE)
    handler.setFormatter(_Words() if readable else _Json())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # aioquic logs every packet at DEBUG, and checks the level each time.
    # Its warnings are about faults of peers, and a peer can cause any number of them.
    logging.getLogger("quic").setLevel(logging.ERROR)
    return handler


class _Json(logging.Formatter):
    """One object a line: the event, its fields, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            **fields(record),
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": _timestamp(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=repr)


class _Words(logging.Formatter):
    """A line of words, and the traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        words = [_timestamp(record), f"{record.levelname.lower():<8}", record.getMessage()]
        words += [f"{name}={_word(value)}" for name, value in fields(record).items()]
        line = f"{' '.join(words)} [{record.name}]"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _word(value: object) -> str:
    """A value, in quotes where it is not one word: what a client sent forges no line."""
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(text)


def _timestamp(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
