"""Write docs/command-line.md: `uv run python packages/runtara-cli/page.py`."""

from pathlib import Path

import click

from runtara_cli import codes
from runtara_cli.cli import runtara

PAGE = Path(__file__).parents[2] / "docs/command-line.md"

_HEAD = """\
# The command line

`packages/runtara-cli/page.py` makes this page from the commands' own help.

A command looks for its environment in this order:

1. the option `--address`;
2. the variable `RUNTARA_ENVIRONMENT_ADDR`, with `RUNTARA_TLS_CA`, `RUNTARA_SERVER_NAME` and
   `RUNTARA_SKIP_CERT_VERIFICATION`;
3. the file `.runtara/dev.json` that `runtara dev` has made in this folder or one above it;
4. 127.0.0.1:8002.

## What is printed

Results go to standard output, and everything else to standard error.

- On a terminal, lists are tables with headings and colours. Cells without room on a narrow terminal
  are below their row.
- In a pipe, a row is its cells with tabs between them. There are no headings, and nothing is cut.
- With `--json`, each result is one line of JSON; a list prints one line for each item. The fields
  have the names of `runtara_management_sdk`'s records. Times are ISO 8601 in UTC, durations are
  seconds, and absent values are null. Input, output and other bytes of a workflow are printed as
  the JSON that they hold, else as text, else as `{"base64": …}`. Fields may be added, and never
  change.

## How it looks

`make captures` draws these pictures from the commands' output on a terminal.

![runtara dev](captures/dev.svg)

![runtara list](captures/list.svg)

![runtara explain, send and wait](captures/explain.svg)

![runtara show](captures/show.svg)

![What errors say](captures/errors.svg)

## Exit codes

| code | meaning |
|---|---|
"""

_CODES = {
    codes.DONE: "done",
    codes.UNSUCCESSFUL: "an awaited instance failed or was cancelled, or a check found something",
    codes.USAGE: "arguments or settings that can't be used; no request was sent",
    codes.REFUSED: "the environment refused: there is no such item, or its state doesn't allow it",
    codes.UNREACHABLE: "no environment answered; the message says whether a change may have been"
    " made",
    codes.TIMED_OUT: "the time for waiting is over, and the instance is still open",
    130: "interrupted",
}


def page() -> str:
    """Write the page."""
    rows = [f"| {code} | {meaning} |\n" for code, meaning in _CODES.items()]
    root = _context(runtara, "runtara", None)
    told = ["\n## Commands\n\n```\n", runtara.get_help(root), "\n```\n"]
    for name in runtara.list_commands(root):
        command = runtara.get_command(root, name)
        assert command is not None
        context = _context(command, name, root)
        told.append(f"\n### {name}\n\n```\n{command.get_help(context)}\n```\n")
        verbs = command.commands if isinstance(command, click.Group) else {}
        for verb, each in verbs.items():
            help_text = each.get_help(_context(each, verb, context))
            told.append(f"\n#### {name} {verb}\n\n```\n{help_text}\n```\n")
    return "".join([_HEAD, *rows, *told])


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    context = command.make_context(name, [], parent, resilient_parsing=True)
    context.terminal_width = context.max_content_width = 100
    return context


if __name__ == "__main__":
    PAGE.write_text(page())
