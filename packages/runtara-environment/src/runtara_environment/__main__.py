"""Run an environment: `runtara-environment`, or `python -m runtara_environment`."""

import sys


def main() -> None:
    """Run the command and exit with its code."""
    from runtara_environment.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
