"""How tables look on terminals of different widths, and in pipes."""

import subprocess
import sys

import pytest

from runtara_cli import codes
from runtara_cli.output import Cell, Output

ROWS = [
    ("order-17", "waiting for 'approval'", ""),
    ("order-18", "failed", "runtara retry order-18"),
]
HEADINGS = ("ID", "STATUS", "NEXT")


def printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> list[str]:
    """Give the lines of a table on a terminal; 0: in a pipe."""

    def cells(record: object) -> list[Cell]:
        assert isinstance(record, tuple)
        return [*record]

    monkeypatch.setenv("COLUMNS", str(width))
    Output(is_json=False, is_terminal=width > 0).table(HEADINGS, ROWS, cells, empty="")
    # Without the colours, which click leaves out in a pipe.
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (120, [
            "ID        STATUS                  NEXT",
            "order-17  waiting for 'approval'",
            "order-18  failed                  runtara retry order-18",
        ]),
        (56, [
            "ID        STATUS                  NEXT",
            "order-17  waiting for 'approval'",
            "order-18  failed                  runtara retry order-18",
        ]),
        (55, [
            "ID        STATUS",
            "order-17  waiting for 'approval'",
            "order-18  failed",
            "    next runtara retry order-18",
        ]),
        (5, [
            "ID",
            "order-17",
            "    status waiting for 'approval'",
            "order-18",
            "    status failed  next runtara retry order-18",
        ]),
        (0, ["order-17\twaiting for 'approval'\t", "order-18\tfailed\truntara retry order-18"]),
    ],
)  # fmt: skip
def test_what_a_terminal_has_no_room_for_is_below_its_row(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    width: int,
    lines: list[str],
) -> None:
    """Nothing is cut: a command can be taken from where it stands."""
    assert printed(monkeypatch, capsys, width) == lines


def test_the_end_of_a_command_calls_handlers_and_writes_what_they_print() -> None:
    """A command ends its process without finalizing the interpreter."""
    program = (
        "import atexit; atexit.register(print, 'the end');"
        "from runtara_cli.__main__ import main; main()"
    )
    command = [sys.executable, "-c", program, "doctor", "--database-url", "sqlite::memory:"]
    run = subprocess.run(command, capture_output=True, text=True)

    assert run.returncode == codes.UNSUCCESSFUL, run.stderr
    assert run.stdout.startswith("python\t")
    assert run.stdout.endswith("\nthe end\n")


@pytest.mark.parametrize(
    ("closed", "printed"), [(">&-", ""), ("2>&-", "python\t"), ("2>&- >&-", "")]
)
def test_a_command_whose_output_is_closed_ends_with_its_code(closed: str, printed: str) -> None:
    """What is open is written."""
    doctor = "-m runtara_cli doctor --database-url sqlite::memory:"
    command = f"exec {sys.executable} {doctor} {closed}"
    run = subprocess.run(["sh", "-c", command], capture_output=True, text=True)

    assert run.returncode == codes.UNSUCCESSFUL, run.stderr
    assert run.stdout.startswith(printed)
    assert run.stderr == ""
