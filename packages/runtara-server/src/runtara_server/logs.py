"""How the server's log looks: for people on a terminal, JSON lines otherwise, always on stderr."""

import json
import logging
import sys
from datetime import UTC, datetime

# What every record has; the rest are the fields its caller gave as `extra`.
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(*, readable: bool) -> None:
    """Send what is logged to stderr, an event with its fields a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Words() if readable else _Json())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # It logs every packet at this level's next one down, and asks whether to each time.
    logging.getLogger("quic").setLevel(logging.WARNING)


class _Json(logging.Formatter):
    """One object a line: the event, its fields, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            **_fields(record),
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
        words += [f"{name}={_word(value)}" for name, value in _fields(record).items()]
        line = f"{' '.join(words)} [{record.name}]"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _PLAIN}


def _word(value: object) -> str:
    """A value, in quotes where it is not one word: what a client sent forges no line."""
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(text)


def _timestamp(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
