"""Logging: the SDK's own loggers, and records that say which instance and step they belong to."""

import logging
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Labels:
    """The run and the step of a log record; empty and 0 outside of them."""

    instance: str = ""
    workflow: str = ""
    run: int = 0
    step: str = ""
    attempt: int = 0

    def __str__(self) -> str:
        """All labels in one text, for the start of a line; empty outside of runs."""
        if not self.instance:
            return ""
        run = f" run {self.run}" if self.run else ""
        step = f" {self.step} attempt {self.attempt}" if self.step else ""
        return f" [{self.instance} {self.workflow}{run}{step}]"


class _Labelling:
    """Makes records by another factory, and labels each."""

    def __init__(
        self, make: Callable[..., logging.LogRecord], labels: Callable[[], Labels]
    ) -> None:
        self._make = make
        self._labels = labels

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._make(*args, **kwargs)
        labels = self._labels()
        record.runtara = str(labels)
        record.runtara_instance = labels.instance
        record.runtara_workflow = labels.workflow
        record.runtara_run = labels.run
        record.runtara_step = labels.step
        record.runtara_attempt = labels.attempt
        return record


def label_records(labels: Callable[[], Labels]) -> None:
    """
    Label all log records of this process from now on, of all loggers and handlers.

    Each gets the attributes `runtara_instance`, `runtara_workflow`, `runtara_run`, `runtara_step`
    and `runtara_attempt`, and `runtara`, which has all of them in one text. A record factory
    that was set before makes the records; after a later one was set, call this again.
    """
    factory = logging.getLogRecordFactory()
    if not isinstance(factory, _Labelling):
        logging.setLogRecordFactory(_Labelling(factory, labels))


class _Guarded(logging.LoggerAdapter[logging.Logger]):
    """Prints errors of handlers, filters and record factories, as logging does for handlers."""

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        # Without this frame: records then name the caller's line.
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        try:
            self.logger.log(level, msg, *args, **kwargs)
        except Exception:
            with suppress(Exception):  # Standard error may be an object of the user's.
                traceback.print_exc()


def get_logger(name: str) -> logging.LoggerAdapter[logging.Logger]:
    """
    Return the logger of one of the SDK's modules, by the module's name.

    The SDK logs while a run works: an error of the user's logging would replace a step's result or
    error. Such an error goes to standard error instead.
    """
    return _Guarded(logging.getLogger(name))
