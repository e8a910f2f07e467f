"""Run the command: `runtara`, or `python -m runtara_cli`."""

from runtara_cli.cli import runtara


def main() -> None:
    """Run the command and exit with its code."""
    runtara(prog_name="runtara")


if __name__ == "__main__":
    main()
