"""Commands that run another module, with all arguments after their name."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import click


def passing(
    name: str,
    module: str,
    *before: str,
    short_help: str,
    variables: Callable[[], Mapping[str, str]] = dict,
) -> click.Command:
    """
    Make a command that becomes `python -m MODULE`.

    before: arguments that the module gets before the user's. variables: environment variables that
    the module gets, unless they are set already.
    """

    def run(arguments: tuple[str, ...]) -> None:
        set_too = {key: value for key, value in variables().items() if key not in os.environ}
        command = [sys.executable, "-m", module, *before, *arguments]
        os.execve(sys.executable, command, {**os.environ, **set_too})

    settings: dict[str, Any] = {"ignore_unknown_options": True, "help_option_names": []}
    taken = click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)
    help_text = f"{short_help}\n\nIt is `python -m {' '.join([module, *before])}`: see its --help."
    return click.Command(
        name,
        context_settings=settings,
        callback=run,
        params=[taken],
        help=help_text,
        short_help=short_help,
        add_help_option=False,
    )
