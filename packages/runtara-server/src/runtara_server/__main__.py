"""Run the server: `runtara-server`, or `python -m runtara_server`."""

import gc
import sys

_YOUNG = 10_000
"""
After how many new objects the garbage collector looks for cycles.

A request's objects are freed by their reference counts. The default of 700 took 2 % of a loaded
server's time.
"""


def main() -> None:
    """Run the command and exit with its code."""
    # Objects made by imports stay: searching them again and again takes a tenth of a start.
    gc.disable()
    from runtara_server.cli import run

    gc.freeze()
    gc.set_threshold(_YOUNG)
    gc.enable()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
