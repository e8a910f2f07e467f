"""What a command prints: tables for people, plain lines for pipes, JSON for programs."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import click

Cell: TypeAlias = "str | tuple[str, str | None]"
"""A text, or a text with its colour."""

_GAP = "  "


@dataclass(frozen=True, slots=True)
class Output:
    """
    Where results go: standard output; `note` and progress go to standard error.

    is_json: every result is one line of JSON. is_terminal: tables have headings, colours and
    columns of equal width; otherwise a row is its cells with tabs between.
    """

    is_json: bool
    is_terminal: bool

    def result(self, record: object, text: Callable[[], str]) -> None:
        """Print one result: its JSON, or what a person reads; an empty text is not printed."""
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
        """Tell a person something that is no result."""
        click.echo(text, err=True)

    def _json(self, record: object) -> None:
        from runtara_cli import documents

        click.echo(documents.line(record))

    def _aligned(
        self, headings: Sequence[str], rows: Sequence[Sequence[tuple[str, str | None]]]
    ) -> None:
        texts = [[*headings], *([_one_line(text) for text, _ in row] for row in rows)]
        widths = [max(map(_width, column)) for column in zip(*texts, strict=True)]
        colours: list[list[str | None]] = [
            ["bright_black"] * len(headings),
            *([each for _, each in row] for row in rows),
        ]
        for line, styles in zip(texts, colours, strict=True):
            padded = [
                text + " " * (width - _width(text))
                for text, width in zip(line, widths, strict=True)
            ]
            styled = [
                click.style(text, fg=style) if style else text
                for text, style in zip(padded, styles, strict=True)
            ]
            click.echo(_GAP.join(styled).rstrip())


def _pair(cell: Cell) -> tuple[str, str | None]:
    return (cell, None) if isinstance(cell, str) else cell


def _one_line(text: str) -> str:
    """Make a text safe for one line of a terminal: what user code named may hold anything."""
    return "".join(each if each.isprintable() else " " for each in text)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)
