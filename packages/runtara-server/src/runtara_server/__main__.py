"""Run the server: `runtara-server`, or `python -m runtara_server`."""

import sys

from runtara_server.cli import run


def main() -> None:
    """Run the command and exit with its code."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
