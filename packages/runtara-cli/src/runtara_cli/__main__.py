"""Run the command: `runtara`, or `python -m runtara_cli`."""

import atexit
import os
import sys
import threading

from runtara_cli.cli import runtara
from runtara_cli.ending import Ended


def main() -> None:
    """Run the command and exit with its code."""
    try:
        runtara(prog_name="runtara")
    except Ended as end:
        _leave(end.exit_code)
        raise


def _leave(code: int) -> None:
    """
    End the process without finalizing the interpreter, which takes a fifth of a command's time.

    It returns if a thread still runs, or if the output can't be written; the interpreter then ends
    the process in its usual way.
    """
    if threading.active_count() > 1:
        return
    atexit._run_exitfuncs()
    try:
        # A stream that was closed before the start is None.
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        return
    os._exit(code)


if __name__ == "__main__":
    main()
