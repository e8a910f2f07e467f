"""The log on stderr: readable lines for a terminal, otherwise JSON lines."""

import atexit
import json
import logging
from datetime import UTC, datetime

from runtara_protocol.server.log_queue import LogQueue, fields

_STDERR = 2
PATIENCE = 2.0
"""The most seconds that the process waits at its end for the reader of its log."""


def configure(*, readable: bool) -> LogQueue:
    """
    Write the log to stderr until the process ends, one line for each event with its fields.

    A slow reader delays no caller; see `LogQueue`.
    """
    handler = LogQueue(_STDERR)
    atexit.register(handler.drain, PATIENCE)
    handler.setFormatter(_Words() if readable else _Json())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # aioquic logs every packet at DEBUG, and checks the level each time. Its warnings are about
    # errors of peers, and a peer can cause any number of them.
    logging.getLogger("quic").setLevel(logging.ERROR)
    return handler


class _Json(logging.Formatter):
    """Formats a record as a line of JSON: the event, its fields, and the traceback if any."""

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
    """Formats a record as a line of words, with the traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        words = [_timestamp(record), f"{record.levelname.lower():<8}", record.getMessage()]
        words += [f"{name}={_word(value)}" for name, value in fields(record).items()]
        line = f"{' '.join(words)} [{record.name}]"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _word(value: object) -> str:
    """Return a value as text, quoted unless it is one word: a client's text can't forge a line."""
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(text)


def _timestamp(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
