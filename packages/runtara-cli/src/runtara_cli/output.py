"""The output of commands: tables for people, plain lines for pipes, JSON for programs."""

import unicodedata
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TextIO, TypeAlias

import click

from runtara_domain.record import record

Cell: TypeAlias = "str | tuple[str, str | None]"
"""A text, or a text with its colour."""

_GAP, _DIM = "  ", "bright_black"


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a standard stream is a terminal; one closed before the start is None."""
    return stream is not None and stream.isatty()


@record
class Output:
    """
    Prints results to standard output, notes and progress to standard error.

    is_json: every result is one line of JSON. is_terminal: tables have headings, colours and
    columns of equal width, and cells without room are printed below their row; otherwise a row is
    its cells with tabs between.
    """

    is_json: bool
    is_terminal: bool

    def result(self, record: object, text: Callable[[], str]) -> None:
        """Print one result: its JSON, or the text for people; an empty text is not printed."""
        if self.is_json:
            self._json(record)
        elif said := text():
            click.echo(said)

    def table(
        self,
        headings: Sequence[str],
        records: Sequence[object],
        cells: Callable[[object], Sequence[Cell]],
        *,
        empty: str,
    ) -> None:
        """Print records as rows; `empty` is said on a terminal if there are none."""
        if self.is_json:
            for record in records:
                self._json(record)
            return
        rows = [[_pair(cell) for cell in cells(record)] for record in records]
        if not self.is_terminal:
            for row in rows:
                click.echo("\t".join(_one_line(text) for text, _ in row))
        elif rows:
            self._aligned(headings, rows)
        else:
            self.note(empty)

    def note(self, text: str) -> None:
        """Print a note for people, which is no result."""
        click.echo(text, err=True)

    def _json(self, record: object) -> None:
        from runtara_cli import documents

        click.echo(documents.line(record))

    def _aligned(
        self, headings: Sequence[str], rows: Sequence[Sequence[tuple[str, str | None]]]
    ) -> None:
        """Write columns; those for which the terminal is too narrow are below their row."""
        # Only now: a pipe needs none of it.
        import shutil

        lines: list[list[tuple[str, str | None]]] = [[(heading, _DIM) for heading in headings]]
        lines += [[(_one_line(text), colour) for text, colour in row] for row in rows]
        columns = zip(*lines, strict=True)
        widths = [max(_width(text) for text, _ in column) for column in columns]
        shown = _fitting(widths, shutil.get_terminal_size().columns)
        # Behind the last there is nothing to align.
        widths[shown - 1] = 0
        for number, line in enumerate(lines):
            padded = [
                _styled(text + " " * (width - _width(text)), colour)
                for (text, colour), width in zip(line[:shown], widths, strict=False)
            ]
            click.echo(_GAP.join(padded).rstrip())
            if number:
                self._below(headings[shown:], line[shown:])

    def _below(self, headings: Sequence[str], cells: Sequence[tuple[str, str | None]]) -> None:
        told = [
            f"{_styled(heading.lower(), _DIM)} {_styled(text, colour)}"
            for heading, (text, colour) in zip(headings, cells, strict=True)
            if text
        ]
        if told:
            click.echo(f"    {_GAP.join(told)}")


def _fitting(widths: Sequence[int], terminal: int) -> int:
    """Return how many columns, at least one, fit into a terminal of this width."""
    ends = list(accumulate(width + len(_GAP) for width in widths))
    return max(1, sum(end - len(_GAP) <= terminal for end in ends))


def _styled(text: str, colour: str | None) -> str:
    return click.style(text, fg=colour) if colour else text


def _pair(cell: Cell) -> tuple[str, str | None]:
    return (cell, None) if isinstance(cell, str) else cell


def _one_line(text: str) -> str:
    """Make a text safe for one line of a terminal: names from user code may have any character."""
    return "".join(each if each.isprintable() else " " for each in text)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)
