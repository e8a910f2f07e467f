"""The SDK's own loggers: what the user's handlers and filters raise fails no run."""

import logging
import traceback
from contextlib import suppress
from typing import Any


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

    Its messages are told in the middle of a run's work: an error raised by the user's logging
    would take the place of what a step has raised or given. It goes to standard error instead.
    """
    return _Guarded(logging.getLogger(name))
