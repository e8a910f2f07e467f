"""Run the server: `runtara-server`, or `python -m runtara_server`."""

import gc
import sys

_YOUNG = 10_000
"""
How many new objects are looked through for cycles at a time.

A request's objects die with it, by their counts; looking at every 700, as is the default, took 2 %
of a loaded server's time.
"""


def main() -> None:
    """Run the command and exit with its code."""
    # What imports make is here to stay: to look through it again and again is a tenth of a start.
    gc.disable()
    from runtara_server.cli import run

    gc.freeze()
    gc.set_threshold(_YOUNG)
    gc.enable()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
