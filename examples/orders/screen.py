"""What is shown: progress while it runs, a bar on a terminal and lines elsewhere, then tables."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from kill_plan import Kill, Victim
from lives import Life
from orders_csv import OrdersFile
from proof import Check
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

REJECTED_SHOWN = 8


class Screen:
    """Shows the lives as they go by; quiet shows nothing."""

    def __init__(self, file: OrdersFile, *, quiet: bool) -> None:
        self._console = Console(quiet=quiet)
        self._file = file
        self._life = 0
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[replayed]} replayed"),
            TimeElapsedColumn(),
            console=self._console,
            # Off a terminal the bar would only be printed once, at the end.
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("life 1", total=len(file.orders), replayed=0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def watch(self, life: Life, kill: Kill | None) -> None:
        """Show where a life is, or that somebody is being killed in it."""
        done = len(life.replayed) + len(life.charged)
        if life.number != self._life:
            self._life = life.number
            self._console.print(f"life {life.number} begins")
        if kill is not None:
            self._console.print(
                f"[red]  SIGKILL for {kill.victim}[/] at {done} of {len(self._file.orders)} orders:"
                f" {kill.order_id}, {kill.moment}"
            )
        self._bar.update(
            self._task,
            description=f"life {life.number}",
            completed=done,
            replayed=len(life.replayed),
        )

    def show_outcome(self, lives: Sequence[Life], checks: Sequence[Check], seconds: float) -> None:
        """Show each life, the rows that were rejected, and the proof."""
        self._console.print(_lives_table(lives))
        self._console.print(_rejected_table(self._file))
        self._console.print(_proof_table(checks))
        holds = all(check.holds for check in checks)
        verdict = "[bold green]The proof holds" if holds else "[bold red]The proof fails"
        self._console.print(f"{verdict}[/], after {seconds:.1f} s and {len(lives)} lives.")


def _lives_table(lives: Sequence[Life]) -> Table:
    table = Table(title="The lives of one import", title_justify="left")
    for column in ("life", "replayed", "charged", "attempts", "known by key", "s"):
        table.add_column(column, justify="right")
    table.add_column("what befell it")
    for life in lives:
        fates = [
            f"server killed at {k.order_id} ({k.moment}), lived on" for k in life.server_killed
        ]
        fates.append(_end(life))
        figures = (len(life.replayed), len(life.charged), life.attempts, life.recognised)
        texts = (str(figure) for figure in figures)
        table.add_row(str(life.number), *texts, f"{life.seconds:.1f}", "\n".join(fates))
    return table


def _end(life: Life) -> str:
    if life.killed is None:
        return "[green]wrote the ledger, completed"
    whom = "killed" if life.killed.victim is Victim.IMPORT else "killed with the server"
    return f"[red]{whom} at {life.killed.order_id} ({life.killed.moment})"


def _rejected_table(file: OrdersFile) -> Table:
    shown = file.rejected[:: max(1, len(file.rejected) // REJECTED_SHOWN)][:REJECTED_SHOWN]
    title = f"Rejected rows: {len(shown)} of {len(file.rejected)}, all are in the ledger"
    table = Table("line", "order", "reason", title=title, title_justify="left")
    for rejected in shown:
        table.add_row(str(rejected.line), escape(rejected.order_id), escape(rejected.reason))
    return table


def _proof_table(checks: Sequence[Check]) -> Table:
    table = Table("", "the proof, from what is on the disk", "figures")
    for check in checks:
        mark = "[green]✓" if check.holds else "[bold red]✗"
        table.add_row(mark, check.claim, check.figures)
    return table
