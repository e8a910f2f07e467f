"""The display: progress as a bar on a terminal and as lines elsewhere, then tables."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from kill_plan import Kill, Victim
from lives import Life
from orders_csv import OrdersFile, Rejected
from proof import Check
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


class Screen:
    """Shows the lives as they go by; quiet shows nothing."""

    def __init__(self, file: OrdersFile, *, quiet: bool) -> None:
        self._console = Console(quiet=quiet)
        if not self._console.is_terminal:
            self._console.width = 100  # Of a file or a pipe it would take 80, and wrap.
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
        orders, rejected = len(self._file.orders), len(self._file.rejected)
        self._console.print(
            f"{orders} orders to charge, and {rejected} bad rows between them. Their payment"
            " service refuses,\ndawdles and hangs up. The import and the server are killed at work"
            " and started again.\n"
        )
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
        """Show how far a life is, or which process is being killed in it."""
        done = len(life.replayed) + len(life.charged)
        if life.number != self._life:
            self._life = life.number
            self._console.print(f"life {life.number} begins")
        if kill is not None:
            self._console.print(
                f"  [red]SIGKILL[/] for {kill.victim} at {done} of {len(self._file.orders)} orders,"
                f" {kill.order_id} {kill.moment}"
            )
        self._bar.update(
            self._task,
            description=f"life {life.number}",
            completed=done,
            replayed=len(life.replayed),
        )

    def show_outcome(self, lives: Sequence[Life], checks: Sequence[Check], seconds: float) -> None:
        """Show each life, the rows that were rejected, and the proof."""
        for table in (_lives_table(lives), _rejected_table(self._file), _proof_table(checks)):
            self._console.print()
            self._console.print(table)
        holds = all(check.holds for check in checks)
        verdict = "[bold green]The proof holds" if holds else "[bold red]The proof fails"
        self._console.print(f"{verdict}[/], after {seconds:.1f} s and {len(lives)} lives.")


def _lives_table(lives: Sequence[Life]) -> Table:
    table = _table("The lives of one import")
    table.caption = (
        "replayed: from its checkpoint; charged: by this life; asked: requests to charge;\n"
        "key knew: of them, those for a charge already made: the idempotency key kept it at one"
    )
    for column in ("life", "replayed", "charged", "asked", "key knew", "s"):
        table.add_column(column, justify="right")
    table.add_column("what befell it")
    for life in lives:
        events = [f"server killed: {k.order_id} {k.moment}" for k in life.server_killed]
        figures = (len(life.replayed), len(life.charged), life.attempts, life.recognised)
        texts = (str(figure) for figure in figures)
        fate = "\n".join([*events, _end(life)])
        table.add_row(str(life.number), *texts, f"{life.seconds:.1f}", fate)
    return table


def _end(life: Life) -> str:
    if life.killed is None:
        return "[green]wrote the ledger, completed"
    victims = "killed" if life.killed.victim is Victim.IMPORT else "both killed"
    return f"[red]{victims}: {life.killed.order_id} {life.killed.moment}"


def _rejected_table(file: OrdersFile) -> Table:
    # One of each kind: reasons that begin with the same two words are alike.
    kinds: dict[str, Rejected] = {}
    for rejected in file.rejected:
        kinds.setdefault(" ".join(rejected.reason.split()[:2]), rejected)
    title = f"{len(kinds)} of the {len(file.rejected)} rejected rows; the ledger has all"
    table = _table(title, "line", "order", "reason")
    for rejected in kinds.values():
        table.add_row(str(rejected.line), escape(rejected.order_id), escape(rejected.reason))
    return table


def _proof_table(checks: Sequence[Check]) -> Table:
    table = _table("The proof, from the files that all the processes left", "", "claim", "figures")
    for check in checks:
        mark = "[green]✓" if check.holds else "[bold red]✗"
        table.add_row(mark, check.claim, check.figures)
    return table


def _table(title: str, *columns: str) -> Table:
    return Table(
        *columns,
        title=f"[bold]{title}[/]",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
    )
