"""Finds the workflow and reads the input that a command line names."""

import importlib
import inspect
import json
import sys
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from runtara_sdk.workflow.api.steps import Step
from runtara_sdk.workflow.api.workflows import Workflow
from runtara_sdk.workflow.engine.start import as_utf8
from runtara_sdk.workflow.user_objects import asked, attribute, text_of
from runtara_sdk.workflow.values.tracebacks import format_error


class UsageError(Exception):
    """The command line can't be used; the message says what it takes."""


class CodeUnusable(UsageError):
    """The workflow is missing, or can't be imported: the instance needs other code."""


def find(target: str) -> Workflow[..., Any]:
    """Import the workflow MODULE:FUNCTION; raises UsageError, CodeUnusable if it is not there."""
    module_name, colon, name = target.partition(":")
    if module_name.endswith(".py") or "/" in module_name:
        dotted = module_name.removesuffix(".py").strip("./").replace("/", ".")
        raise UsageError(
            f"takes MODULE:FUNCTION as `import` names it, got {target!r}:"
            f" did you mean {dotted}:{name or 'FUNCTION'}?"
        )
    module = _imported(module_name)
    if not colon:
        raise UsageError(f"takes MODULE:FUNCTION, got {target!r}: {_workflows(module, name)}")
    # A module may have a `__getattr__`.
    found = attribute(module, name)
    if not isinstance(found, Workflow):
        raise CodeUnusable(f"{target}: {_not_a_workflow(name, found)}; {_workflows(module, name)}")
    return found


def read(path: str | None) -> bytes | None:
    """Read an input, None if there is none; raises UsageError if it is no JSON."""
    if path is None:
        return None
    try:
        text = _standard_input() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"--input {path}: {error.strerror}{_if_json(path)}") from error
    except ValueError as error:  # A name with NUL.
        raise UsageError(f"--input {path!r}: {error}") from error
    if not text.strip():
        raise UsageError(f"--input {path} is empty: it takes JSON, or leave it out")
    try:
        json.loads(text)
        return as_utf8(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--input {path} is no JSON: {error}{_if_a_word(text)}") from error


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise UsageError("--input -: standard input is closed")
    return sys.stdin.buffer.read()


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if f"{name}.".startswith(f"{missing}."):
            raise CodeUnusable(
                f"there is no module {missing!r} in {Path.cwd()}, nor on PYTHONPATH: run this in"
                f" the folder that holds {name.replace('.', '/')}.py"
            ) from error
        raise CodeUnusable(
            f"{name} needs the module {missing!r}, which is not installed for {sys.executable}:"
            f" {format_error(error)}"
        ) from error
    except SystemExit as error:
        raise CodeUnusable(
            f"{name} ends the process when it is imported: put what it does into"
            ' `if __name__ == "__main__":`'
        ) from error
    except BaseException as error:
        # An error of the user's module at its import is no failure of the instance.
        raise CodeUnusable(f"{name} can't be imported: {format_error(error)}") from error


def _not_a_workflow(name: str, found: object) -> str:
    if found is None:
        return f"the module has no {name!r}"
    if isinstance(found, Step):
        return f"{name!r} is a step: run the workflow that calls it"
    if inspect.iscoroutinefunction(found):
        return f"{name!r} is a plain function: decorate it with @workflow"
    return f"{name!r} is no function decorated with @workflow"


def _workflows(module: ModuleType, name: str) -> str:
    """Name the module's workflows, or the workflow that was probably meant."""
    # sys.modules may hold any object.
    known: dict[str, Any] = asked(lambda: dict(vars(module)), {})
    path = text_of(attribute(module, "__name__"))
    names = [key for key, each in known.items() if issubclass(type(each), Workflow)]
    if not names:
        return f"{path} has no function decorated with @workflow"
    near = get_close_matches(name, names, 1)
    if near:
        return f"did you mean {path}:{near[0]}?"
    return f"its workflows are {', '.join(f'{path}:{each}' for each in names)}"


def _if_json(path: str) -> str:
    try:
        json.loads(path)
    except ValueError:
        return ""
    return "; it takes a file: echo JSON to `--input -`"


def _if_a_word(text: bytes) -> str:
    word = text.strip()
    if not word.replace(b"-", b"").replace(b"_", b"").isalnum():
        return ""
    return f'; a text is JSON in double quotes: "{word[:60].decode()}"'
