"""Logging: the SDK's own loggers, and records that say which instance and step they belong to."""

import logging
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Labels:
    """Where a log record was made: the run and the step; empty and 0 outside of them."""

    instance: str = ""
    workflow: str = ""
    run: int = 0
    step: str = ""
    attempt: int = 0

    def __str__(self) -> str:
        """All of it in one text, to stand before a message; empty outside of runs."""
        if not self.instance:
            return ""
        run = f" run {self.run}" if self.run else ""
        step = f" {self.step} attempt {self.attempt}" if self.step else ""
        return f" [{self.instance} {self.workflow}{run}{step}]"


class _Labelling:
    """Makes records as another factory does, and labels each."""

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
    Label all log records of this process from now on, whatever loggers and handlers there are.

    Each gets the attributes `runtara_instance`, `runtara_workflow`, `runtara_run`, `runtara_step`
    and `runtara_attempt`, and `runtara`, which is all of them in one text. A factory of records
    that was set before makes them; one that was set since is put below again.
    """
    factory = logging.getLogRecordFactory()
    if not isinstance(factory, _Labelling):
        logging.setLogRecordFactory(_Labelling(factory, labels))


class _Guarded(logging.LoggerAdapter[logging.Logger]):
    """Shows what handlers, filters and factories of records raise, as logging shows a handler's."""

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        # Without this frame, so that records name the caller's line.
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        try:
            self.logger.log(level, msg, *args, **kwargs)
        except Exception:
            with suppress(Exception):  # Standard error may be the user's too.
                traceback.print_exc()


def get_logger(name: str) -> logging.LoggerAdapter[logging.Logger]:
    """
    Give the logger of one of the SDK's modules, by the module's name.

    Its messages are logged in the middle of a run's work: an error raised by the user's logging
    would take the place of what a step has raised or given. It goes to standard error instead.
    """
    return _Guarded(logging.getLogger(name))
