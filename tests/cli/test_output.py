"""How tables look on terminals of different widths, and in pipes."""

import subprocess
import sys
from pathlib import Path

import pytest

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


def test_a_result_that_cant_be_written_is_no_success() -> None:
    """This holds though a command ends without taking the interpreter down."""
    command = [sys.executable, "-m", "runtara_cli", "--help"]
    written = subprocess.run(command, capture_output=True, text=True)
    with Path("/dev/full").open("w") as full:
        unwritten = subprocess.run(command, stdout=full, stderr=subprocess.PIPE)

    assert (written.returncode, written.stdout[:6]) == (0, "Usage:")
    assert unwritten.returncode != 0
